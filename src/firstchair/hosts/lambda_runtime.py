"""The loop that AWS Lambda expects of a container image: take an event, answer it, take the next.

It speaks the Lambda runtime interface (version 2018-06-01) to the address in
`AWS_LAMBDA_RUNTIME_API`, so that our image needs no further package.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any
from urllib.request import Request, urlopen

import orjson

from firstchair.hosts.lambda_handler import handler


def serve(address: str, answer: Callable[[Mapping[str, Any], object], dict[str, Any]]) -> None:
    """Answer events until the process ends; report an error as that of its event, and go on."""
    base = f"http://{address}/2018-06-01/runtime/invocation"
    while True:
        with urlopen(f"{base}/next") as offered:  # waits for the next event
            invocation, event = (
                offered.headers["Lambda-Runtime-Aws-Request-Id"],
                orjson.loads(offered.read()),
            )
        try:
            kind, answered = "response", answer(event, None)
        except Exception as error:  # the border of the process
            kind = "error"
            answered = {"errorType": type(error).__name__, "errorMessage": str(error)}
        with urlopen(Request(f"{base}/{invocation}/{kind}", orjson.dumps(answered), method="POST")):
            pass


if __name__ == "__main__":
    serve(os.environ["AWS_LAMBDA_RUNTIME_API"], handler)
