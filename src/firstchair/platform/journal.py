"""The journal in Postgres: causes of retraining, incidents with their posts, the last look.

A cause fired or was suppressed. The last look is what Dagster and MLflow were last seen to say.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from firstchair.databases import migrate
from firstchair.errors import LedgerError, SourceError

VERSION_TABLE = "journal_version"
FIRED = "fired"

metadata = sa.MetaData()
_INSTANT = sa.TIMESTAMP(timezone=True)
TRIGGERS = sa.Table(
    "retraining_triggers",
    metadata,
    sa.Column("sequence", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("recorded_at", _INSTANT),
    sa.Column("as_of", sa.Date),
    sa.Column("cause", sa.Text),
    sa.Column("outcome", sa.Text),
    sa.Column("detail", sa.Text),
    sa.Column("evidence", pg.JSONB),
)
INCIDENTS = sa.Table(
    "incidents",
    metadata,
    sa.Column("incident_id", sa.Text, primary_key=True),
    sa.Column("code", sa.Text),
    sa.Column("detail", sa.Text),
    sa.Column("opened_at", _INSTANT),
    sa.Column("delivered_at", _INSTANT),
    sa.Column("resolved_at", _INSTANT),
    sa.Column("resolution_delivered_at", _INSTANT),
    sa.Column("attempts", sa.Integer),
    sa.Column("next_attempt_at", _INSTANT),
    sa.Column("last_fault", sa.Text),
)
SILENCES = sa.Table(
    "silences",
    metadata,
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("by", sa.Text),
    sa.Column("at", _INSTANT),
    sa.Column("until", _INSTANT),
)
OBSERVATIONS = sa.Table(
    "observations",
    metadata,
    sa.Column("of", sa.Text, primary_key=True),
    sa.Column("seen_at", _INSTANT),
    sa.Column("found", pg.JSONB),
)
# The keys of its rows: what was seen, and when `alert_sensor` last ended a tick.
PLATFORM, TICK = "platform", "tick"


@dataclass(frozen=True, slots=True)
class TriggerRecord:
    """A cause on an as_of and its outcome: `fired`, `not_held`, `same_episode` or `cool_down`."""

    recorded_at: datetime
    as_of: date
    cause: str
    outcome: str
    detail: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that is or was wrong.

    delivered_at, resolution_delivered_at: when the webhook's receiver accepted its posts.
    """

    incident_id: str
    code: str
    detail: str
    opened_at: datetime
    delivered_at: datetime | None
    resolved_at: datetime | None
    resolution_delivered_at: datetime | None
    attempts: int
    next_attempt_at: datetime
    last_fault: str | None


@dataclass(frozen=True, slots=True)
class Silence:
    """An alert that a person knows of. by: the name of their token. until: None: until it ends."""

    code: str
    by: str
    at: datetime
    until: datetime | None


class Journal:
    """The journal of one platform, in the database of its ledger."""

    def __init__(self, url: sa.URL) -> None:
        self.url = url

    @cached_property
    def _engine(self) -> sa.Engine:
        return sa.create_engine(self.url, poolclass=sa.pool.NullPool)

    def migrate(self) -> None:
        """Migrate the database to the newest form; idempotent, even for two processes at once."""
        migrate(self.url, Path(__file__).parent / "migrations", version_table=VERSION_TABLE)

    def record(self, triggers: Sequence[TriggerRecord]) -> None:
        """Add the records that are new; the first outcome of a cause and an as_of stays.

        Raises:
            LedgerError: The database cannot be written; nothing was.
        """
        if not triggers:
            return
        names = ("recorded_at", "as_of", "cause", "outcome", "detail", "evidence")
        rows = [{name: getattr(trigger, name) for name in names} for trigger in triggers]
        rows = [
            row | {"evidence": json.loads(json.dumps(row["evidence"], default=str))} for row in rows
        ]
        with self._writing() as connection:
            connection.execute(pg.insert(TRIGGERS).values(rows).on_conflict_do_nothing())

    def triggers(
        self, *, limit: int = 1_000, as_of: date | None = None, outcome: str | None = None
    ) -> list[TriggerRecord]:
        """The newest records, newest first, optionally those of one as_of or outcome."""
        query = sa.select(TRIGGERS).order_by(TRIGGERS.c.sequence.desc()).limit(limit)
        query = query.where(TRIGGERS.c.as_of == as_of) if as_of is not None else query
        query = query.where(TRIGGERS.c.outcome == outcome) if outcome is not None else query
        with self._engine.connect() as connection:
            return [TriggerRecord(**row._mapping) for row in connection.execute(query)]

    def see(
        self, found: Mapping[str, str], *, now: datetime, unknown: Collection[str] = ()
    ) -> None:
        """Open an incident for each code of `found` without one, and resolve those not in `found`.

        What was acknowledged and is not in `found` is acknowledged no longer. What ends while a
        person knows of it, and was not delivered, never is. What is unknown stays as it is.

        Args:
            found: Detail by code.
            now: The instant of the check.
            unknown: Codes of which the check could not say anything.

        Raises:
            LedgerError: The database cannot be written; nothing was.
        """
        with self._writing() as connection:
            query = (
                sa.select(INCIDENTS.c.code)
                .where(INCIDENTS.c.resolved_at.is_(None))
                .with_for_update()
            )
            open_now = set(connection.scalars(query))
            for code in sorted(found.keys() - open_now):
                texts = {"incident_id": _identity(code, now), "code": code, "detail": found[code]}
                values = {**texts, "opened_at": now, "next_attempt_at": now, "attempts": 0}
                connection.execute(pg.insert(INCIDENTS).values(values).on_conflict_do_nothing())
            going_on = found.keys() | set(unknown)
            over = INCIDENTS.c.code.in_(open_now - going_on) & INCIDENTS.c.resolved_at.is_(None)
            silenced = INCIDENTS.c.code.in_(sa.select(SILENCES.c.code).where(_holds(now)))
            untold = over & silenced & INCIDENTS.c.delivered_at.is_(None)
            # Without a fault it counts as never tried, and what is over is then not posted.
            connection.execute(INCIDENTS.update().where(untold).values(last_fault=None))
            connection.execute(
                INCIDENTS.update()
                .where(over)
                .values(resolved_at=now, next_attempt_at=now, attempts=0)
            )
            ended = SILENCES.c.until.is_(None) & SILENCES.c.code.not_in(going_on)
            connection.execute(SILENCES.delete().where(ended))

    def incidents(self, *, limit: int = 1_000, only_open: bool = False) -> list[Incident]:
        """The newest incidents, newest first."""
        query = (
            sa.select(INCIDENTS)
            .order_by(INCIDENTS.c.opened_at.desc(), INCIDENTS.c.code)
            .limit(limit)
        )
        query = query.where(INCIDENTS.c.resolved_at.is_(None)) if only_open else query
        with self._engine.connect() as connection:
            return [Incident(**row._mapping) for row in connection.execute(query)]

    def undelivered(self, *, now: datetime) -> list[Incident]:
        """Incidents whose beginning or end is not delivered and may be posted again by now.

        The beginning of one that a person has silenced is not posted, and then nor is its end.
        """
        tried = INCIDENTS.c.resolved_at.is_(None) | INCIDENTS.c.last_fault.is_not(None)
        begun, over = INCIDENTS.c.delivered_at.is_not(None), INCIDENTS.c.resolved_at.is_not(None)
        waits = (~begun & tried) | (begun & over & INCIDENTS.c.resolution_delivered_at.is_(None))
        silenced = sa.select(SILENCES.c.code).where(_holds(now))
        waits &= begun | INCIDENTS.c.code.not_in(silenced)
        query = (
            sa.select(INCIDENTS)
            .where(waits & (INCIDENTS.c.next_attempt_at <= now))
            .order_by(INCIDENTS.c.opened_at)
        )
        with self._engine.connect() as connection:
            return [Incident(**row._mapping) for row in connection.execute(query)]

    def note(self, incident_id: str, **values: Any) -> None:
        """Write the outcome of a post into an incident's columns."""
        with self._writing() as connection:
            connection.execute(
                INCIDENTS.update().where(INCIDENTS.c.incident_id == incident_id).values(**values)
            )

    def silence(self, code: str, *, by: str, at: datetime, until: datetime | None = None) -> None:
        """Acknowledge an alert until it ends, or snooze it until an instant; the last word counts.

        Raises:
            LedgerError: The database cannot be written; nothing was.
        """
        values = {"code": code, "by": by, "at": at, "until": until}
        row = pg.insert(SILENCES).values(values)
        with self._writing() as connection:
            connection.execute(
                row.on_conflict_do_update(index_elements=[SILENCES.c.code], set_=values)
            )

    def unsilence(self, code: str) -> None:
        """Take back what a person has said of an alert.

        Raises:
            LedgerError: The database cannot be written; nothing was.
        """
        with self._writing() as connection:
            connection.execute(SILENCES.delete().where(SILENCES.c.code == code))

    def silences(self, *, now: datetime) -> dict[str, Silence]:
        """What holds at an instant, by code."""
        with self._engine.connect() as connection:
            found = connection.execute(sa.select(SILENCES).where(_holds(now)))
            return {row.code: Silence(**row._mapping) for row in found}

    def note_observed(self, found: Mapping[str, Any], *, now: datetime) -> None:
        """Replace what was seen of Dagster and MLflow (`firstchair.platform.observed`).

        Raises:
            LedgerError: The database cannot be written; nothing was.
        """
        self._note(PLATFORM, found, now)

    def observed(self) -> Any:
        """What was noted last by `note_observed`; None before the first time."""
        return self._noted(OBSERVATIONS.c.found, PLATFORM)

    def note_tick(self, *, now: datetime) -> None:
        """Note that `alert_sensor` has ended a tick: the sensors of the daemon are at work.

        Raises:
            LedgerError: The database cannot be written; nothing was.
        """
        self._note(TICK, {}, now)

    def last_tick(self) -> datetime | None:
        """When `alert_sensor` last ended a tick; None before the first."""
        found: datetime | None = self._noted(OBSERVATIONS.c.seen_at, TICK)
        return found

    def _note(self, of: str, found: Mapping[str, Any], now: datetime) -> None:
        values = {"of": of, "seen_at": now, "found": found}
        row = pg.insert(OBSERVATIONS).values(values)
        with self._writing() as connection:
            connection.execute(
                row.on_conflict_do_update(index_elements=[OBSERVATIONS.c.of], set_=values)
            )

    def _noted(self, column: sa.Column[Any], of: str) -> Any:
        query = sa.select(column).where(OBSERVATIONS.c.of == of)
        with self._engine.connect() as connection:
            return connection.scalar(query)

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except (sa.exc.SQLAlchemyError, SourceError) as error:
            raise LedgerError(
                f"The journal cannot be written: {str(error).splitlines()[0]}.",
                where=self.url.render_as_string(),
                data="Nothing was written; the next check sees the same state and writes it.",
                remedy="Bring the database back.",
            ) from error


def _holds(now: datetime) -> sa.ColumnElement[bool]:
    return SILENCES.c.until.is_(None) | (SILENCES.c.until > now)


def _identity(code: str, opened_at: datetime) -> str:
    return hashlib.sha256(f"{code} {opened_at.isoformat()}".encode()).hexdigest()[:16]
