"""Logins as spans of OpenTelemetry, where the settings ask for traces."""

from typing import TYPE_CHECKING, Any

from firstchair.login.logins import Logins
from firstchair.login.slates import Slate

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer


class TracedLogins(Logins):
    """Logins that make a span each: what was shown and why, and of no user.

    Without traces a worker has `Logins` itself, so that they cost nothing.
    """

    def __init__(self, *arguments: Any, tracer: "Tracer", **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._tracer = tracer

    def login(self, user_id: str, k: int, now: float, request: bytes = b"") -> bytes:
        """As `Logins.login`, within a span."""
        published = self.rendered.published
        about: dict[str, str | int] = {
            "firstchair.k": k,
            "firstchair.published": published.version,
        }
        with self._tracer.start_as_current_span("login", attributes=about):
            return super().login(user_id, k, now, request)

    def _count(self, slate: Slate, seconds: float) -> None:
        from opentelemetry.trace import get_current_span

        super()._count(slate, seconds)
        get_current_span().set_attributes(
            {
                "firstchair.role": slate.role,
                "firstchair.model": f"{slate.model.family} {slate.model.version}",
                "firstchair.fallback": slate.fallback or "",
                "firstchair.items": len(slate.artists),
                "firstchair.explores": slate.explored >= 0,
            }
        )
