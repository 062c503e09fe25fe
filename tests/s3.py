"""S3 on this machine: moto's server, which refuses a conditional write as S3 does."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# What the server writes before and after a line about an answer that is no success.
COLOUR = re.compile(r"\x1b\[\d+m")
# A process of its own: delta-rs holds Python's lock while it waits for some answers.
SERVER = """
import json, logging, sys
from moto.server import ThreadedMotoServer
logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(json.dumps(server.get_host_and_port()), flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class S3:
    """A running server: its address, and the file of a line for each request."""

    endpoint: str
    log: Path

    def requests(self) -> list[str]:
        """All requests that were answered so far, in order."""
        plain = COLOUR.sub("", self.log.read_text())
        return [line for line in plain.splitlines() if "HTTP/1.1" in line]

    def variables(self) -> dict[str, str]:
        """What reaches it, as AWS's own tools name it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",  # pragma: allowlist secret
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
        }


@contextmanager
def serving(log: Path) -> Iterator[S3]:
    """A server that ends with the block."""
    with (
        log.open("w") as lines,
        subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=lines,
            text=True,
        ) as server,
    ):
        assert server.stdin is not None and server.stdout is not None
        host, port = json.loads(server.stdout.readline())
        yield S3(f"http://{host}:{port}", log)
        server.stdin.close()  # it ends
