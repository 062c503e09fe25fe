"""The page's own events, tables and mapping run as they stand there."""

import re
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from firstchair import events
from firstchair.commands.check import check
from firstchair.mappings import AccountMapping, EventMapping
from firstchair.settings import Settings
from firstchair.sources import Record

PAGE = (Path(__file__).parents[2] / "docs" / "bring-your-own-data.md").read_text()
NOW = datetime(2026, 2, 1, tzinfo=UTC)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_the_events_and_tables_that_are_shown_have_no_fault(
    tmp_path: Path, new_database: Callable[[], sa.URL]
) -> None:
    url = new_database()
    with sa.create_engine(url, poolclass=sa.pool.NullPool).begin() as connection:
        connection.exec_driver_sql(blocks("sql")[0])
    (tmp_path / "events.jsonl").write_text(blocks("jsonl")[0])
    database = url.render_as_string(hide_password=False)

    report = check(
        Settings(home=tmp_path, events_url=str(tmp_path), source_database_url=database), now=NOW
    )

    assert report.faults == ()
    assert (report.read, report.accepted, report.accounts_read) == (6, 6, 1)


def test_the_mappings_that_are_shown_can_be_used_and_read_the_record_beside_them() -> None:
    of_events, of_accounts = map(tomllib.loads, blocks("toml"))
    mapping = EventMapping.model_validate(of_events["events"]["mapping"])

    (event,) = events.parsed_fields([Record(1, blocks("json")[0])], now=NOW, mapping=mapping)

    assert (event["event_type"], event["user_id"], event["ms_played"]) == ("play", "17", 12_500)
    assert (event["artist_id"], event["source"]) == ("3", "webplayer")
    assert AccountMapping.model_validate(of_accounts["accounts"]["mapping"]).users is not None
