"""What came of what was shown: the relation against its sentences, and all who count by it."""

from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from firstchair.definitions.attribution import EVENTS, shown_sql
from firstchair.definitions.slates import SLATE_DAYS
from firstchair.features import open_history, slate_items
from firstchair.lake import DuckDBEngine, Lake, connect
from firstchair.lake import tables as t
from firstchair.promotion import Phase, Span, Stage, build_evidence
from monitoring import build_baselines, build_engagement
from tests.monitoring.conftest import Row, Story

FIRST, DAYS = date(2026, 3, 10), 4
LAST = FIRST + timedelta(days=DAYS - 1)
USERS, SLATES, ARTISTS = (f"{1:032x}", f"{2:032x}"), ("s", "t"), ("a", "b")
CLOCK = ("00:00:00", "00:00:01", "12:00:00", "12:00:01", "23:59:58", "23:59:59")
KINDS = ("impression", "impression", "click", "play", "organic play", "follow")
PHASE = Phase(Stage.CANARY, "2", "1", 0.5, "salt/2", FIRST, FIRST)

History = list[tuple[str, str, str, str, str, str]]

moments = st.builds(
    lambda day, clock: f"{FIRST + timedelta(days=day)}T{clock}",
    st.integers(0, DAYS - 1),
    st.sampled_from(CLOCK),
)
happenings = st.tuples(
    st.sampled_from(KINDS),
    moments,
    st.sampled_from(USERS),
    st.sampled_from(SLATES),
    st.sampled_from(ARTISTS),
    st.sampled_from(("1", "2")),
)
histories = st.lists(happenings, max_size=30)


def story_of(history: History, folder: str = "") -> Story:
    story = Story(Lake(folder))
    story.track("t", 1_000)
    for kind, at, user, slate, artist, version in history:
        match kind:
            case "impression":
                story.shown(user, at, slate, artist, version=version)
            case "click":
                story.clicked(user, at, slate, artist)
            case "play":
                story.played(user, at, artist, 500, slate=slate)
            case "organic play":
                story.played(user, at, artist, 500)
            case "follow":
                story.followed(user, at, artist)
    return story


def of_engine(events: list[Row]) -> dict[tuple[Any, ...], Row]:
    """Rows of the relation by user, slate, artist and day."""
    whole = [dict.fromkeys(t.EVENTS.schema.names) | row for row in events]
    with connect() as connection:
        connection.register("events", pa.Table.from_pylist(whole, schema=t.EVENTS.schema))
        found = connection.sql(shown_sql("events")).to_arrow_table().to_pylist()
    by_thing = {(r["user_key"], r["slate_id"], r["artist_id"], r["event_date"]): r for r in found}
    assert len(by_thing) == len(found)
    return by_thing


def by_sentences(events: list[Row]) -> dict[tuple[Any, ...], Row]:
    """The same rows, from the sentences of the docstring."""
    impressions: dict[tuple[Any, ...], list[Row]] = {}
    for event in events:
        if event["event_type"] == "impression":
            names = ("user_key", "slate_id", "artist_id", "event_date")
            impressions.setdefault(tuple(event[name] for name in names), []).append(event)
    rows = {
        thing: {
            "shown_at": min(event["occurred_at"] for event in seen),
            "model_version": min(event["model_version"] for event in seen),
            "clicked_on": None,
            "followed": False,
            "plays": [],
        }
        for thing, seen in impressions.items()
    }
    for event in sorted(events, key=lambda event: event["occurred_at"]):
        possible = [thing for thing, row in rows.items() if may_come_of(event, thing, row)]
        if not possible or event["event_type"] == "impression":
            continue
        row = rows[max(possible, key=lambda thing: (rows[thing]["shown_at"], thing[1]))]
        match event["event_type"]:
            case "click":
                row["clicked_on"] = row["clicked_on"] or event["event_date"]
            case "play":
                row["plays"].append(event["event_id"])
            case "follow":
                row["followed"] = True
    return rows


def may_come_of(event: Row, thing: tuple[Any, ...], row: Row) -> bool:
    user, slate, artist, day = thing
    same = (event["user_key"], event["artist_id"]) == (user, artist)
    same_slate = event["event_type"] == "follow" or event.get("slate_id") == slate
    in_time = row["shown_at"] <= event["occurred_at"]
    return same and same_slate and in_time and (event["event_date"] - day).days <= SLATE_DAYS


@settings(max_examples=60, deadline=None)
@given(histories)
def test_the_relation_is_what_its_sentences_say(history: History) -> None:
    events = story_of(history).events

    found, expected = of_engine(events), by_sentences(events)

    assert found.keys() == expected.keys()
    for thing, row in expected.items():
        told = found[thing]
        assert {name: told[name] for name in ("shown_at", "model_version", "clicked_on")} == {
            name: row[name] for name in ("shown_at", "model_version", "clicked_on")
        }
        assert (told["clicked"], told["followed"]) == (
            row["clicked_on"] is not None,
            row["followed"],
        )
        assert Counter(told["plays"] or ()) == Counter(row["plays"])
        assert told["played"] == bool(row["plays"])


@settings(max_examples=25, deadline=None)
@given(histories, st.integers(0, DAYS - 1))
def test_a_day_depends_on_itself_and_the_window_after_it(history: History, number: int) -> None:
    events, day = story_of(history).events, FIRST + timedelta(days=number)
    near = [event for event in events if 0 <= (event["event_date"] - day).days <= SLATE_DAYS]

    whole, alone = of_engine(events), of_engine(near)

    assert [settled(row) for thing, row in sorted(whole.items()) if thing[3] == day] == [
        settled(row) for thing, row in sorted(alone.items()) if thing[3] == day
    ]


def settled(row: Row) -> Row:
    return row | {"plays": sorted(row["plays"] or ())}


def test_an_outcome_is_of_the_window_and_counts_for_the_latest_thing_shown() -> None:
    user, at = USERS[0], "2026-03-{}"
    story = Story(Lake(""))
    story.shown(user, at.format("10T23:59:59"), "s", "abc")
    story.shown(user, at.format("11T00:00:00"), "t", "a")
    for slate, artist, moment in (
        ("s", "a", "11T23:59:59"),
        ("s", "b", "12T00:00:00"),
        ("s", "c", "10T23:59:58"),
        ("t", "a", "11T00:00:00"),
        ("t", "a", "12T23:59:59"),
    ):
        story.clicked(user, at.format(moment), slate, artist)
    story.followed(user, at.format("11T08:00:00"), "a")
    story.followed(user, at.format("12T08:00:00"), "b")

    rows = {(slate, artist): row for (_, slate, artist, _), row in of_engine(story.events).items()}

    assert {thing for thing, row in rows.items() if row["clicked"]} == {("s", "a"), ("t", "a")}
    assert {thing for thing, row in rows.items() if row["followed"]} == {("t", "a")}
    assert rows["s", "a"]["clicked_on"] == date(2026, 3, 11)
    assert rows["s", "a"]["event_date"] == FIRST


def test_what_is_simulated_in_an_outcome_marks_the_row() -> None:
    story = Story(Lake(""))
    story.shown(USERS[0], "2026-03-10T08:00", "s", "ab")
    story.simulated = True
    story.clicked(USERS[0], "2026-03-10T08:01", "s", "a")

    marked = {thing[2]: row["simulated"] for thing, row in of_engine(story.events).items()}

    assert marked == {"a": True, "b": False}


def test_every_column_read_is_one_of_the_accepted_events() -> None:
    assert set(EVENTS) <= set(t.EVENTS.schema.names)


@settings(max_examples=6, deadline=None)
@given(st.lists(happenings, min_size=12, max_size=40))
def test_monitoring_the_gate_baselines_and_labels_add_up_to_the_same(history: History) -> None:
    with TemporaryDirectory() as folder:
        story = story_of(history, str(Path(folder) / "lake"))
        for user in USERS:
            story.user(user)
        lake, rows = story.told(), by_sentences(story.events)

        build_engagement(lake, first=FIRST, last=LAST, k_anonymity=1)
        build_evidence(
            lake,
            [Span(PHASE, None)],
            first=FIRST,
            last=LAST,
            salt="salt",
            holdout_share=0.0,
            known_until=LAST + timedelta(days=1),
        )
        build_baselines(lake, first=LAST, last=LAST, baselines={"2": "trending"}, k_anonymity=1)

        assert by_day_of_engagement(lake) == by_day(rows)
        assert by_day_of_evidence(lake) == by_day(rows)
        assert of_baselines(lake) == last_of_baselines(rows)
        assert labels(lake) == sum(bool(r["clicked_on"] or r["plays"]) for r in rows.values())


Counts = dict[date, tuple[int, int, int, int]]


def by_day(rows: dict[tuple[Any, ...], Row]) -> Counts:
    """Things shown, clicked and followed, and plays that came of them, by day."""
    sums: dict[date, list[int]] = {}
    for (*_, day), row in rows.items():
        counts = (1, row["clicked_on"] is not None, row["followed"], len(row["plays"]))
        sums[day] = [a + b for a, b in zip(sums.get(day, [0] * 4), counts, strict=True)]
    return {day: tuple(counts) for day, counts in sums.items()}  # type: ignore[misc]


def by_day_of_engagement(lake: Lake) -> Counts:
    where = "segment = 'all' and model_version <> 'all'"
    return summed(
        (row["event_date"], tuple(row[n] for n in ("impressions", "clicks", "follows", "plays")))
        for row in lake.read(t.ENGAGEMENT_DAILY, where).to_pylist()
    )


def by_day_of_evidence(lake: Lake) -> Counts:
    return summed(
        (row["day"], tuple(row[n] for n in ("impressions", "clicks", "followed", "plays")))
        for row in lake.read(t.EVIDENCE, "impressions > 0 or plays > 0").to_pylist()
    )


def summed(found: Any) -> Counts:
    sums: dict[date, list[int]] = {}
    for day, counts in found:
        sums[day] = [a + b for a, b in zip(sums.get(day, [0] * 4), counts, strict=True)]
    return {day: tuple(counts) for day, counts in sums.items()}  # type: ignore[misc]


def of_baselines(lake: Lake) -> list[tuple[int, int]]:
    """Impressions and clicks of version 1 against those of version 2 on the last day's row."""
    return [
        (round(row[f"{side}impressions"]), round(row[f"{side}ctr"] * row[f"{side}impressions"]))
        for row in lake.read(t.BASELINES, f"event_date = date '{LAST}'").to_pylist()
        for side in ("", "baseline_")
    ]


def last_of_baselines(rows: dict[tuple[Any, ...], Row]) -> list[tuple[int, int]]:
    sides = [[r for r in rows.values() if r["model_version"] == version] for version in ("1", "2")]
    if not all(sides):
        return []
    return [(len(side), sum(r["clicked_on"] is not None for r in side)) for side in sides]


def labels(lake: Lake) -> int:
    """Slots that the ranker is taught were taken."""
    with DuckDBEngine(lake) as engine:
        end = LAST + timedelta(days=1)
        items = slate_items(open_history(engine), start=FIRST, end=end).to_pyarrow().to_pylist()
    return sum(item["taken"] for item in items)


def test_labels_see_nothing_at_or_after_their_end_and_no_click_out_of_time(lake: Lake) -> None:
    story = Story(lake)
    story.shown(USERS[0], "2026-03-10T08:00", "s", "abcd")
    story.clicked(USERS[0], "2026-03-10T08:01", "s", "a")
    story.played(USERS[0], "2026-03-11T08:01", "b", 500, slate="s")
    story.clicked(USERS[0], "2026-03-12T00:00", "s", "c")
    story.clicked(USERS[1], "2026-03-10T08:01", "s", "d")
    story.told()

    def taken(end: date) -> set[str]:
        with DuckDBEngine(lake) as engine:
            items = slate_items(open_history(engine), start=FIRST, end=end).to_pyarrow()
        return {row["artist_id"] for row in items.to_pylist() if row["taken"]}

    assert taken(date(2026, 3, 11)) == {"a"}
    assert taken(date(2026, 3, 13)) == {"a", "b"}
