"""The ledger: every decision with its evidence, append-only and hash-chained, in Postgres.

Beside the decisions stands what was registered as each version that they name, so that who serves
can be read without MLflow.
"""

import hashlib
import json
import math
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from firstchair.databases import lock_until_commit, migrate, pooled_engine
from firstchair.errors import LedgerError
from firstchair.promotion.registry import Version
from firstchair.promotion.stages import REMOVED, Phase, Stage, phase_of, require

GENESIS = "0" * 64
# Reason code of a decision by a person.
BY_HAND = "by_hand"
LOCK = "firstchair ledger"
# A database role that may read the ledger and append to it; made by migrations if possible.
WRITER = "firstchair_ledger"
# Larger whole numbers are not all floats (IEEE 754 double precision).
EXACT_INTEGERS = 2**53

metadata = sa.MetaData()
DECISIONS = sa.Table(
    "decisions",
    metadata,
    sa.Column("sequence", sa.BigInteger, primary_key=True),
    sa.Column("decision_id", sa.Text),
    sa.Column("decided_at", sa.TIMESTAMP(timezone=True)),
    sa.Column("as_of", sa.Date),
    sa.Column("decision", sa.Text),
    sa.Column("champion_before", sa.Text),
    sa.Column("champion_after", sa.Text),
    sa.Column("challenger", sa.Text),
    sa.Column("stage_before", sa.Text),
    sa.Column("stage_after", sa.Text),
    sa.Column("reason_codes", pg.ARRAY(sa.Text)),
    sa.Column("reasons", pg.ARRAY(sa.Text)),
    sa.Column("evidence", pg.JSONB),
    sa.Column("data_fingerprint", sa.Text),
    sa.Column("actor", sa.Text),
    sa.Column("run_id", sa.Text),
    sa.Column("previous_hash", sa.Text),
    sa.Column("hash", sa.Text),
)
# Entries that make another version champion, or none.
CHANGES_CHAMPION = DECISIONS.c.champion_after.is_distinct_from(DECISIONS.c.champion_before)

VERSIONS = sa.Table(
    "registered_versions",
    metadata,
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("family", sa.Text),
    sa.Column("as_of", sa.Date),
    sa.Column("data_fingerprint", sa.Text),
    sa.Column("run_id", sa.Text),
)


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision to be written, with its evidence.

    decision_id: the same decision on the same evidence has the same id, so it is written once.
    champion_before, champion_after, challenger: registered versions, or None.
    """

    decision_id: str
    decided_at: datetime
    as_of: date
    decision: str
    champion_before: str | None
    champion_after: str | None
    challenger: str | None
    stage_before: str | None
    stage_after: str | None
    reason_codes: tuple[str, ...]
    reasons: tuple[str, ...]
    evidence: Mapping[str, Any]
    data_fingerprint: str
    actor: str
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Entry(Decision):
    """A decision in the ledger."""

    sequence: int = 0
    previous_hash: str = field(default=GENESIS)
    hash: str = ""

    @property
    def phase(self) -> Phase | None:
        """The stage with traffic that is under way after it."""
        return phase_of(self.evidence.get("phase"))


@dataclass(frozen=True, slots=True)
class Verification:
    """Result of a check of the hash chain: entries checked, and the first broken one."""

    ok: bool
    entries: int
    first_broken: int | None


class Ledger:
    """The decisions of one platform."""

    def __init__(self, url: sa.URL) -> None:
        self.url = url

    @cached_property
    def _engine(self) -> sa.Engine:
        engine = pooled_engine(self.url)
        weakref.finalize(self, engine.dispose)
        return engine

    def migrate(self) -> None:
        """Migrate the database to the newest schema; idempotent, also for two processes at once."""
        migrate(self.url, Path(__file__).parent / "migrations")

    def make_writer(self) -> None:
        """Make the role that entries are written as, where the server lets us; idempotent.

        The migrations do it too; a dump of a ledger names the role and does not make it.
        """
        made = f"""
            do $$ begin
                create role {WRITER} nologin;
            exception
                when duplicate_object or unique_violation or insufficient_privilege then null;
            end $$
        """
        with self._engine.begin() as connection:
            connection.execute(sa.text(made))

    def append(self, decision: Decision) -> Entry:
        """Append a decision, or return the entry that has its id already.

        Raises:
            LedgerError: The ledger cannot be reached, or the stage cannot follow the one before;
                nothing was written and no alias may move.
        """
        require(
            decision.stage_before, decision.stage_after, by_hand=BY_HAND in decision.reason_codes
        )
        with self._answering(
            f"Decision {decision.decision_id} cannot be written",
            data="Nothing was written and no alias was moved.",
            remedy="Bring the database back; the next evaluation decides again.",
        ):
            has_writer = self._has_writer
            with self._engine.begin() as connection:
                lock_until_commit(connection, LOCK)
                if has_writer:
                    connection.execute(sa.text(f"set local role {WRITER}"))
                found = connection.execute(
                    sa.select(DECISIONS).where(DECISIONS.c.decision_id == decision.decision_id)
                ).one_or_none()
                if found is not None:
                    return _entry(found)
                _require_not_removed(connection, decision)
                last = connection.execute(
                    sa.select(DECISIONS.c.sequence, DECISIONS.c.hash)
                    .order_by(DECISIONS.c.sequence.desc())
                    .limit(1)
                ).one_or_none()
                sequence, previous = (
                    (1, GENESIS) if last is None else (last.sequence + 1, last.hash)
                )
                values = {**asdict(decision), "sequence": sequence, "previous_hash": previous}
                values["evidence"] = _as_kept(connection, values["evidence"])
                values["hash"] = _digest(values)
                connection.execute(DECISIONS.insert().values(**values))
        return Entry(**values)

    @cached_property
    def _has_writer(self) -> bool:
        query = sa.text("select pg_has_role(oid, 'member') from pg_roles where rolname = :name")
        with self._engine.connect() as connection:
            return bool(connection.scalar(query, {"name": WRITER}))

    def entries(self, *, limit: int | None = 1_000, before: int | None = None) -> list[Entry]:
        """The newest entries, newest first.

        Args:
            limit: How many at most; None for all.
            before: Sequence number of the first entry that does not count; None for no limit.

        Raises:
            LedgerError: The ledger cannot be reached.
        """
        query = sa.select(DECISIONS).order_by(DECISIONS.c.sequence.desc()).limit(limit)
        if before is not None:
            query = query.where(DECISIONS.c.sequence < before)
        with self._reading() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def last(self) -> Entry | None:
        """The newest entry; its `champion_after` serves."""
        found = self.entries(limit=1)
        return found[0] if found else None

    def made(self, version: str) -> Entry | None:
        """The newest entry that made a version champion; None if none did.

        Raises:
            LedgerError: The ledger cannot be read.
        """
        query = (
            sa.select(DECISIONS)
            .where(DECISIONS.c.champion_after == version)
            .where(CHANGES_CHAMPION)
            .order_by(DECISIONS.c.sequence.desc())
            .limit(1)
        )
        with self._reading() as connection:
            found = connection.execute(query).one_or_none()
        return None if found is None else _entry(found)

    def champion_changes(self) -> list[Entry]:
        """Every entry that changed the champion, newest first.

        Raises:
            LedgerError: The ledger cannot be read.
        """
        with self._reading() as connection:
            query = (
                sa.select(DECISIONS).where(CHANGES_CHAMPION).order_by(DECISIONS.c.sequence.desc())
            )
            return [_entry(row) for row in connection.execute(query)]

    def stages(self) -> dict[str, str]:
        """Stage that the newest entry about a version gave it, by number of the version.

        Raises:
            LedgerError: The ledger cannot be read.
        """
        with self._reading() as connection:
            return _stages(connection)

    def stage(self, version: str) -> str:
        """The stage of a version: `candidate` until an entry names it.

        An entry about it sets it. One that makes another version champion retires it, and a
        rollback to it makes it champion again, as `protocol.follow` tags it in MLflow.

        Raises:
            LedgerError: The ledger cannot be read.
        """
        about = DECISIONS.c.stage_after.is_not(None) & (DECISIONS.c.challenger == version)
        left = CHANGES_CHAMPION & (DECISIONS.c.champion_before == version)
        back = (
            CHANGES_CHAMPION
            & (DECISIONS.c.champion_after == version)
            & (DECISIONS.c.stage_after == Stage.ROLLED_BACK)
        )
        found = sa.case(
            (about, DECISIONS.c.stage_after), (left, Stage.RETIRED), else_=Stage.CHAMPION
        )
        query = (
            sa.select(found)
            .where(about | left | back)
            .order_by(DECISIONS.c.sequence.desc())
            .limit(1)
        )
        with self._reading() as connection:
            stage = connection.scalar(query)
        return str(Stage.CANDIDATE) if stage is None else str(stage)

    def note_registered(self, version: Version) -> None:
        """Note what was registered as a version; the newest note of it counts.

        Raises:
            LedgerError: The database cannot be written.
        """
        values = {column.name: getattr(version, column.name) for column in VERSIONS.columns}
        row = pg.insert(VERSIONS).values(values)
        with (
            self._answering(
                f"Version {version.version} cannot be noted",
                data="It is registered in MLflow, and no decision was made about it.",
                remedy="Bring the database back, then run again.",
            ),
            self._engine.begin() as connection,
        ):
            connection.execute(
                row.on_conflict_do_update(index_elements=[VERSIONS.c.version], set_=values)
            )

    def registered(self, version: str) -> Version | None:
        """What was registered as a version, with its stage; None if it was never noted.

        Raises:
            LedgerError: The ledger cannot be read.
        """
        with self._reading() as connection:
            query = sa.select(VERSIONS).where(VERSIONS.c.version == version)
            row = connection.execute(query).one_or_none()
        return None if row is None else Version(**row._mapping, stage=self.stage(version))

    def registered_on(self, as_of: date) -> list[Version]:
        """What was registered of a day, each with its stage, by number ascending.

        Raises:
            LedgerError: The ledger cannot be read.
        """
        with self._reading() as connection:
            rows = connection.execute(sa.select(VERSIONS).where(VERSIONS.c.as_of == as_of)).all()
        found = [Version(**row._mapping, stage=self.stage(row.version)) for row in rows]
        return sorted(found, key=lambda version: int(version.version))

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with (
            self._answering(
                "The ledger cannot be read",
                data="Nothing was changed; what is published stays.",
                remedy="Bring the database back, then ask again.",
            ),
            self._engine.connect() as connection,
        ):
            yield connection

    @contextmanager
    def _answering(self, what: str, *, data: str, remedy: str) -> Iterator[None]:
        """Turn whatever the database raises into one error that says what was tried."""
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            raise LedgerError(
                f"{what}: {str(error).splitlines()[0]}.",
                where=self.url.render_as_string(),
                data=data,
                remedy=remedy,
            ) from error

    def phases(self) -> list[tuple[date, Phase | None]]:
        """The as_of of every entry, oldest first, and the stage with traffic after it.

        Raises:
            LedgerError: The ledger cannot be read.
        """
        phase = DECISIONS.c.evidence["phase"]
        query = sa.select(DECISIONS.c.as_of, phase.label("phase")).order_by(DECISIONS.c.sequence)
        with self._reading() as connection:
            return [(row.as_of, phase_of(row.phase)) for row in connection.execute(query)]

    def table_versions(self) -> dict[str, set[int]]:
        """Versions of tables of the lake that entries name, by name of the table.

        Raises:
            LedgerError: The ledger cannot be read.
        """
        query = sa.text(
            "select distinct named.key, named.value::bigint from decisions, "
            "jsonb_each_text(decisions.evidence -> 'tables') as named"
        )
        found: dict[str, set[int]] = {}
        with self._reading() as connection:
            for name, version in connection.execute(query):
                found.setdefault(name, set()).add(version)
        return found

    def champion_at(self, instant: datetime) -> Entry | None:
        """The entry that made the champion of an instant; None before the first champion.

        Raises:
            LedgerError: The ledger cannot be read.
        """
        query = (
            sa.select(DECISIONS)
            .where(DECISIONS.c.decided_at <= instant)
            .where(CHANGES_CHAMPION)
            .order_by(DECISIONS.c.sequence.desc())
            .limit(1)
        )
        with self._reading() as connection:
            found = connection.execute(query).one_or_none()
        return None if found is None or found.champion_after is None else _entry(found)

    def verify(self) -> Verification:
        """Recompute every hash from the first entry on.

        Raises:
            LedgerError: The ledger cannot be read.
        """
        previous, count = GENESIS, 0
        with self._reading() as connection:
            for row in connection.execute(sa.select(DECISIONS).order_by(DECISIONS.c.sequence)):
                values = dict(row._mapping)
                stored = values.pop("hash")
                count += 1
                if (
                    values["sequence"] != count
                    or values["previous_hash"] != previous
                    or _digest(values) != stored
                ):
                    return Verification(False, count, int(row.sequence))
                previous = stored
        return Verification(True, count, None)


def _entry(row: Any) -> Entry:
    values = dict(row._mapping)
    values |= {name: tuple(values[name]) for name in ("reason_codes", "reasons")}
    return Entry(**values)


def _stages(connection: sa.Connection, *versions: str | None) -> dict[str, str]:
    """Stage by the newest entry about each of these versions; of all versions if none is given."""
    about = sa.select(DECISIONS.c.challenger, DECISIONS.c.stage_after).where(
        DECISIONS.c.challenger.is_not(None), DECISIONS.c.stage_after.is_not(None)
    )
    if versions:
        about = about.where(DECISIONS.c.challenger.in_([v for v in versions if v is not None]))
    newest = about.distinct(DECISIONS.c.challenger).order_by(
        DECISIONS.c.challenger, DECISIONS.c.sequence.desc()
    )
    return {row.challenger: row.stage_after for row in connection.execute(newest)}


def _require_not_removed(connection: sa.Connection, decision: Decision) -> None:
    """Refuse to serve a version that the ledger itself says was rolled back or rejected.

    Anybody can change tags of the registry, so they are not used here. A promotion by hand is
    allowed; it puts the version on probation.

    Raises:
        LedgerError: The version would serve without the gate.
    """
    known = _stages(connection, decision.challenger, decision.champion_after)
    by_hand = BY_HAND in decision.reason_codes
    wanted = {decision.challenger: decision.stage_after}
    if decision.champion_after not in {decision.champion_before, decision.challenger}:
        wanted[decision.champion_after] = Stage.CHAMPION
    for version, stage in wanted.items():
        if version is not None and known.get(version) in REMOVED:
            require(known[version], stage, by_hand=by_hand)


def _as_kept(connection: sa.Connection, evidence: Mapping[str, Any]) -> Any:
    """The evidence as Postgres returns it, so that its digest is the same whenever it is read."""
    return connection.scalar(
        sa.select(
            sa.cast(sa.bindparam("kept", json.loads(canonical(evidence)), pg.JSONB), pg.JSONB)
        )
    )


def _digest(values: Mapping[str, Any]) -> str:
    """SHA-256 of the entry without its own hash, with the hash of the entry before it."""
    # Names of a row that is read are no plain `str`, which orjson refuses; json writes 1e-07 where
    # orjson writes 1e-7.
    content = {
        str(name): _plain(value) if name != "evidence" else value for name, value in values.items()
    }
    try:
        text = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # a whole number of more than 64 bits
        text = json.dumps(
            content, sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode()
    return hashlib.sha256(text).hexdigest()


def canonical(value: Any) -> str:
    """A value as JSON in one form.

    Sorted keys, no spaces, instants in UTC seconds, numbers as they come back from Postgres.
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Real):
        return _number(float(value))
    if isinstance(value, datetime):
        return f"{value.timestamp():.6f}"
    return value.isoformat() if isinstance(value, date) else str(value)


def _number(value: float) -> float | int | None:
    """A number as Postgres returns it: -0.0 as 0, 1e22 as an integer, NaN and infinity as None."""
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) <= EXACT_INTEGERS else value
