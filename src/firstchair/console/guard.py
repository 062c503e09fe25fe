"""Access to pages: sessions, forms, and error pages."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, quote

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute

from firstchair.access.authorizer import Refusal
from firstchair.access.bodies import body_of
from firstchair.access.sessions import COOKIE, Session, Sessions, is_own_form
from firstchair.console.rendering import rendered
from firstchair.errors import FirstchairError

SIGN_IN = "/sign-in"
FORM_TOKEN = "form_token"
MOST_FORM_BYTES = 65_536
STATUS_OF = {Refusal.NO_TOKEN: 401, Refusal.NO_SCOPE: 403, Refusal.TOO_MANY_WRONG: 429}
OWN_SITE = ("", "same-origin", "none")

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Clock = Callable[[], datetime]


def page_route(sessions: Sessions, clock: Clock) -> type[APIRoute]:
    """A route class that requires a session and answers errors with pages."""

    class PageRoute(APIRoute):
        def get_route_handler(self) -> Handler:
            handler = super().get_route_handler()

            async def guarded(request: Request) -> Response:
                session = await asyncio.to_thread(session_of, request, sessions, clock())
                if isinstance(session, Refusal):
                    return _sent_to_sign_in(request, session)
                request.state.session = session
                try:
                    return await handler(request)
                except FirstchairError as error:
                    what = f"{error.data} {error.remedy}"
                    return fault_page(error.http_status, error.what, what)
                except RequestValidationError as error:
                    where = ".".join(str(part) for part in error.errors()[0]["loc"])
                    return fault_page(
                        422, "This page cannot be asked for so.", f"Look at {where} in the address."
                    )

            return guarded

    return PageRoute


def session_of(request: Request, sessions: Sessions, now: datetime) -> Session | Refusal:
    """The session of a request, found by its cookie or by a token, or why there is none."""
    if (header := request.headers.get("authorization")) is not None:
        return sessions.of_header(header, address_of(request))
    return sessions.open(request.cookies.get(COOKIE, ""), now) or Refusal.NO_TOKEN


def address_of(request: Request) -> str:
    """The client's address; empty if it has none."""
    return request.client.host if request.client else ""


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form, which must come from a page of this site."""
    if request.headers.get("sec-fetch-site", "") not in OWN_SITE:
        raise HTTPException(403, "The form was sent from another site.")
    body = await body_of(request, most_bytes=MOST_FORM_BYTES)
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[-1] for name, values in fields.items()}


def is_forged(request: Request, form: dict[str, str]) -> bool:
    """Whether a form did not come from a page of its own session."""
    session: Session = request.state.session
    return not is_own_form(session, form.get(FORM_TOKEN, ""))


def fault_page(status_code: int, what: str, remedy: str) -> Response:
    """An error page for a person."""
    return rendered(
        "fault.html", {"what": what, "remedy": remedy, "status": status_code}, status_code
    )


def forged_page() -> Response:
    """The answer to a forged form."""
    return fault_page(
        403,
        "The form did not come from this session.",
        "Nothing was done. Open the page again and send it from there.",
    )


def _sent_to_sign_in(request: Request, refusal: Refusal) -> Response:
    """Show a browser the sign-in form, without doing what it sent; refuse others."""
    if refusal is not Refusal.NO_TOKEN:
        raise HTTPException(STATUS_OF[refusal], f"{refusal.value.capitalize()}.")
    if "text/html" in request.headers.get("accept", ""):
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        path = path if request.method == "GET" else "/"
        return RedirectResponse(f"{SIGN_IN}?next={quote(path)}", 303, {"cache-control": "no-store"})
    raise HTTPException(401, "A bearer token is needed.", {"www-authenticate": "Bearer"})
