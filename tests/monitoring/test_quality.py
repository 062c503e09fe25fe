import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from firstchair.definitions.checks import CheckState
from firstchair.events import blocked_days
from firstchair.lake import Lake, Table
from firstchair.lake import tables as t
from monitoring import build_quality, busiest_account, load_rules, quality_checks, quality_of

FIRST = date(2026, 3, 1)
ONE_DAY = timedelta(days=1)


class Landing:
    """Days of records as ingestion leaves them: 300 a day and source, read the morning after."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake

    def landed(
        self,
        day: int,
        source: str,
        count: int = 300,
        *,
        days_later: int = 1,
        at: str = "02:30",
        from_seq: int | None = None,
        users: int = 300,
    ) -> None:
        on = FIRST + day * ONE_DAY
        start = 1_000 * day if from_seq is None else from_seq
        read = datetime.fromisoformat(f"{on}T{at}Z") + days_later * ONE_DAY
        rows = [
            {"event_id": f"{source}{day}-{days_later}-{n}", "event_date": on, "source": source,
             "source_seq": start + n, "object_url": f"{source}-{day}", "ingested_at": read,
             "user_key": f"{source}{n % users}"}
            for n in range(count)
        ]  # fmt: skip
        self._append(t.BRONZE_EVENTS, rows)
        self.read(f"{source}-{day}", read)

    def read(self, object_url: str, at: datetime) -> None:
        row = {"object_url": object_url, "status": "done", "ingested_at": at}
        self._append(t.OBJECTS, [row])

    def refused(
        self, day: int, reason: str, count: int, *, of_object: str | None, known: bool = False
    ) -> None:
        on = FIRST + day * ONE_DAY
        row = {
            "reason": reason,
            "object_url": of_object or "nobody's",
            "batch_id": None if known else "b",
        }
        row |= {
            "event_date": on if known else None,
            "quarantined_at": datetime(2026, 3, 9, 3, tzinfo=UTC),
        }
        self._append(t.QUARANTINE_EVENTS, [row] * count)

    def _append(self, table: Table, rows: list[dict[str, Any]]) -> None:
        whole = [dict.fromkeys(table.schema.names) | row for row in rows]
        self.lake.append(table, pa.Table.from_pylist(whole, schema=table.schema))


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Eight days as they should be; tests take copies."""
    made = Landing(Lake(str(tmp_path_factory.mktemp("usual") / "lake")))
    for day in range(8):
        made.landed(day, "ios", from_seq=300 * day)
        made.landed(day, "web", from_seq=300 * day)
    return made.lake


@pytest.fixture
def landing(lake: Lake, usual: Lake) -> Landing:
    shutil.copytree(usual.url, lake.url)
    return Landing(lake)


def measured(landing: Landing, days: int = 8) -> list[tuple[int, str, str, float]]:
    """What fails, by day, after these days."""
    last = FIRST + (days - 1) * ONE_DAY
    build_quality(landing.lake, first=FIRST, last=last, report_folder=None)
    return failing(landing.lake)


def failing(lake: Lake) -> list[tuple[int, str, str, float]]:
    found = quality_of(lake, FIRST, FIRST + 7 * ONE_DAY)
    return [
        ((r["event_date"] - FIRST).days, r["measure"], r["key"], round(r["value"], 3))
        for r in found
    ]


def test_days_as_they_should_be_fail_nothing(landing: Landing) -> None:
    assert measured(landing) == []


def test_refused_records_count_on_the_day_of_their_object_and_by_reason(landing: Landing) -> None:
    landing.refused(3, "bad_type", 60, of_object="ios-3")
    landing.refused(3, "unknown_user", 15, of_object="web-5", known=True)

    assert measured(landing) == [(3, "refused", "all", round(75 / 660, 3))]
    rows = landing.lake.read(t.DATA_QUALITY, "measure = 'refused' and value > 0").to_pylist()
    by_reason = {row["key"]: (row["value"], row["of"], row["blocks"]) for row in rows}
    assert by_reason["bad_type"] == (60 / 660, 660, False)
    assert by_reason["unknown_user"] == (15 / 660, 660, False)
    assert by_reason["all"][2] is True


def test_a_few_refused_records_are_told_and_block_nothing(landing: Landing) -> None:
    landing.refused(3, "bad_type", 10, of_object="ios-3")

    report = build_quality(landing.lake, first=FIRST, last=FIRST + 3 * ONE_DAY, report_folder=None)

    assert (report.failing, report.blocked) == (0, ())
    assert report.refused == {"bad_type": 10 / 610}


def test_a_source_that_falls_silent_blocks_its_day(lake: Lake) -> None:
    landing = Landing(lake)
    for day in range(8):
        landing.landed(day, "web", from_seq=300 * day)
        if day != 6:
            landing.landed(day, "ios", from_seq=300 * (day - (day > 6)))

    assert measured(landing) == [(6, "silent", "ios", 1.0)]


def test_a_hole_in_the_numbers_is_told_on_the_day_after_it_and_blocks_nothing(lake: Lake) -> None:
    landing = Landing(lake)
    landing.landed(0, "web", from_seq=0)
    landing.landed(1, "web", from_seq=303)

    assert measured(landing, 2) == [(1, "sequence_gaps", "web", 3.0)]
    assert not any(row["blocks"] for row in lake.read(t.DATA_QUALITY).to_pylist())


def test_a_hole_is_of_the_day_of_the_number_after_it_and_refused_numbers_fill_it(
    lake: Lake,
) -> None:
    landing = Landing(lake)
    landing.landed(1, "web", 10, from_seq=100)
    landing.landed(0, "web", 10, from_seq=115)
    landing.landed(2, "web", 10, from_seq=130)
    row = {"source": "web", "event_date": FIRST, "quarantined_at": datetime(2026, 3, 3, tzinfo=UTC)}
    landing._append(t.QUARANTINE_EVENTS, [row | {"source_seq": n} for n in (112, 126, 127)])

    found = measured(landing, 3)

    # Missing: 110, 111, 113, 114 and 125 before numbers of day 0, 128 and 129 before one of day 2.
    assert found == [(0, "sequence_gaps", "web", 5.0), (2, "sequence_gaps", "web", 2.0)]


def test_a_day_is_measured_without_reading_the_events_of_the_days_before(lake: Lake) -> None:
    landing = Landing(lake)
    landing.landed(0, "web", from_seq=0)
    landing.landed(1, "web", from_seq=303)
    last = FIRST + ONE_DAY
    found = measured(landing, 2)
    (before,) = Path(lake.url, t.BRONZE_EVENTS.name).glob(f"event_date={FIRST}/*.parquet")
    pq.write_table(pq.ParquetFile(before).read().slice(0, 0), before)

    lake.delete(t.DATA_QUALITY, f"event_date = date '{last}'")
    build_quality(lake, first=last, last=last, report_folder=None)

    assert failing(lake) == found == [(1, "sequence_gaps", "web", 3.0)]


def test_much_that_came_days_later_blocks_the_day_it_is_of(landing: Landing) -> None:
    landing.landed(2, "late", 400, days_later=3)

    assert (2, "late", "all", 0.4) in measured(landing)


@pytest.mark.parametrize(("at", "share"), [("06:00", []), ("23:59", []), ("00:07", [0.667])])
def test_what_is_read_within_a_day_of_the_end_is_not_late(
    lake: Lake, at: str, share: list[float]
) -> None:
    landing = Landing(lake)
    landing.landed(0, "firstchair-api", at="00:06")
    landing.landed(0, "app", 600, at=at, days_later=1 + (at == "00:07"))

    assert [found[3] for found in measured(landing, 1) if found[1] == "late"] == share


def test_owners_decide_after_how_many_hours_events_are_late(lake: Lake) -> None:
    landing = Landing(lake)
    landing.landed(0, "firstchair-api", at="00:06")
    landing.landed(0, "app", 600, at="06:00")
    rules = load_rules().quality.model_copy(update={"late_after_hours": 4})

    report = build_quality(lake, first=FIRST, last=FIRST, report_folder=None, rules=rules)

    assert report.blocked == (FIRST,)


def test_what_was_refused_in_time_and_replayed_later_is_not_late(landing: Landing) -> None:
    landing.landed(2, "replayed", 400, days_later=5)
    landing.read("replayed-2", datetime(2026, 3, 4, 2, 30, tzinfo=UTC))

    assert not [found for found in measured(landing) if found[1] == "late"]


def test_what_one_account_delivers_late_weighs_no_more_than_the_bound(landing: Landing) -> None:
    landing.landed(2, "late", 400, days_later=3, users=1)

    assert not [found for found in measured(landing) if found[1] == "late"]
    of_day = f"measure = 'late' and event_date = date '{FIRST + 2 * ONE_DAY}'"
    row = landing.lake.read(t.DATA_QUALITY, of_day)
    # The account counts as c = 50 (600 + c) / 601 events.
    assert row["value"].to_pylist() == [pytest.approx(54 / 654, abs=0.001)]
    assert row["of"].to_pylist() == [1_000]


def test_history_read_at_once_is_not_late(lake: Lake) -> None:
    landing = Landing(lake)
    for day in range(6):
        landing.landed(day, "web", from_seq=300 * day, days_later=20 - day)

    assert measured(landing, 6) == []


def test_more_listening_than_a_day_has_hours_is_told_and_blocks_nothing(landing: Landing) -> None:
    def plays(user: str, times: int, ms_played: int) -> list[dict[str, Any]]:
        return [
            {"event_type": "play", "event_date": FIRST, "user_key": user, "ms_played": ms_played}
        ] * times

    rows = [*plays("a", 200, 3_100_000), *plays("b", 24, 3_600_000), *plays("c", 25, 3_600_000)]
    landing._append(t.EVENTS, rows)

    assert measured(landing) == [(0, "impossible_listening", "all", 2.0)]
    (row,) = quality_of(landing.lake, FIRST, FIRST)
    assert (row["of"], row["blocks"]) == (225, False)


def test_more_actions_than_a_person_can_take_are_told_and_block_nothing(landing: Landing) -> None:
    def actions(user: str, times: int, event_type: str) -> list[dict[str, Any]]:
        return [{"event_type": event_type, "event_date": FIRST, "user_key": user}] * times

    rows = [
        *actions("bot", 600, "login"),
        *actions("bot", 401, "click"),
        *actions("keen", 1_000, "follow"),
        *actions("shown", 5_000, "impression"),
    ]
    landing._append(t.EVENTS, rows)

    assert measured(landing) == [(0, "busy_accounts", "all", 1.0)]
    (row,) = quality_of(landing.lake, FIRST, FIRST)
    assert (row["of"], row["threshold"], row["blocks"]) == (1_001, 1_000, False)
    assert busiest_account(landing.lake, "busy_accounts", FIRST) == ("bot", "1,001 actions")


def test_a_blocked_day_is_known_to_who_decides_until_it_is_mended(landing: Landing) -> None:
    landing.refused(3, "bad_type", 60, of_object="ios-3")
    last = FIRST + 7 * ONE_DAY
    build_quality(landing.lake, first=FIRST, last=last, report_folder=None)
    blocked = blocked_days(landing.lake, FIRST, last)

    landing.lake.delete(t.QUARANTINE_EVENTS, "reason = 'bad_type'")
    build_quality(landing.lake, first=FIRST, last=last, report_folder=None)

    assert blocked == [FIRST + 3 * ONE_DAY]
    assert blocked_days(landing.lake, FIRST, last) == []


def states(lake: Lake, day: int) -> dict[str, CheckState]:
    return {check.name: check.state for check in quality_checks(lake, FIRST + day * ONE_DAY)}


def test_a_day_as_it_should_be_passes_and_the_first_days_cannot_tell_who_is_silent(
    landing: Landing,
) -> None:
    measured(landing)

    assert set(states(landing.lake, 6).values()) == {CheckState.PASSES}
    assert states(landing.lake, 1)["silent"] is CheckState.NOT_ENOUGH_DATA


def test_a_day_that_is_not_read_after_its_end_cannot_be_late(lake: Lake) -> None:
    landing = Landing(lake)
    landing.landed(0, "web", days_later=0)

    report = build_quality(lake, first=FIRST, last=FIRST, report_folder=None)

    assert states(lake, 0)["late"] is CheckState.NOT_ENOUGH_DATA
    assert report.usable.state is CheckState.NOT_ENOUGH_DATA
    assert "events of 2026-03-01 that were read after its end" in report.usable.missing


def test_few_records_and_none_have_no_outcome(lake: Lake) -> None:
    landing = Landing(lake)
    landing.landed(0, "web", 20)
    build_quality(lake, first=FIRST, last=FIRST + ONE_DAY, report_folder=None)

    assert states(lake, 0)["refused"] is CheckState.NOT_ENOUGH_DATA
    assert set(states(lake, 1).values()) == {CheckState.NOT_ENOUGH_DATA}


def test_what_blocks_a_day_fails_and_holes_do_not_block(landing: Landing) -> None:
    landing.refused(3, "bad_type", 60, of_object="ios-3")
    landing.landed(7, "web", 1, from_seq=9_000)
    last = FIRST + 7 * ONE_DAY
    build_quality(landing.lake, first=FIRST, last=last, report_folder=None)
    report = build_quality(landing.lake, first=last, last=last, report_folder=None)

    assert states(landing.lake, 3)["refused"] is CheckState.FAILS
    assert states(landing.lake, 7)["sequence_gaps"] is CheckState.FAILS
    assert report.usable.state is CheckState.PASSES
