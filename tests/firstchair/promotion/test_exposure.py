"""Evidence from accepted events: who is in which arm, what counts on which day, late events."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pyarrow as pa
import pytest

from firstchair.lake import Lake, keep_former_users
from firstchair.lake import tables as t
from firstchair.promotion import Phase, Span, Stage, arms_of, build_evidence
from firstchair.promotion.experiment import COLUMNS, as_evidence
from firstchair.promotion.experiment.evidence import BEFORE
from firstchair.promotion.exposure import known_before

START = date(2026, 3, 1)
PHASE = Phase(Stage.CANARY, "7", "3", 0.5, "first/7", START, START)
SALT, HOLDOUT = "first", 0.1
TRACK_MS = 200_000


def key(number: int) -> str:
    return f"{number:032x}"


def role(number: int, phase: Phase = PHASE) -> str:
    arms = arms_of(phase, salt=SALT, holdout_share=HOLDOUT)
    return arms.role(arms.bucket(bytes.fromhex(key(number))))


USERS = range(60)
SHOWN = next(n for n in USERS if role(n) == "challenger")
OTHER = next(n for n in USERS if role(n) == "champion")
ASIDE = next(n for n in USERS if role(n) == "holdout")


def event(kind: str, user: int, day: date, **fields: Any) -> dict[str, Any]:
    blank = dict.fromkeys(t.EVENTS.schema.names)
    return {
        **blank,
        "event_id": f"{kind}-{user}-{day}-{sorted(fields.items())}",
        "event_type": kind,
        "occurred_at": datetime(day.year, day.month, day.day, 12, tzinfo=UTC),
        "event_date": day,
        "user_key": key(user),
        "source": "test",
        "source_seq": 1,
        "simulated": True,
        **fields,
    }


def slate(user: int, day: date, *artists: str) -> list[dict[str, Any]]:
    shown = {"slate_id": f"s-{user}-{day}", "model_version": "7"}
    return [
        event("impression", user, day, artist_id=artist, position=p, **shown)
        for p, artist in enumerate(artists, 1)
    ]


def click(user: int, shown_on: date, artist: str, on: date | None = None) -> dict[str, Any]:
    return event("click", user, on or shown_on, artist_id=artist, slate_id=f"s-{user}-{shown_on}")


def play(user: int, shown_on: date, artist: str, ms: int, track: str = "t1") -> dict[str, Any]:
    return event(
        "play",
        user,
        shown_on,
        artist_id=artist,
        track_id=track,
        ms_played=ms,
        slate_id=f"s-{user}-{shown_on}",
    )


def after(days: int) -> date:
    return START + timedelta(days=days)


Build = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def build(lake: Lake) -> Build:
    """Writes events and gives back the evidence of the days asked for, in order."""
    users = [
        {**dict.fromkeys(t.USERS.schema.names), "user_key": key(n), "country": "CL",
         "age_group": "25-34",
         "created_at": datetime(2026, 2, 20 if n % 2 else 1, tzinfo=UTC)
                       - timedelta(days=20 * (1 - n % 2))}
        for n in USERS
    ]  # fmt: skip
    lake.overwrite(t.USERS, pa.Table.from_pylist(users, schema=t.USERS.schema))
    tracks = [
        {
            **dict.fromkeys(t.TRACKS.schema.names),
            "track_id": track,
            "artist_id": "a",
            "duration_ms": length,
        }
        for track, length in (("t1", TRACK_MS), ("unknown", None))
    ]
    lake.overwrite(t.TRACKS, pa.Table.from_pylist(tracks, schema=t.TRACKS.schema))

    def run(
        events: list[dict[str, Any]],
        first: int = 0,
        last: int = 2,
        known: int = 40,
        phase: Phase = PHASE,
    ) -> list[dict[str, Any]]:
        lake.overwrite(t.EVENTS, pa.Table.from_pylist(events, schema=t.EVENTS.schema))
        build_evidence(
            lake,
            [Span(phase, None)],
            first=after(first),
            last=after(last),
            salt=SALT,
            holdout_share=HOLDOUT,
            known_until=after(known),
        )
        rows = lake.read(t.EVIDENCE).sort_by([("day", "ascending"), ("user_key", "ascending")])
        return list(rows.to_pylist())

    return run


def of(rows: list[dict[str, Any]], user: int, day: int) -> dict[str, Any]:
    found = [row for row in rows if row["user_key"] == key(user) and row["day"] == after(day)]
    assert len(found) == 1
    return found[0]


def test_everybody_in_an_arm_has_a_row_on_the_first_day_and_the_holdout_has_none(
    build: Build,
) -> None:
    rows = build([])

    assert {row["user_key"] for row in rows} == {key(n) for n in USERS if role(n) != "holdout"}
    assert {row["day"] for row in rows} == {START}
    assert all(row["arm"] == role(int(row["user_key"], 16)) for row in rows)
    assert all(row["impressions"] == row["active"] == row["pre_impressions"] == 0 for row in rows)
    assert key(ASIDE) not in {row["user_key"] for row in rows}


def test_a_day_counts_what_was_shown_on_it_and_what_came_of_that(build: Build) -> None:
    day = after(1)

    rows = build([
        *slate(SHOWN, day, "a", "b", "c"),
        click(SHOWN, day, "a"),
        click(SHOWN, day, "b", on=after(2)),
        click(SHOWN, day, "z"),
        play(SHOWN, day, "a", 500_000),
        play(SHOWN, day, "b", 50_000),
        play(SHOWN, day, "c", 50_000, track="unknown"),
        event("play", SHOWN, day, artist_id="x", track_id="t1", ms_played=9),
        event("follow", SHOWN, after(2), artist_id="c"),
    ])  # fmt: skip

    found = of(rows, SHOWN, 1)
    expected = {"impressions": 3, "clicks": 2, "plays": 2, "followed": 1, "active": 1}
    assert {name: found[name] for name in expected} == expected
    assert (found["ms_played"], found["track_ms"]) == (TRACK_MS + 50_000, 2 * TRACK_MS)
    assert (of(rows, SHOWN, 2)["active"], of(rows, SHOWN, 2)["impressions"]) == (1, 0)


def test_impressions_of_small_artists_are_counted_by_the_median_of_the_catalogue(
    build: Build, lake: Lake
) -> None:
    followers = {"a": 1, "b": 100, "c": 101, "d": 5_000, "e": None}
    blank = dict.fromkeys(t.ARTISTS.schema.names)
    artists = [{**blank, "artist_id": name, "followers": n} for name, n in followers.items()]
    lake.overwrite(t.ARTISTS, pa.Table.from_pylist(artists, schema=t.ARTISTS.schema))

    rows = build([*slate(SHOWN, after(1), "a", "b", "d", "e"), *slate(OTHER, after(1), "d", "x")])

    # The median of 1, 100, 101 and 5,000 is 100.5; who is not known is not small.
    assert of(rows, SHOWN, 1)["tail_impressions"] == 2
    assert of(rows, OTHER, 1)["tail_impressions"] == of(rows, OTHER, 0)["tail_impressions"] == 0


def test_an_event_delivered_twice_counts_once(build: Build) -> None:
    day = after(1)
    events = [
        *slate(OTHER, day, "a", "b"),
        click(OTHER, day, "a"),
        event("follow", OTHER, day, artist_id="b"),
    ]

    once, twice = (
        build(events),
        build([*events, click(OTHER, day, "a", on=after(2)), *slate(OTHER, day, "a", "b")]),
    )

    assert of(once, OTHER, 1)["clicks"] == of(twice, OTHER, 1)["clicks"] == 1
    assert of(once, OTHER, 1)["impressions"] == of(twice, OTHER, 1)["impressions"] == 2


def test_the_covariates_are_of_the_28_days_before_and_of_no_later_day(build: Build) -> None:
    events = [
        row
        for back in (-29, -28, -1, 0)
        for row in [*slate(SHOWN, after(back), "a"), click(SHOWN, after(back), "a")]
    ]

    found = of(build(events), SHOWN, 0)

    assert (found["pre_impressions"], found["pre_clicks"], found["pre_active_days"]) == (2, 2, 2)
    assert (found["impressions"], found["clicks"]) == (1, 1)


@pytest.mark.parametrize(
    ("comes_back", "known", "label"),
    [(None, 40, 1), (8, 40, 0), (9, 40, 1), (None, 9, 1), (None, 8, None), (8, 8, None)],
)
def test_a_churn_label_is_final_when_its_days_are_over(
    build: Build, comes_back: int | None, known: int, label: int | None
) -> None:
    events = [event("login", SHOWN, after(1))]
    events += [event("login", SHOWN, after(comes_back))] if comes_back else []

    assert of(build(events, known=known), SHOWN, 1)["churned_7"] == label


def test_a_label_that_needs_a_bad_day_is_not_known_and_covariates_leave_it_out(
    build: Build, lake: Lake
) -> None:
    events = [row for on in (-2, -1, 1) for row in slate(SHOWN, after(on), "a")]
    events += [event("login", SHOWN, after(on)) for on in (-2, -1, 1)]
    for on in (-2, 5):
        row = dict.fromkeys(t.DATA_QUALITY.schema.names) | {"event_date": after(on), "blocks": True}
        lake.replace_partition(
            t.DATA_QUALITY, pa.Table.from_pylist([row], schema=t.DATA_QUALITY.schema), after(on)
        )

    rows = build(events, last=6)

    assert of(rows, SHOWN, 1)["churned_7"] is None
    assert (of(rows, SHOWN, 0)["pre_impressions"], of(rows, SHOWN, 0)["pre_active_days"]) == (1, 1)


def test_who_never_came_has_no_churn_label(build: Build) -> None:
    assert of(build([]), OTHER, 0)["churned_7"] is None


def test_a_later_phase_knows_users_by_the_days_before_they_were_assigned(
    build: Build, lake: Lake
) -> None:
    events = [
        row
        for on in (-28, -1, 0, 5)
        for row in [*slate(SHOWN, after(on), "a"), click(SHOWN, after(on), "a")]
    ]
    for phase in (
        replace(PHASE, first_day=after(10)),
        replace(PHASE, stage=Stage.PROBATION, first_day=after(10)),
    ):
        found = of(build(events, first=10, last=12, phase=phase), SHOWN, 10)

        # Of the days before the phase, 0 and 5 had two arms already.
        assert (found["pre_impressions"], found["pre_clicks"]) == (2, 2)
        assert found["pre_active_days"] == 2
        lake.overwrite(t.EVIDENCE, t.EVIDENCE.schema.empty_table())


def test_who_left_since_the_assignment_is_in_the_phases_that_follow(
    build: Build, lake: Lake
) -> None:
    close(lake, SHOWN, on=after(5))

    rows = build([], first=10, last=10, phase=replace(PHASE, first_day=after(10)))

    assert of(rows, SHOWN, 10)["active"] == 0


def test_lifecycle_is_that_of_the_day_of_the_assignment(build: Build) -> None:
    rows = build([], first=25, last=25, phase=replace(PHASE, first_day=after(25)))

    assert rows
    assert {row["lifecycle"] for row in rows if int(row["user_key"], 16) % 2} == {"new"}
    assert {row["lifecycle"] for row in rows if not int(row["user_key"], 16) % 2} == {"long_term"}


def test_day_by_day_is_the_same_as_the_whole_range(build: Build, lake: Lake) -> None:
    events = [
        row
        for day in range(20)
        for n in (SHOWN, OTHER)
        if (day + n) % 3
        for row in slate(n, after(day), "a", "b")
    ]
    events += [
        click(n, after(day), "a") for day in range(20) for n in (SHOWN, OTHER) if (day * n) % 2
    ]
    whole = build(events, first=0, last=19, known=20)
    lake.overwrite(t.EVIDENCE, t.EVIDENCE.schema.empty_table())

    for day in range(20):
        rows = build(events, first=day, last=day, known=20)

    assert rows == whole


def test_who_joins_during_a_stage_has_rows_once_they_come_whenever_it_is_built(
    build: Build, lake: Lake
) -> None:
    users = lake.read(t.USERS)
    joined = {
        **users.slice(SHOWN, 1).to_pylist()[0],
        "created_at": datetime.combine(after(16), time(9), tzinfo=UTC),
    }
    late = [n for n in range(5_000, 5_040) if role(n) != "holdout"]
    rows = [joined | {"user_key": key(n)} for n in late]
    lake.append(t.USERS, pa.Table.from_pylist(rows, schema=t.USERS.schema))
    events = slate(late[0], after(17), "a")

    first, whole = build(events, first=0, last=0), build(events, first=0, last=19)

    came = [row["day"] for row in whole if row["user_key"] in {key(n) for n in late}]
    assert came == [after(17)]
    assert first == [row for row in whole if row["day"] == START]


def test_a_late_event_reaches_its_day(build: Build) -> None:
    early = slate(SHOWN, after(1), "a")
    build(early, first=1, last=1)

    rows = build([*early, click(SHOWN, after(1), "a")], first=1, last=1)

    assert of(rows, SHOWN, 1)["clicks"] == 1


def test_another_step_has_a_clock_and_rows_of_its_own(build: Build, lake: Lake) -> None:
    events = [*slate(SHOWN, after(1), "a"), *slate(SHOWN, after(5), "a")]
    step = replace(PHASE, share=0.6, first_day=after(4))
    lake.overwrite(t.EVENTS, pa.Table.from_pylist(events, schema=t.EVENTS.schema))
    build(events)
    spans = [Span(PHASE, after(3)), Span(step, None)]

    build_evidence(
        lake,
        spans,
        first=START,
        last=after(6),
        salt=SALT,
        holdout_share=HOLDOUT,
        known_until=after(7),
    )

    rows = lake.read(t.EVIDENCE).to_pylist()
    assert {(row["share"], row["day"]) for row in rows if row["user_key"] == key(SHOWN)} == {
        (0.5, START), (0.5, after(1)), (0.6, after(4)), (0.6, after(5)),
    }  # fmt: skip
    assert of(rows, SHOWN, 5)["pre_impressions"] == 0


def test_nobody_leaves_the_challenger_as_its_share_grows() -> None:
    shares = (0.05, 0.2, 0.5)
    inside = [
        {n for n in range(5_000) if role(n, replace(PHASE, share=share)) == "challenger"}
        for share in shares
    ]

    assert inside[0] < inside[1] < inside[2]
    probation = replace(PHASE, stage=Stage.PROBATION, share=0.8)
    assert inside[2] < {n for n in range(5_000) if role(n, probation) == "champion"}


def test_the_holdout_is_the_same_in_every_stage() -> None:
    others = [
        PHASE,
        replace(PHASE, salt="first/9", treatment="9", share=0.2),
        replace(PHASE, stage=Stage.PROBATION),
    ]

    aside = [{n for n in range(3_000) if role(n, phase) == "holdout"} for phase in others]

    assert aside[0] == aside[1] == aside[2]
    assert 0.08 < len(aside[0]) / 3_000 < 0.12


def test_the_rows_are_evidence_for_the_gate(build: Build, lake: Lake) -> None:
    build([*slate(SHOWN, after(1), "a"), *slate(OTHER, after(1), "a")])

    rows = lake.read(t.EVIDENCE).sort_by([("day", "ascending"), ("user_key", "ascending")])

    evidence = as_evidence(rows.select(COLUMNS))
    assert (evidence.dates[0], evidence.days) == (START, 2)


def test_before_a_stage_everybody_outside_the_holdout_counts_as_its_evidence_will_have_them(
    build: Build, lake: Lake
) -> None:
    early, late = after(-20), after(-3)
    events = [
        *slate(SHOWN, early, "a", "b"),
        play(SHOWN, early, "a", 50_000),
        *slate(SHOWN, late, "a"),
        click(SHOWN, late, "a"),
        *slate(OTHER, after(-29), "a"),
        *slate(ASIDE, late, "a"),
    ]
    stage = [*slate(SHOWN, START, "a", "b"), *slate(OTHER, START, "c")]

    evidence = build([*events, *stage], last=0)
    found = known_before(lake, START, salt=SALT, holdout_share=HOLDOUT).to_pylist()

    keys = [row["user_key"] for row in evidence]
    assert (
        [row["user_key"] for row in found]
        == keys
        == [key(n) for n in USERS if role(n) != "holdout"]
    )
    assert [[row[n] for n in BEFORE] for row in found] == [[r[n] for n in BEFORE] for r in evidence]
    shown = found[keys.index(key(SHOWN))]
    assert (shown["pre_impressions"], shown["pre_clicks"], shown["pre_active_days"]) == (3, 1, 2)
    assert (shown["late_active_days"], shown["late_track_ms"], shown["pre_track_ms"]) == (
        1,
        0,
        TRACK_MS,
    )


def test_who_closes_the_account_during_a_stage_stays_in_its_arm_and_counts_as_churned(
    build: Build, lake: Lake
) -> None:
    until = 10
    events = [event("login", n, after(d)) for d in range(-28, until) for n in (SHOWN, OTHER)]
    everybody = lake.read(t.USERS)
    stays = build(events, last=24)

    build(events, last=until - 1, known=until)
    close(lake, SHOWN, on=after(until))
    closed = build(events, first=until, last=24)

    assert lake.count(t.USERS) == everybody.num_rows - 1
    assert closed == stays
    assert [of(closed, SHOWN, day)["churned_7"] for day in (0, until - 1)] == [0, 1]
    assert known_before(lake, START, salt=SALT, holdout_share=HOLDOUT).num_rows == len(
        [n for n in USERS if role(n) != "holdout"]
    )


def test_who_closed_the_account_before_a_stage_is_in_none_of_its_arms(
    build: Build, lake: Lake
) -> None:
    close(lake, SHOWN, on=after(-1))

    rows = build([event("login", SHOWN, after(-3))])

    assert key(SHOWN) not in {row["user_key"] for row in rows}
    assert key(OTHER) in {row["user_key"] for row in rows}


def close(lake: Lake, user: int, *, on: date) -> None:
    """Take a user out of silver/users, as the reading of the accounts does."""
    present = lake.read(t.USERS, f"user_key <> '{key(user)}'")
    keep_former_users(lake, present, forgotten=pa.array([], pa.string()), left_on=on)
    lake.overwrite(t.USERS, present)
