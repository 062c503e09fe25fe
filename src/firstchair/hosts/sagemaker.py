"""A SageMaker endpoint: `/ping` and `/invocations` on port 8080, for many users at once.

SageMaker authorizes requests before they arrive here, so there is no token. The container's disk is
lost with its instance, so an invocation waits until its impressions are in the event store
(`diskless`). Each invocation counts its slates as shown: a batch transform would log impressions
that no user saw.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs

import orjson
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from firstchair.access.bodies import body_of
from firstchair.errors import SourceError
from firstchair.hosts.diskless import Diskless, config_of
from firstchair.http.answers import (
    JSON,
    NOT_PUBLISHED,
    OUT_OF_RANGE,
    Answer,
    refused,
    requested_length,
)
from firstchair.settings import load_settings

ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
JSON_LINES = ("application/jsonlines", "application/x-jsonlines", "application/x-ndjson")
CODES = {404: "not_found", 405: "method_not_allowed", 408: "too_slow", 413: "too_large"}
MAX_USERS, MAX_BODY_BYTES = 1_000, 1 << 20


class _User(BaseModel):
    user_id: str


class _Users(BaseModel):
    user_ids: list[str]


_ENTRIES = TypeAdapter(Annotated[list[str | _User], Field(min_length=1, max_length=MAX_USERS)])


def application(diskless: Diskless) -> Starlette:
    """The two routes, over the logins of one process."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await asyncio.to_thread(diskless.reload)
        yield

    async def ping(_: Request) -> Response:
        await asyncio.to_thread(diskless.reload)
        return Response(status_code=503 if diskless.logins is None else 200)

    async def invocations(request: Request) -> Response:
        status_code, media_type, body = await _invoked(diskless, request)
        return Response(body, status_code, media_type=media_type.decode())

    routes = [Route("/ping", ping), Route("/invocations", invocations, methods=["POST"])]
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _unknown})


def app() -> Starlette:
    """Make the ASGI application; the server calls this once in each worker.

    The model data are the content of `{home}/published`, pointer and versions, where SageMaker
    unpacks them.
    """
    model = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")) / "model"
    return application(Diskless(config_of(load_settings(), published=model), prefix="sagemaker"))


@dataclass(frozen=True, slots=True)
class _Asked:
    user_ids: list[str]
    k: int
    request: bytes
    lines: bool


async def _invoked(diskless: Diskless, request: Request) -> Answer:
    asked = await _asked(request)
    if not isinstance(asked, _Asked):
        return asked
    made = diskless.login(asked.user_ids, k=asked.k, now=time.time(), request=asked.request)
    if made is None:
        return NOT_PUBLISHED
    bodies, parcel = made
    try:
        await asyncio.to_thread(diskless.deliver, parcel)
    except SourceError as error:
        return refused(503, error.code, error.what, f"{error.data} {error.remedy}")
    if asked.lines:
        return 200, JSON_LINES[0].encode(), b"".join(b"%b\n" % body for body in bodies)
    return 200, JSON, b"[%b]" % b",".join(bodies)


async def _asked(request: Request) -> _Asked | Answer:
    """The users of a body; `k` and the client's request id from the custom attributes.

    Their form is `k=10&request=id`.
    """
    lines = request.headers.get("content-type", "").split(";")[0].strip().lower() in JSON_LINES
    attributes = request.headers.get(ATTRIBUTES, "").encode()
    k = requested_length(attributes)
    if k is None:
        return OUT_OF_RANGE
    if request.headers.get("content-encoding", "identity").lower() not in {"", "identity"}:
        what = "An encoded body cannot be read."
        return refused(415, "unsupported_encoding", what, "Send it plain.")
    body = await body_of(request, most_bytes=MAX_BODY_BYTES)
    try:
        user_ids = _user_ids(body, lines=lines)
    except (orjson.JSONDecodeError, ValidationError) as error:
        fault = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        detail = f"Send 1 to {MAX_USERS:,} user ids, as a JSON array or a line each."
        return refused(422, "bad_users", f"The body names no users: {fault}.", detail)
    return _Asked(user_ids, k, parse_qs(attributes).get(b"request", [b""])[0], lines)


def _user_ids(body: bytes, *, lines: bool) -> list[str]:
    """Users of a body: strings, objects with `user_id`, or as JSON one object with `user_ids`."""
    if lines:
        given: Any = [orjson.loads(line) for line in body.splitlines() if line.strip()]
    else:
        given = orjson.loads(body)
        if isinstance(given, dict):
            given = _Users.model_validate(given).user_ids
    entries = _ENTRIES.validate_python(given)
    return [entry if isinstance(entry, str) else entry.user_id for entry in entries]


async def _unknown(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = CODES.get(error.status_code, "bad_request")
    status_code, media_type, body = refused(
        error.status_code, code, error.detail, "Send GET /ping or POST /invocations."
    )
    return Response(body, status_code, dict(error.headers or {}), media_type=media_type.decode())
