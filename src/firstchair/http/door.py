"""The door of Dagster and MLflow: a small reverse proxy that asks who comes and what for.

python -m firstchair.http.door DAGSTER_URL MLFLOW_URL

Both processes behind it listen on loopback at private ports. The door listens at their public
ports on the same machine. Whoever reads needs a token with the scope `read`, or comes over loopback
while `loopback_reads` is set; whoever writes needs `operate`.
"""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from firstchair.access.audit import AuditLog
from firstchair.access.authorizer import Authorizer, Refusal
from firstchair.access.bodies import body_of
from firstchair.access.hosts import AllowedHosts
from firstchair.access.scopes import Scope
from firstchair.access.sessions import COOKIE, Session, Sessions
from firstchair.access.tokens import Tokens
from firstchair.http.answers import HEADERS_OF, MISDIRECTED, NOT_ALLOWED, Answer, refused
from firstchair.http.connections import DeadlineProtocol
from firstchair.http.door_rules import READ_METHODS, Ask, Asked, Rule, dagster_rule, mlflow_rule
from firstchair.settings import Settings, load_settings

LISTENS_AT = "127.0.0.1"
MOST_BODY_BYTES = 16 << 20
SECONDS = httpx.Timeout(10, read=120)
METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]
# A person who may read because they are on this machine.
LOCAL = Session("loopback", frozenset({Scope.READ}), "")
# Of one connection (RFC 9110, section 7.6.1), or about who comes: nothing behind needs to know.
NOT_FORWARDED = frozenset({
    "authorization", "connection", "content-length", "cookie", "expect", "forwarded", "host",
    "keep-alive", "origin", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade",
    "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
})  # fmt: skip
NOT_RETURNED = frozenset({"connection", "keep-alive", "location", "transfer-encoding", "server"})
ADDED = {
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
}
FOREIGN = refused(
    403, "foreign_origin", "The request comes from another site.", "Nothing was done."
)
NEVER = refused(
    403,
    "not_a_read",
    "A mutation comes by POST, as JSON, and in no address.",
    "Nothing was done.",
)
AWAY = refused(502, "not_answering", "The service behind does not answer.", "Read its log.")


@dataclass(frozen=True)
class Door:
    """One service behind the door, and what the door knows of those who come.

    name: as the audit log has it. behind: address of the service. sign_in_port: of the console.
    """

    name: str
    behind: str
    rule: Rule
    sessions: Sessions
    audit: AuditLog
    hosts: AllowedHosts = field(default_factory=AllowedHosts)
    loopback_reads: bool = True
    sign_in_port: int = 8000
    transport: httpx.AsyncBaseTransport | None = None

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.behind, timeout=SECONDS, transport=self.transport, trust_env=False
        )

    async def answer(self, request: Request) -> Response:
        """Answer one request, by the service behind or by a refusal."""
        if not self.hosts.admits(request.headers.get("host", "").encode("latin-1")):
            return _problem(MISDIRECTED)
        if _is_foreign(request):
            return _problem(FOREIGN)
        person = await asyncio.to_thread(self._person, request)
        if isinstance(person, Refusal):
            return self._sent_to_sign_in(request, person)
        return await self._answer_to(person, request)

    async def _answer_to(self, person: Session, request: Request) -> Response:
        try:
            target = self._target(request)
        except httpx.InvalidURL:
            return _problem(NEVER)
        asked = await _asked(request, target)
        ask = self.rule(asked)
        if ask is Ask.REFUSED:
            return _problem(NEVER)
        if ask is Ask.READ:
            return await self._forwarded(request, target, asked.body)
        about = f"{asked.method} {asked.path}"
        if not person.may_operate:
            self._noted(request, person, Refusal.NO_SCOPE.value, about)
            return _problem(NOT_ALLOWED[Refusal.NO_SCOPE])
        answer = await self._forwarded(request, target, asked.body)
        self._noted(request, person, f"answered {answer.status_code}", about)
        return answer

    def _person(self, request: Request) -> Session | Refusal:
        """Who comes: by a token, by a session of the console, or over loopback."""
        address = request.client.host if request.client else ""
        if (header := request.headers.get("authorization")) is not None:
            return self.sessions.of_header(header, address)
        cookie = request.cookies.get(COOKIE, "")
        session = self.sessions.open(cookie, datetime.now(UTC)) if cookie else None
        if session is not None:
            return session
        return LOCAL if self.loopback_reads and _is_loopback(address) else Refusal.NO_TOKEN

    def _sent_to_sign_in(self, request: Request, refusal: Refusal) -> Response:
        wants_page = "text/html" in request.headers.get("accept", "")
        if refusal is not Refusal.NO_TOKEN or not wants_page or request.method != "GET":
            return _problem(NOT_ALLOWED[refusal])
        console = request.url.replace(port=self.sign_in_port, path="/sign-in", query="")
        return RedirectResponse(str(console), 303, {"cache-control": "no-store"})

    def _target(self, request: Request) -> httpx.URL:
        """The address that is asked behind the door; the rules judge this one and no other.

        Raises:
            httpx.InvalidURL: The path is none.
        """
        path = request.scope["raw_path"].partition(b"?")[0].decode("ascii", "replace")
        query = request.scope["query_string"].decode("ascii", "replace")
        return httpx.URL(self.behind + path + (f"?{query}" if query else ""))

    async def _forwarded(self, request: Request, target: httpx.URL, body: bytes) -> Response:
        own = [(n, v) for n, v in request.headers.items() if n not in NOT_FORWARDED]
        headers = [("accept-encoding", "identity")] * ("accept-encoding" not in dict(own)) + own
        try:
            sent = self._client.build_request(request.method, target, headers=headers, content=body)
            found = await self._client.send(sent, stream=True)
        except httpx.HTTPError:
            return _problem(AWAY)
        return StreamingResponse(_rest(found), found.status_code, _returned(found, self.behind))

    def _noted(self, request: Request, person: Session, outcome: str, about: str) -> None:
        address = request.client.host if request.client else ""
        self.audit.note(self.name, by=person.name, address=address, outcome=outcome, about=about)


def application(doors: Mapping[int, Door], tokens: Tokens) -> Starlette:
    """The application over all doors; the port that was asked says which."""

    async def answer(request: Request) -> Response:
        _, port = request.scope["server"]
        return await doors[port].answer(request)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        refreshing = asyncio.create_task(_refreshed(tokens))
        yield
        refreshing.cancel()

    return Starlette(
        routes=[Route("/{path:path}", answer, methods=METHODS)],
        lifespan=lifespan,
        exception_handlers={HTTPException: _fault},
    )


def doors_of(settings: Settings, tokens: Tokens, dagster: str, mlflow: str) -> dict[int, Door]:
    """The doors of a platform by their ports.

    Raises:
        SourceError: The database of sessions cannot be reached.
    """
    from firstchair.databases import open_databases

    url = open_databases(settings).ledger
    sessions = Sessions(Authorizer(tokens), url, issuer=settings.oidc_issuer)
    behind = {
        settings.dagster_port: ("Dagster", dagster, dagster_rule),
        settings.mlflow_port: ("MLflow", mlflow, mlflow_rule),
    }
    return {
        port: Door(
            name,
            address,
            rule,
            sessions,
            AuditLog.at(settings.home),
            AllowedHosts.of(settings.allowed_hosts, listens_at=LISTENS_AT),
            settings.loopback_reads,
            settings.api_port,
        )
        for port, (name, address, rule) in behind.items()
    }


def main(dagster: str, mlflow: str) -> None:
    """Serve both doors until a signal ends it."""
    settings = load_settings()
    tokens = Tokens.of(settings)
    doors = doors_of(settings, tokens, dagster, mlflow)
    config = uvicorn.Config(
        application(doors, tokens),
        http=DeadlineProtocol,
        ws="none",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_level="warning",
    )
    sockets = [socket.create_server((LISTENS_AT, port)) for port in doors]
    uvicorn.Server(config).run(sockets)


async def _asked(request: Request, target: httpx.URL) -> Asked:
    body = b""
    if request.method not in READ_METHODS:
        body = await body_of(request, most_bytes=MOST_BODY_BYTES)
    return Asked(
        request.method,
        target.path,
        target.query.decode("latin-1"),
        request.headers.get("content-type", ""),
        body,
    )


def _is_foreign(request: Request) -> bool:
    """Whether a page of another site, or of another port of this machine, sent the request.

    Links may lead here from anywhere; they send no origin, and a read does no harm.
    """
    origin = request.headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower()
    site = request.headers.get("sec-fetch-site", "none")
    return request.method not in READ_METHODS and site not in {"same-origin", "none"}


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _returned(found: httpx.Response, behind: str) -> dict[str, str]:
    """Headers of the service's answer, without those that open it to other sites."""
    kept = {
        name: value
        for name, value in found.headers.items()
        if name not in NOT_RETURNED and not name.startswith("access-control-")
    }
    if (location := found.headers.get("location")) is not None:
        kept["location"] = location.removeprefix(behind) or "/"
    return ADDED | kept


async def _rest(found: httpx.Response) -> AsyncIterator[bytes]:
    """The body as it is encoded."""
    try:
        async for part in found.aiter_raw():
            yield part
    finally:
        await found.aclose()


async def _refreshed(tokens: Tokens) -> None:
    """Read the tokens that changed, each second; a file that cannot be read changes nothing."""
    from firstchair.errors import SettingsError

    while True:
        await asyncio.sleep(1)
        with contextlib.suppress(SettingsError, OSError):
            await asyncio.to_thread(tokens.refresh, datetime.now(UTC))


def _problem(answer: Answer) -> Response:
    status_code, media_type, body = answer
    headers = ADDED | HEADERS_OF.get(status_code, {})
    return Response(body, status_code, headers, media_type=media_type.decode())


async def _fault(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {404: "not_found", 405: "method_not_allowed", 408: "too_slow", 413: "too_large"}
    code = codes.get(error.status_code, "bad_request")
    return _problem(refused(error.status_code, code, str(error.detail), "Nothing was done."))


if __name__ == "__main__":
    main(*sys.argv[1:])
