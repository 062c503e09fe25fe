"""All routes but logins, by FastAPI: probes, metrics, champion, decisions, posted events."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from firstchair.access.authorizer import Refusal
from firstchair.access.bodies import body_of
from firstchair.access.scopes import Scope
from firstchair.errors import FirstchairError
from firstchair.http import intake
from firstchair.http.answers import (
    AFTER,
    BEFORE,
    HEADERS_OF,
    REFUSED,
    UNFORESEEN,
    address_of,
    problem,
    unspooled,
)
from firstchair.http.metrics import exposition
from firstchair.http.pages import Pages
from firstchair.login.logins import DEFAULT_K
from firstchair.outbox.spooled import undelivered, unreadable_bytes

if TYPE_CHECKING:
    from firstchair.http.service import Service
    from firstchair.outbox.spool import Spool

PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {
        "description": text,
        "content": {"application/problem+json": {"schema": {"type": "object"}}},
    }
    for code, text in (
        (401, "no valid token"),
        (403, "the token lacks the scope"),
        (422, "a parameter is out of range"),
        (429, "too many wrong tokens"),
        (503, "nothing published yet"),
    )
}


CODES = {
    **{status_code: code for status_code, code, *_ in REFUSED.values()},
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    413: "too_large",
}


def routes(api: "Service") -> FastAPI:
    """The FastAPI application with all routes but logins."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(api.start)
        yield
        await asyncio.to_thread(api.stop)

    app = FastAPI(
        title="firstchair",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        # A redirect names an absolute address, whose scheme is unknown behind a proxy with TLS.
        redirect_slashes=False,
    )
    _faults(app)
    _probes(app, api)
    _service(app, api)
    if (opens := api.config.console) is not None:
        app.router.default = Pages(lambda: opens(api.published), app.router.not_found)
    return app


def _probes(app: FastAPI, api: "Service") -> None:
    """Add liveness, readiness and metrics, which need no token."""

    @app.get("/healthz", summary="The process lives")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get(
        "/readyz",
        summary="Lists are published and events can be spooled; how old the lists are, what waits "
        "for the event store",
        responses={503: PROBLEMS[503]},
    )
    def readyz() -> dict[str, Any]:
        if api.logins is None:
            raise Refused(
                503, "not_published", "Nothing has been published yet.", "Run `firstchair run`."
            )
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
            "refused": published.refused,
            "undelivered_bytes": waiting,
            "undelivered_seconds": round(time.time() - oldest) if waiting else 0,
            "unreadable_bytes": unreadable_bytes(api.config.spool),
        }

    @app.get("/metrics", summary="Prometheus", response_class=PlainTextResponse)
    def metrics() -> Response:
        counts = api.logins.counts if api.logins else None
        return Response(
            exposition(
                counts,
                worker=api.spool.source,
                served=api.served,
                unreadable=unreadable_bytes(api.config.spool),
            ),
            media_type="text/plain",
        )


def _service(app: FastAPI, api: "Service") -> None:
    """Add the routes that need a token."""
    secured = [Depends(HTTPBearer(auto_error=False)), Depends(_authorised(api, Scope.READ))]
    may_write = [secured[0], Depends(_authorised(api, Scope.WRITE_EVENTS))]

    @app.get(
        "/v1/champion",
        dependencies=secured,
        responses=PROBLEMS,
        summary="The champion, and why it serves",
    )
    def champion() -> Any:
        return api.config.champion()

    @app.get(
        "/v1/decisions",
        dependencies=secured,
        responses=PROBLEMS,
        summary="The ledger, newest first, 1,000 entries a page; the header Link names the next",
    )
    def decisions(
        response: Response,
        before: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    ) -> Any:
        found = api.config.decisions(before)
        if found and (oldest := found[-1]["sequence"]) > 1:
            response.headers["link"] = f'</v1/decisions?before={oldest}>; rel="next"'
        return found

    @app.post(
        "/v1/events",
        dependencies=may_write,
        status_code=202,
        summary="Events, as a JSON array or JSON Lines",
        responses=PROBLEMS
        | {
            400: PROBLEMS[422] | {"description": "the body cannot be unpacked"},
            413: PROBLEMS[422] | {"description": "too large"},
            415: PROBLEMS[422] | {"description": "encoded by something else than gzip"},
        },
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": {"type": "array", "items": {"type": "object"}}}
                },
            }
        },
    )
    async def events(request: Request) -> intake.Taken:
        body = await _plain_body(request)
        records = await asyncio.to_thread(intake.records_in, body)
        if len(records) > intake.MAX_EVENTS:
            raise Refused(
                413,
                "too_large",
                f"There are over {intake.MAX_EVENTS:,} events.",
                "Send fewer events.",
            )
        taken, lines = await asyncio.to_thread(
            intake.judge, records, datetime.now(UTC), api.config.tombstones
        )
        if lines:
            await _spool(api.spool, lines)
            await asyncio.to_thread(api.take, lines)
        return taken

    @app.get(
        f"{BEFORE}{{user_id}}{AFTER}",
        dependencies=secured,
        responses=PROBLEMS,
        summary="The slate of a login; its impressions are written to the event store",
    )
    def recommendations(user_id: str, k: int = DEFAULT_K) -> Any:
        """Describe logins in the OpenAPI document; `Api` answers them before FastAPI is reached."""
        raise Refused(404, "not_found", f"There is no page for {user_id} and {k}.", "Send GET.")


async def _spool(spool: "Spool", lines: list[bytes]) -> None:
    """Write lines to the spool and wait until they are synced.

    Raises:
        Refused: The disk of the spool is full or failing.
    """
    settled, loop = asyncio.get_running_loop().create_future(), asyncio.get_running_loop()
    try:
        spool.append(b"".join(lines), 0)
    except OSError as error:
        raise Refused(*unspooled(error)) from error
    spool.when_synced(lambda fault: _tell(loop, settled, fault))
    if (fault := await settled) is not None:
        raise Refused(*unspooled(fault)) from fault


def _tell(
    loop: asyncio.AbstractEventLoop, settled: asyncio.Future[OSError | None], fault: OSError | None
) -> None:
    def settle() -> None:
        if not settled.done():  # the client may have left
            settled.set_result(fault)

    with suppress(RuntimeError):  # the loop has ended, and with it the request
        loop.call_soon_threadsafe(settle)


class Refused(Exception):
    """An answer that is a problem document."""

    def __init__(self, status_code: int, code: str, title: str, detail: str) -> None:
        super().__init__(title)
        self.problem = (status_code, code, title, detail)


TOO_LARGE = f"The body is over {intake.MAX_BODY_BYTES:,} bytes."


async def _plain_body(request: Request) -> bytes:
    """The body, unpacked if it is gzip; its size is limited before and after."""
    coding = request.headers.get("content-encoding", "").strip().lower()
    if coding not in {"", "identity", "gzip", "x-gzip"}:
        what = f"A body encoded by {coding[:60]} cannot be read."
        raise Refused(415, "unsupported_encoding", what, "Send it plain, or as gzip.")
    body = await body_of(request, most_bytes=intake.MAX_BODY_BYTES)
    if coding in {"", "identity"}:
        return body
    try:
        body = await asyncio.to_thread(intake.unpacked, body)
    except intake.GZIP_FAULTS as error:
        what = f"The body cannot be unpacked: {error}."
        raise Refused(400, "bad_encoding", what, "Send whole gzip data, or plain.") from error
    if len(body) > intake.MAX_BODY_BYTES:
        raise Refused(413, "too_large", TOO_LARGE, "Send fewer events.")
    return body


def _authorised(api: "Service", scope: Scope) -> Callable[[Request], None]:
    def check(request: Request) -> None:
        given = request.headers.get("authorization", "").encode("latin-1", "replace")
        found = api.config.authorizer.of_header(given, address_of(request.scope), scope)
        if isinstance(found, Refusal):
            raise Refused(*REFUSED[found])
        api.keep_connection(request.scope)

    return check


def _problem_response(
    status_code: int, code: str, title: str, detail: str, headers: dict[str, str] | None = None
) -> Response:
    body = orjson.dumps(problem(status_code, code, title, detail))
    return Response(body, status_code, headers, media_type="application/problem+json")


def _is_browser(request: Request) -> bool:
    """Whether the request is for a page; calls of the interface always get problem documents."""
    is_call = request.url.path.startswith("/v1/")
    return not is_call and "text/html" in request.headers.get("accept", "")


def _fault_page(status_code: int, what: str, remedy: str) -> Response:
    """The error page for a browser; the templates are loaded at the first use."""
    from firstchair.console.guard import fault_page

    return fault_page(status_code, what, remedy)


def _faults(app: FastAPI) -> None:
    @app.exception_handler(Refused)
    def told(_: Request, error: Refused) -> Response:
        return _problem_response(*error.problem, HEADERS_OF.get(error.problem[0], {}))

    @app.exception_handler(FirstchairError)
    def fault(request: Request, error: FirstchairError) -> Response:
        detail = f"{error.data} {error.remedy}"
        if _is_browser(request):
            return _fault_page(error.http_status, error.what, detail)
        return _problem_response(error.http_status, error.code, error.what, detail)

    @app.exception_handler(Exception)
    def unforeseen(request: Request, error: Exception) -> Response:
        status_code, kind, body = UNFORESEEN
        if _is_browser(request):
            document = orjson.loads(body)
            return _fault_page(status_code, document["title"], document["detail"])
        return Response(body, status_code, media_type=kind.decode())

    @app.exception_handler(HTTPException)
    def unknown(request: Request, error: HTTPException) -> Response:
        if _is_browser(request):
            titles = {404: "There is no such page.", 405: "This page takes another method."}
            title = titles.get(error.status_code, str(error.detail))
            return _fault_page(error.status_code, title, "Nothing was done.")
        code = CODES.get(error.status_code, "bad_request")
        headers = dict(error.headers or {})
        return _problem_response(
            error.status_code, code, str(error.detail), "See /openapi.json.", headers
        )

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return _problem_response(
            422, "out_of_range", f"{where}: {first['msg']}", "See /openapi.json."
        )
