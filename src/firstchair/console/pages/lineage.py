"""Lineage: the data and the code that made the served lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import firstchair
from firstchair.console.sources import Sources, rows
from firstchair.lake import Table
from firstchair.lake import tables as t
from firstchair.promotion import Entry
from firstchair.publication.published import Role


@dataclass(frozen=True, slots=True)
class Made:
    """A role of the served lists: its version, and the newest entry about this version."""

    role: str
    model: Role
    entry: Entry | None


@dataclass(frozen=True, slots=True)
class Kept:
    """The present state of a table of the lake: Delta version (-1: never written), newest day."""

    name: str
    version: int
    newest: date | None


@dataclass(frozen=True, slots=True)
class Batch:
    """Lists of one day by one version."""

    as_of: date
    model_version: str
    users: int | None


@dataclass(frozen=True, slots=True)
class Lineage:
    """Everything on the page.

    code: the release of firstchair that runs now. made_by: the release that made the lists.
    """

    code: str
    made_by: str | None
    published: str | None
    as_of: date | None
    users: int | None
    length: int | None
    made: tuple[Made, ...]
    batches: tuple[Batch, ...]
    tables: tuple[Kept, ...]


def lineage_page(sources: Sources) -> Lineage:
    """Trace the served lists to model, data, code and decision, by manifest and ledger."""
    published = sources.published()
    entries = sources.ledger.entries()
    roles = published.roles if published else {}
    made = (
        Made(role, model, _entry_of(entries, model.version))
        for role, model in sorted(roles.items())
    )
    return Lineage(
        code=firstchair.__version__,
        made_by=None if published is None else published.code_version,
        published=None if published is None else published.version,
        as_of=None if published is None else published.as_of,
        users=None if published is None else published.users,
        length=None if published is None else published.length,
        made=tuple(made),
        batches=_batches(sources),
        tables=tuple(_kept(sources, table) for table in t.ALL_TABLES),
    )


def _entry_of(entries: Sequence[Entry], version: str) -> Entry | None:
    """The entry that promoted a version; if there is none, the newest entry about it."""
    about = [entry for entry in entries if version in {entry.champion_after, entry.challenger}]
    promoted = (e for e in about if e.champion_after == version and e.champion_before != version)
    return next(promoted, about[0] if about else None)


def _batches(sources: Sources) -> tuple[Batch, ...]:
    """Number of users with a list, by version, for the newest day."""
    newest = max(sources.lake.partitions(t.RECOMMENDATIONS), default=None)
    found = rows(
        f"""
        select as_of, model_version, count(*) as users from {sources.lake.scan(t.RECOMMENDATIONS)}
        where as_of = ? and position = 1 group by all order by model_version
        """,
        newest,
    )
    least = sources.config.k_anonymity
    return tuple(
        Batch(row["as_of"], row["model_version"], row["users"] if row["users"] >= least else None)
        for row in found
    )


def _kept(sources: Sources, table: Table) -> Kept:
    version = sources.lake.version(table)
    days = sources.lake.partitions(table) if table.partition_by and version >= 0 else []
    return Kept(table.name, version, max(days, default=None))
