"""The console's routes: each reads the values of a page and renders them."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import FileResponse, RedirectResponse

import firstchair
from firstchair.access.audit import AuditLog
from firstchair.access.authorizer import Refusal
from firstchair.access.oidc import Provider
from firstchair.access.sessions import COOKIE, Session, Sessions
from firstchair.console import roles
from firstchair.console.entrance import Entrance, local, provider_routes, with_session
from firstchair.console.guard import (
    SIGN_IN,
    STATUS_OF,
    Clock,
    address_of,
    fault_page,
    forged_page,
    form_of,
    is_forged,
    page_route,
    session_of,
)
from firstchair.console.pages.audition import audition_page
from firstchair.console.pages.by_hand import Typed, hand_page
from firstchair.console.pages.decisions import ALL_ENTRIES, Asked, decisions_page, entry_of
from firstchair.console.pages.drift import drift_page, report_path
from firstchair.console.pages.engagement import SPANS_DAYS, engagement_page
from firstchair.console.pages.lineage import lineage_page
from firstchair.console.pages.listener import listener_page
from firstchair.console.pages.now import now_page
from firstchair.console.pages.quality import quality_page
from firstchair.console.rendering import rendered, report_headers
from firstchair.console.simulation import is_simulated
from firstchair.console.sources import Sources
from firstchair.definitions.follower_tiers import KNOWN_TIERS
from firstchair.definitions.instants import instant_of
from firstchair.definitions.segments import Segment
from firstchair.errors import FirstchairError
from firstchair.promotion import evaluation_of, explained

# The largest number of an entry or a stage that an address may name.
MOST_NUMBER = 2**63 - 1
# What can be said of an alert: known until it ends, quiet for a day, or none of it.
DEEDS, SNOOZE = ("acknowledge", "snooze", "withdraw"), timedelta(days=1)
Form = Annotated[dict[str, str], Depends(form_of)]


def _utc_now() -> datetime:
    return datetime.now(UTC)


def console(
    sources: Sources,
    *,
    sessions: Sessions,
    audit: AuditLog,
    clock: Clock = _utc_now,
    provider: Provider | None = None,
) -> APIRouter:
    """The router of all pages; every page but the sign-in requires a session.

    Args:
        sources: What pages read.
        sessions: Of people.
        audit: Where what people do is noted.
        clock: The present instant.
        provider: Signs people in beside their tokens; None where no such provider is set.
    """
    whole = APIRouter(include_in_schema=False, redirect_slashes=False)
    pages = APIRouter(route_class=page_route(sessions, clock), include_in_schema=False)
    entrance = Entrance(sessions, audit, clock, provider)
    _door(whole, pages, entrance)
    if provider is not None:
        provider_routes(whole, entrance, provider)
    _monitoring(pages, sources, clock)
    _ledger(pages, sources)
    _people(pages, sources)
    _hand(pages, sources, audit)
    _alerts(pages, sources, audit, clock)
    whole.include_router(pages)
    return whole


def _door(whole: APIRouter, pages: APIRouter, entrance: Entrance) -> None:
    sessions, audit = entrance.sessions, entrance.audit

    @whole.get(SIGN_IN)
    def sign_in(request: Request, next: str = "/") -> Response:
        if isinstance(session_of(request, sessions, entrance.clock()), Session):
            return RedirectResponse(local(next), 303)
        return entrance.page(local(next))

    @whole.post(SIGN_IN)
    def signed_in(request: Request, form: Form) -> Response:
        then = local(form.get("next", "/"))
        cookie = sessions.begin(
            form.get("token", "").strip(), address_of(request), entrance.clock()
        )
        if isinstance(cookie, Refusal):
            entrance.note(request, "?", cookie.value)
            return entrance.page(then, cookie.name, STATUS_OF[cookie])
        opened = sessions.open(cookie, entrance.clock())
        entrance.note(request, opened.name if opened else "?", "done")
        return with_session(request, RedirectResponse(then, 303), cookie)

    @pages.post("/sign-out")
    def sign_out(request: Request, form: Form) -> Response:
        if is_forged(request, form):
            return forged_page()
        sessions.end(request.cookies.get(COOKIE, ""))
        _noted(audit, request, "sign out", "done")
        answer = RedirectResponse(SIGN_IN, 303)
        answer.delete_cookie(COOKIE)
        return answer


def _noted(audit: AuditLog, request: Request, deed: str, outcome: str, about: str = "") -> None:
    """Write what the person of a session did to the audit log."""
    name, address = request.state.session.name, address_of(request)
    audit.note(deed, by=name, address=address, outcome=outcome, about=about)


def _shown(
    request: Request, sources: Sources, template: str, /, status_code: int = 200, **values: Any
) -> Response:
    """Render a page of a session."""
    context = {
        "path": request.url.path,
        "form_token": request.state.session.form_token,
        "may_operate": request.state.session.may_operate,
        "simulated": is_simulated(sources),
        "version": firstchair.__version__,
        "addresses": sources.config.addresses,
        "k_anonymity": sources.config.k_anonymity,
        **values,
    }
    return rendered(template, context, status_code)


def _monitoring(pages: APIRouter, sources: Sources, clock: Clock) -> None:
    @pages.get("/")
    def now(request: Request) -> Response:
        return _shown(request, sources, "now.html", page=now_page(sources, clock()))

    @pages.get("/audition")
    def audition(
        request: Request, stage: Annotated[int, Query(ge=0, le=MOST_NUMBER)] = 0
    ) -> Response:
        return _shown(
            request, sources, "audition.html", page=audition_page(sources, stage), number=stage
        )

    @pages.get("/engagement")
    def engagement(
        request: Request,
        segment: Segment = Segment.LIFECYCLE,
        days: Literal["14", "28", "90"] = "28",
    ) -> Response:
        page = engagement_page(sources, segment=segment, span_days=int(days))
        return _shown(
            request,
            sources,
            "engagement.html",
            page=page,
            segments=list(Segment),
            spans=SPANS_DAYS,
            tiers=KNOWN_TIERS,
        )

    @pages.get("/drift")
    def drift(request: Request, day: date | None = None) -> Response:
        return _shown(request, sources, "drift.html", page=drift_page(sources, day))

    @pages.get("/reports/{concern}/{day}")
    def report(concern: str, day: date) -> Response:
        path = report_path(sources, concern, day)
        if path is None:
            return fault_page(
                404, f"There is no such report of {day}.", "Choose another day from Drift."
            )
        return FileResponse(path, media_type="text/html", headers=report_headers())

    @pages.get("/quality")
    def quality(request: Request) -> Response:
        return _shown(request, sources, "quality.html", page=quality_page(sources))


def _ledger(pages: APIRouter, sources: Sources) -> None:
    @pages.get("/decisions")
    def decisions(
        request: Request,
        decision: str = "",
        text: str = "",
        before: Annotated[int | None, Query(ge=1, le=MOST_NUMBER)] = None,
        at: str = "",
    ) -> Response:
        try:
            instant = instant_of(at, zone=UTC) if at else None
        except ValueError as error:
            return fault_page(422, f"{error}.", "Type another time.")
        page = decisions_page(sources, Asked(decision, text[:200], before, instant))
        return _shown(request, sources, "decisions.html", page=page, at=at)

    @pages.get("/decisions/{named}")
    def one(request: Request, named: str) -> Response:
        entry = entry_of(sources.ledger.entries(limit=ALL_ENTRIES), named)
        if entry is None:
            return fault_page(
                404, f"There is no entry {named[:40]} in the ledger.", "Choose one from Decisions."
            )
        return _shown(
            request,
            sources,
            "entry.html",
            entry=entry,
            look=evaluation_of(entry),
            why=explained(entry),
            families=roles.families([entry], None),
        )

    @pages.get("/lineage")
    def lineage(request: Request) -> Response:
        return _shown(request, sources, "lineage.html", page=lineage_page(sources))


def _people(pages: APIRouter, sources: Sources) -> None:
    @pages.get("/listener")
    def ask(request: Request) -> Response:
        return _shown(request, sources, "listener.html", page=None)

    @pages.post("/listener")
    def listener(request: Request, form: Form) -> Response:
        if is_forged(request, form):
            return forged_page()
        user_id = form.get("user_id", "").strip()
        page = listener_page(sources, user_id) if user_id else None
        return _shown(request, sources, "listener.html", page=page)


def _hand(pages: APIRouter, sources: Sources, audit: AuditLog) -> None:
    @pages.get("/by-hand")
    def hand(request: Request) -> Response:
        return _by_hand(request, sources)

    @pages.post("/promote")
    def promote(request: Request, form: Form) -> Response:
        return _decided(request, sources, audit, form, promotes=True)

    @pages.post("/rollback")
    def roll_back(request: Request, form: Form) -> Response:
        return _decided(request, sources, audit, form, promotes=False)


def _alerts(pages: APIRouter, sources: Sources, audit: AuditLog, clock: Clock) -> None:
    @pages.post("/alerts/{code}")
    def alert(request: Request, form: Form, code: str) -> Response:
        deed = form.get("deed", "")
        refused = _silencing_refused(request, sources, form, code)
        if refused is None:
            _silence(sources, request.state.session.name, code, deed, clock())
        status = 303 if refused is None else refused.status_code
        outcome = "done" if refused is None else f"refused, {status}"
        _noted(audit, request, f"{deed[:20]} alert", outcome, code)
        return RedirectResponse("/#alerts", 303) if refused is None else refused


def _silencing_refused(
    request: Request, sources: Sources, form: dict[str, str], code: str
) -> Response | None:
    """Why nothing is said of an alert; None where it is."""
    if is_forged(request, form):
        return forged_page()
    if not request.state.session.may_operate:
        return fault_page(403, "A viewer says nothing.", "Sign in with an operator's token.")
    known = {alert.code for alert in sources.config.alerts()}
    if sources.config.silences is None or code not in known or form.get("deed") not in DEEDS:
        return fault_page(404, "There is no such open alert.", "Choose one from Now.")
    return None


def _silence(sources: Sources, by: str, code: str, deed: str, now: datetime) -> None:
    silences = sources.config.silences
    assert silences is not None, "it was asked whether there are any"
    if deed == "withdraw":
        silences.unsilence(code)
    else:
        silences.silence(code, by=by, at=now, until=now + SNOOZE if deed == "snooze" else None)


def _by_hand(
    request: Request,
    sources: Sources,
    status_code: int = 200,
    *,
    fault: str | None = None,
    asked: Typed | None = None,
) -> Response:
    """The page, with the fault of a form, or with a rollback that waits for a confirmation."""
    page = hand_page(sources)
    return _shown(
        request, sources, "by_hand.html", status_code, page=page, fault=fault, asked=asked
    )


def _decided(
    request: Request, sources: Sources, audit: AuditLog, form: dict[str, str], *, promotes: bool
) -> Response:
    """Do what a form asks for, and write to the audit log what became of it."""
    deed, about = "promote" if promotes else "roll back", form.get("version", "")
    try:
        answer = _done(request, sources, form, promotes=promotes)
    except FirstchairError as error:
        _noted(audit, request, deed, error.what, about)
        raise
    if answer.status_code != 200:  # the question whether to do it
        done = answer.status_code == 303
        _noted(audit, request, deed, "done" if done else f"refused, {answer.status_code}", about)
    return answer


def _done(request: Request, sources: Sources, form: dict[str, str], *, promotes: bool) -> Response:
    if is_forged(request, form):
        return forged_page()
    if not request.state.session.may_operate:
        return fault_page(403, "A viewer decides nothing.", "Sign in with an operator's token.")
    typed = Typed(
        form.get("version", "").strip(),
        form.get("reason", "").strip(),
        form.get("person", "").strip(),
    )
    fault = typed.fault()
    if fault is None and promotes and not typed.version:
        fault = "Choose a version."
    if fault is not None:
        return _by_hand(request, sources, 422, fault=fault)
    if not promotes and not typed.version:
        return _by_hand(request, sources, asked=typed)
    by_hand = sources.config.by_hand
    if promotes:
        entry = by_hand.promote(typed.version, reason=typed.reason, person=typed.person)
    else:
        entry = by_hand.roll_back(to=typed.version, reason=typed.reason, person=typed.person)
    return RedirectResponse(f"/decisions/{entry.sequence}", 303)
