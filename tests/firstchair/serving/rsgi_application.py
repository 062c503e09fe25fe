"""What `test_rsgi` serves: an ASGI application that tells what it was asked, behind the bridge."""

import json
import os
from pathlib import Path

from firstchair.serving.rsgi import Bridge, Message, Receive, Send


async def application(scope: Message, receive: Receive, send: Send) -> None:
    """`/leave` writes down that the client left, `/pieces` answers in pieces, all else with the request."""
    body = await _body(receive)
    if body is None or scope["path"] == "/leave":
        seen = Path(os.environ["SEEN"])
        if body is not None:
            seen.with_suffix(".asked").touch()
        left = "in the middle" if body is None else (await receive())["type"]
        seen.write_text(left)
        return
    headers = [(b"content-type", b"application/json"), (b"x-name", "é".encode("latin-1"))]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    if scope["path"] == "/pieces":
        for piece in (b"[1", b",2", b",3]"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})
        return
    told = {name: scope[name] for name in ("method", "path", "scheme", "http_version")}
    asked = [[name.decode(), value.decode()] for name, value in scope["headers"]]
    told |= {"query": scope["query_string"].decode(), "headers": asked, "client": scope["client"][0], "size": len(body)}
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})


async def _body(receive: Receive) -> bytes | None:
    parts, more = [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message["body"])
        more = message["more_body"]
    return b"".join(parts)


app = Bridge(application)
