"""Signing in: the page, the cookie of a session, and the way through an identity provider."""

import re
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from firstchair.access.audit import AuditLog
from firstchair.access.oidc import PATIENCE, Failure, Provider
from firstchair.access.sessions import COOKIE, LASTS, Sessions
from firstchair.console.guard import SIGN_IN, Clock, address_of, fault_page
from firstchair.console.rendering import rendered
from firstchair.errors import FirstchairError

BY_PROVIDER, BACK = f"{SIGN_IN}/provider", f"{SIGN_IN}/provider/back"
# What a sign-in by the provider has to remember.
STEP_COOKIE = "firstchair_sign_in"
# Exactly one slash at the beginning: after two, a browser expects the name of another machine.
OWN_PATH = re.compile(r"/(?!/)[\w\-/?=&.%:+]*")
REMEDIES = {
    Failure.STALE: "Begin again at the sign-in page, in this browser.",
    Failure.DENIED: "Ask who runs the identity provider, or sign in with a token.",
    Failure.NOT_PROVEN: "Ask who runs the identity provider, or sign in with a token.",
    Failure.NO_ROLE: "Ask an operator to put one of your groups into `oidc_viewers` or "
    "`oidc_operators`.",
}


@dataclass(frozen=True, slots=True)
class Entrance:
    """What signing in needs."""

    sessions: Sessions
    audit: AuditLog
    clock: Clock
    provider: Provider | None

    def page(self, then: str, refused: str | None = None, status: int = 200) -> Response:
        """The sign-in page; `then` is where it leads, `refused` names why it is shown again."""
        issuer = None if self.provider is None else self.provider.issuer
        return rendered(
            "sign_in.html", {"next": then, "refused": refused, "issuer": issuer}, status
        )

    def note(self, request: Request, name: str, outcome: str) -> None:
        """Write a line about a sign-in to the audit log."""
        self.audit.note("sign in", by=name, address=address_of(request), outcome=outcome)


def local(path: str) -> str:
    """A path of this site; anything that could lead elsewhere becomes the first page."""
    return path if OWN_PATH.fullmatch(path) else "/"


def with_session(request: Request, answer: Response, cookie: str) -> Response:
    """The answer, which lets the browser keep a session."""
    answer.set_cookie(
        COOKIE,
        cookie,
        max_age=int(LASTS.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=_scheme(request) == "https",
    )
    return answer


def provider_routes(whole: APIRouter, entrance: Entrance, provider: Provider) -> None:
    """Add the way to the provider and back."""

    @whole.get(BY_PROVIDER)
    def to_provider(request: Request, next: str = "/") -> Response:
        back = f"{_scheme(request)}://{request.url.netloc}{BACK}"
        try:
            address, kept = provider.begin(back, local(next))
        except FirstchairError as error:
            return _fault(error)
        answer = RedirectResponse(address, 303, {"cache-control": "no-store"})
        # Lax: the provider's page leads back here, and a strict cookie would not come along.
        answer.set_cookie(
            STEP_COOKIE,
            kept,
            max_age=PATIENCE,
            path=BACK,
            httponly=True,
            samesite="lax",
            secure=_scheme(request) == "https",
        )
        return answer

    @whole.get(BACK)
    def from_provider(request: Request) -> Response:
        try:
            found = provider.finish(request.cookies.get(STEP_COOKIE, ""), request.query_params)
        except FirstchairError as error:
            return _fault(error)
        if isinstance(found, Failure):
            entrance.note(request, "?", found.value)
            what = f"You are not signed in: {found.value}."
            return fault_page(403, what, REMEDIES[found])
        person, then = found
        cookie = entrance.sessions.begin_for(person, entrance.clock())
        entrance.note(request, person.name, "done")
        # A page, not a redirect: after one, the browser would count the provider's page as the
        # origin of the next request, and leave the strict cookie of the session out.
        answer = with_session(request, rendered("signed_in.html", {"next": local(then)}), cookie)
        answer.delete_cookie(STEP_COOKIE, path=BACK)
        return answer


def _fault(error: FirstchairError) -> Response:
    return fault_page(error.http_status, error.what, f"{error.data} {error.remedy}")


def _scheme(request: Request) -> str:
    """The scheme that the browser used, in front of a proxy that says so."""
    return "https" if request.headers.get("x-forwarded-proto") == "https" else request.url.scheme
