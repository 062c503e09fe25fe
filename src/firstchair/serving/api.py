"""The HTTP interface: logins on a path of their own, everything that people read and write through FastAPI."""

import asyncio
import hmac
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from firstchair.errors import FirstchairError, ModelError
from firstchair.serving import intake
from firstchair.serving.answers import (
    AFTER,
    BEFORE,
    JSON,
    NOT_PUBLISHED,
    OUT_OF_RANGE,
    UNAUTHORIZED,
    Answer,
    named_user,
    problem,
    refused,
    requested_length,
    unspooled,
)
from firstchair.serving.delivery import DELIVER_SECONDS, Courier
from firstchair.serving.hearing import Hearing
from firstchair.serving.logins import DEFAULT_K, Logins
from firstchair.serving.metrics import exposition
from firstchair.serving.published import current, open_published
from firstchair.serving.slates import Allocation
from firstchair.serving.spool import Spool, undelivered

RELOAD_SECONDS = 0.25
HEAR_SECONDS = 0.25

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """What a worker needs to know, all of it from the settings.

    champion, decisions: what `firstchair status` and `firstchair decisions` tell, asked when somebody asks.
    """

    published: Path
    spool: Path
    events_url: str
    pseudonym_key: bytes
    token: str
    seed: int
    allocation: Allocation
    champion: Callable[[], object]
    decisions: Callable[[], object]
    fold_in: bool = True


class Api:
    """One worker: an ASGI application over the published lists and a spool of its own."""

    def __init__(self, config: ApiConfig) -> None:
        self.config = config
        self.spool = Spool(config.spool)
        self.hearing = Hearing(
            config.spool / "signals",
            self.spool.source,
            events_url=config.events_url,
            pseudonym_key=config.pseudonym_key,
        )
        self._courier = Courier(config.spool, config.events_url)
        self.logins: Logins | None = None
        self.served: str | None = None
        self._bearer = b"Bearer " + config.token.encode()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._every, args=(RELOAD_SECONDS, self.reload), daemon=True),
            threading.Thread(target=self._every, args=(DELIVER_SECONDS, self._courier.keep), daemon=True),
        ]
        if config.fold_in:
            self._threads.append(threading.Thread(target=self._every, args=(HEAR_SECONDS, self.hear), daemon=True))
        self._pages = _pages(self)

    def start(self) -> None:
        """Map what is published, and begin to sync, reload and deliver."""
        self.reload()
        self.spool.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Bring what is in the spool to the event store."""
        self._stop.set()
        self.hearing.close()
        for thread in self._threads:
            thread.join()
        self.spool.close()
        self._courier.end()

    def reload(self) -> None:
        """Serve the version that the pointer names now; where nothing whole is there, what is served stays."""
        named = current(self.config.published)
        if named is None or named == self.served:
            return
        try:
            published = open_published(self.config.published)
        except ModelError:
            return
        if self.logins is None:
            config = self.config
            self.logins = Logins(
                published,
                self.spool,
                pseudonym_key=config.pseudonym_key,
                seed=config.seed,
                allocation=config.allocation,
                today=self.hearing.today,
            )
        else:
            self.logins.serve(published)
        self.served = named

    def hear(self) -> None:
        """Learn what the other workers were told of since the last time."""
        self.hearing.step(time.time())

    def take(self, lines: Sequence[bytes]) -> None:
        """Signals among accepted events count from the next login on."""
        if self.config.fold_in:
            self.hearing.take(lines, time.time())

    def _every(self, seconds: float, work: Callable[[], object]) -> None:
        while not self._stop.wait(seconds):
            try:
                work()
            except OSError:  # a disk that is full or away is tried again
                continue

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http" and scope["method"] == "GET":
            user_id = named_user(scope["path"])
            if user_id is not None:
                await self._login(scope, user_id, send)
                return
        await self._pages(scope, receive, send)

    async def _login(self, scope: Message, user_id: str, send: Send) -> None:
        allowed, request = False, b""
        for name, value in scope["headers"]:
            if name == b"authorization":
                allowed = hmac.compare_digest(value, self._bearer)
            elif name == b"idempotency-key":
                request = value
        status_code, kind, body = self._answer(scope["query_string"], user_id, allowed, request)
        headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
        if status_code == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        await send({"type": "http.response.start", "status": status_code, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, query: bytes, user_id: str, allowed: bool, request: bytes) -> Answer:
        if not allowed:
            return UNAUTHORIZED
        k = requested_length(query) if query else DEFAULT_K
        if k is None:
            return OUT_OF_RANGE
        if self.logins is None:
            return NOT_PUBLISHED
        try:
            return 200, JSON, self.logins.login(user_id, k, time.time(), request)
        except OSError as error:
            return refused(*unspooled(error))


def _problem_response(
    status_code: int, code: str, title: str, detail: str, headers: dict[str, str] | None = None
) -> Response:
    body = orjson.dumps(problem(status_code, code, title, detail))
    return Response(body, status_code, headers, media_type="application/problem+json")


PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"description": text, "content": {"application/problem+json": {"schema": {"type": "object"}}}}
    for code, text in ((401, "no valid token"), (422, "a parameter is out of range"), (503, "nothing published yet"))
}


def _pages(api: Api) -> FastAPI:
    """Everything but logins."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(api.start)
        yield
        await asyncio.to_thread(api.stop)

    app = FastAPI(title="firstchair", version="1", lifespan=lifespan, docs_url=None, redoc_url=None)
    _faults(app)
    _probes(app, api)
    _service(app, api)
    return app


def _probes(app: FastAPI, api: Api) -> None:
    """Liveness, readiness and metrics, open to all."""

    @app.get("/healthz", summary="The process lives")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get(
        "/readyz",
        summary="Lists are published and events can be spooled; how old the lists are, what waits for the event store",
        responses={503: PROBLEMS[503]},
    )
    def readyz() -> dict[str, Any]:
        if api.logins is None:
            raise Refused(503, "not_published", "Nothing has been published yet.", "Run `firstchair run`.")
        if api.spool.fault is not None:
            raise Refused(*unspooled(api.spool.fault))
        published = api.logins.rendered.published
        waiting, oldest = undelivered(api.config.spool)
        age = datetime.now(UTC).date() - published.as_of
        return {
            "status": "ready",
            "published": published.version,
            "as_of": published.as_of,
            "age_days": age.days,
            "users": published.users,
            "undelivered_bytes": waiting,
            "undelivered_seconds": round(time.time() - oldest) if waiting else 0,
        }

    @app.get("/metrics", summary="Prometheus", response_class=PlainTextResponse)
    def metrics() -> Response:
        counts = api.logins.counts if api.logins else None
        return Response(exposition(counts, worker=api.spool.source, served=api.served), media_type="text/plain")


def _service(app: FastAPI, api: Api) -> None:
    """What wants a token."""
    secured = [Depends(HTTPBearer(auto_error=False)), Depends(_authorised(api))]

    @app.get("/v1/champion", dependencies=secured, responses=PROBLEMS, summary="Who plays first chair, and why")
    def champion() -> Any:
        return api.config.champion()

    @app.get("/v1/decisions", dependencies=secured, responses=PROBLEMS, summary="The ledger, newest first")
    def decisions() -> Any:
        return api.config.decisions()

    @app.post(
        "/v1/events",
        dependencies=secured,
        status_code=202,
        summary="Events, as a JSON array or JSON Lines",
        responses=PROBLEMS | {413: PROBLEMS[422] | {"description": "too large"}},
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"type": "array", "items": {"type": "object"}}}},
            }
        },
    )
    async def events(request: Request) -> intake.Taken:
        body = await _body(request)
        records = await asyncio.to_thread(intake.records_in, body)
        if len(records) > intake.MAX_EVENTS:
            raise Refused(413, "too_large", f"There are over {intake.MAX_EVENTS:,} events.", "Send fewer events.")
        taken, lines = await asyncio.to_thread(intake.judge, records, datetime.now(UTC))
        if lines:
            api.spool.append(b"".join(lines), 0)
            settled, loop = asyncio.get_running_loop().create_future(), asyncio.get_running_loop()
            api.spool.when_synced(lambda fault: _tell(loop, settled, fault))
            if (fault := await settled) is not None:
                raise fault
            await asyncio.to_thread(api.take, lines)
        return taken

    @app.get(
        f"{BEFORE}{{user_id}}{AFTER}",
        dependencies=secured,
        responses=PROBLEMS,
        summary="The slate of a login; its impressions are written to the event store",
    )
    def recommendations(user_id: str, k: int = DEFAULT_K) -> Any:
        """Answered before FastAPI is reached; stands here for the description of the interface."""
        raise Refused(404, "not_found", f"There is no page for {user_id} and {k}.", "Send GET.")


def _tell(loop: asyncio.AbstractEventLoop, settled: asyncio.Future[OSError | None], fault: OSError | None) -> None:
    def settle() -> None:
        if not settled.done():  # whoever asked may be gone
            settled.set_result(fault)

    with suppress(RuntimeError):  # the loop has ended, and with it the request
        loop.call_soon_threadsafe(settle)


class Refused(Exception):
    """An answer that is a problem document."""

    def __init__(self, status_code: int, code: str, title: str, detail: str) -> None:
        super().__init__(title)
        self.problem = (status_code, code, title, detail)


async def _body(request: Request) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > intake.MAX_BODY_BYTES:
            raise Refused(413, "too_large", f"The body is over {intake.MAX_BODY_BYTES:,} bytes.", "Send fewer events.")
        parts.append(part)
    return b"".join(parts)


def _authorised(api: Api) -> Callable[[Request], None]:
    expected = b"Bearer " + api.config.token.encode()

    def check(request: Request) -> None:
        given = request.headers.get("authorization", "").encode("latin-1", "replace")
        if not hmac.compare_digest(given, expected):
            raise Refused(401, "unauthorized", "A bearer token is needed.", "Send the api_token.")

    return check


def _faults(app: FastAPI) -> None:
    @app.exception_handler(Refused)
    def told(_: Request, error: Refused) -> Response:
        headers = {"www-authenticate": "Bearer"} if error.problem[0] == 401 else {}
        return _problem_response(*error.problem, headers)

    @app.exception_handler(FirstchairError)
    def fault(_: Request, error: FirstchairError) -> Response:
        return _problem_response(503, error.code, error.what, f"{error.data} {error.remedy}")

    @app.exception_handler(Exception)
    def unforeseen(_: Request, error: Exception) -> Response:
        return _problem_response(500, "unforeseen", "Something failed that nobody foresaw.", "Read the API's log.")

    @app.exception_handler(OSError)
    def unspoolable(_: Request, error: OSError) -> Response:
        return _problem_response(*unspooled(error))

    @app.exception_handler(HTTPException)
    def unknown(_: Request, error: HTTPException) -> Response:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
        headers = dict(error.headers or {})
        return _problem_response(error.status_code, code, str(error.detail), "See /openapi.json.", headers)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return _problem_response(422, "out_of_range", f"{where}: {first['msg']}", "See /openapi.json.")
