"""What random kills interrupt: each deed runs in a process of its own and can be repeated."""

import json
import secrets
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa

import firstchair
from firstchair import erasure, events
from firstchair.commands.rotation import rotate_key
from firstchair.commands.run import run
from firstchair.databases import migrate, open_databases
from firstchair.errors import RefusedDecisionError
from firstchair.lake import tables as t
from firstchair.models import Family
from firstchair.platform import open_platform
from firstchair.platform.journal import VERSION_TABLE as JOURNAL_FORM
from firstchair.platform.platform import Platform
from firstchair.platform.upkeep import maintain
from firstchair.promotion import ManualDecision, promote_by_hand
from firstchair.publication import publish_day, serves
from firstchair.publication.layout import MANIFEST, VERSIONS
from firstchair.publication.published import open_published
from firstchair.settings import load_settings
from tests.service import contents_of

FORGOTTEN = "user-000001"
# Of every rotation, so that its tables can be compared.
NEW_KEY = "5" * 64
# After the last event; the second try of a deed has the clock of the first.
NOW = datetime(2026, 2, 20, 12, tzinfo=UTC)
ROOMS = Path(firstchair.__file__).parent
# Folders of migrations, and where each notes the form of its tables.
MIGRATIONS = {
    ROOMS / "promotion" / "migrations": "alembic_version",
    ROOMS / "platform" / "migrations": JOURNAL_FORM,
    ROOMS / "access" / "migrations": "access_version",
}


def ingest() -> None:
    """Read what landed, and build the days it is of."""
    p = open_platform(now=NOW)
    events.ingest(
        p.lake,
        events_url=p.settings.events_url,
        pseudonym_key=p.settings.secret_pseudonym_key(),
        now=p.now,
        tombstones=p.tombstones,
    )
    events.build_events(p.lake, *p.complete_days())


def publish() -> None:
    """Publish the lists of the newest day, where nothing is published."""
    _publish(open_platform(now=NOW))


def promote() -> None:
    """Promote the newest item-item model by hand; a second try finds what the first one wrote."""
    p = open_platform(now=NOW)
    chosen = p.registry.newest(_as_of(p))[Family.ITEM_ITEM]
    by_hand = ManualDecision("a test", "for the kill", p.now, _as_of(p))
    try:
        promote_by_hand(
            p.registry, p.ledger, by_hand, version=chosen.version, users=80, salt="a salt"
        )
    except RefusedDecisionError:
        assert p.ledger.last().champion_after == chosen.version  # type: ignore[union-attr]
    _publish(p)


def migrate_all() -> None:
    """Bring the databases of ledger, journal and sessions to their newest form."""
    url = open_databases(load_settings()).ledger
    for folder, table in MIGRATIONS.items():
        migrate(url, folder, version_table=table)


def maintain_all() -> None:
    """Merge, vacuum and checkpoint every table."""
    maintain(open_platform(now=NOW))


def forget() -> None:
    """Take one user out of everything."""
    erasure.forget(open_platform(now=NOW), FORGOTTEN)


def rotate() -> None:
    """Put everything under the new key; a second try where that is done changes nothing."""
    settings = load_settings()
    kept = (settings.home / "pseudonym_key").read_text()
    if kept != NEW_KEY or settings.rotation.exists():
        with patch.object(secrets, "token_hex", lambda length: NEW_KEY[: 2 * length]):
            rotate_key(open_platform(now=NOW, rotating=True))


def run_all() -> None:
    """A whole run, with models and decisions."""
    run(open_platform(now=NOW))


DEEDS: dict[str, Callable[[], None]] = {
    "ingest": ingest,
    "publish": publish,
    "promote": promote,
    "migrate": migrate_all,
    "maintain": maintain_all,
    "forget": forget,
    "rotate-key": rotate,
    "run": run_all,
}


def complete(name: str) -> None:
    """Do a deed to its end, and print its seconds and the state that it left as JSON."""
    began = time.monotonic()
    DEEDS[name]()
    seconds = time.monotonic() - began
    found = forms() if name == "migrate" else state(open_platform(now=NOW))
    if name == "forget":
        found["found of the user"] = not erasure.verify(open_platform(now=NOW), FORGOTTEN).ok
    print(json.dumps({"seconds": seconds, "state": found}, default=str))


def forms() -> dict[str, Any]:
    """Columns, indexes, triggers and revisions of the database of the ledger."""
    asked = {
        "columns": "select table_name, column_name, data_type, is_nullable, column_default "
        "from information_schema.columns where table_schema = 'public' order by 1, 2",
        "indexes": "select indexdef from pg_indexes where schemaname = 'public' order by 1",
        "triggers": "select event_object_table, trigger_name, action_statement, "
        "event_manipulation from information_schema.triggers order by 1, 2, 4",
        **{table: f"select * from {table}" for table in MIGRATIONS.values()},
    }
    engine = sa.create_engine(open_databases(load_settings()).ledger)
    with engine.connect() as connection:
        return {
            name: [list(row) for row in connection.execute(sa.text(query))]
            for name, query in asked.items()
        }


def state(p: Platform) -> dict[str, Any]:
    """All that others see of a platform, without instants and the numbers of Delta's versions."""
    root = p.settings.published
    served = serves(root)
    assert served is not None
    assert open_published(root).version == served.published
    manifest = json.loads((root / VERSIONS / served.published / MANIFEST).read_text())
    return {
        **contents_of(p.lake),
        "decisions": [
            [entry.decision, entry.champion_after, entry.stage_after, entry.reason_codes]
            for entry in p.ledger.entries()
        ],
        "ledger is whole": p.ledger.verify().ok,
        "aliases": p.registry.pointers().aliases,
        "versions": {v.version: [v.family, v.stage] for v in p.registry.versions()},
        "lists": [manifest["files"], manifest["arms"], manifest["as_of"]],
    }


def _publish(p: Platform) -> None:
    p.restore_aliases()
    publish_day(
        p.lake,
        p.registry,
        as_of=_as_of(p),
        root=p.settings.published,
        list_length=p.settings.list_length,
        arms=p.arms(),
    )


def _as_of(p: Platform) -> date:
    return max(p.lake.partitions(t.RECOMMENDATIONS))
