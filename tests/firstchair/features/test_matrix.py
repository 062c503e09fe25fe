"""The user–item matrix, against the formula of its docstring."""

from dataclasses import replace
from datetime import date
from math import log

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firstchair.features import ConfidenceSettings, interactions
from firstchair.lake import tables as lake_tables

AS_OF = date(2026, 2, 1)
# Round constants, so that the expected values can be followed by hand.
ROUND = ConfidenceSettings(
    half_life_days=10,
    play_strength=1,
    click_strength=0.5,
    follow_strength=3,
    activity_scale=1e12,
    epsilon=1,
    min_impressions=3,
    negative_ceiling=0.3,
    negative_half_impressions=4,
)


def test_columns_are_those_of_the_table(scene):
    matrix = interactions(
        scene.history([scene.event("click", scene.anna, "2026-01-31", artist_id="x")]), as_of=AS_OF
    )

    assert matrix.to_pyarrow().cast(lake_tables.INTERACTIONS.schema).schema.names == list(
        matrix.columns
    )


@pytest.mark.parametrize(
    ("event_type", "ms_played", "strength"),
    [
        ("play", 200_000, 1),
        ("play", 900_000, 1),
        ("play", 50_000, 0.25),
        ("click", None, 0.5),
        ("follow", None, 3),
    ],
)
def test_each_signal_adds_its_strength(scene, rows, event_type, ms_played, strength):
    history = scene.history(
        [
            scene.event(
                event_type,
                scene.anna,
                "2026-01-22T10:00",
                artist_id="x",
                track_id="x1",
                ms_played=ms_played,
            )
        ]
    )

    [row] = rows(interactions(history, as_of=AS_OF, settings=ROUND))

    # Ten days old: half of it is left.
    assert row["confidence"] == pytest.approx(1 + log(1 + strength / 2), abs=1e-6)
    assert (row["preference"], row["last_signal_on"]) == (1, date(2026, 1, 22))


def test_play_of_unknown_length_counts_against_three_and_a_half_minutes(scene, rows):
    history = scene.history(
        [
            scene.event(
                "play",
                scene.anna,
                "2026-01-22T10:00",
                artist_id="x",
                track_id="x1",
                ms_played=105_000,
            )
        ],
        tracks=[scene.track("x1", "x", None)],
    )

    [row] = rows(interactions(history, as_of=AS_OF, settings=ROUND))

    assert row["confidence"] == pytest.approx(1 + log(1 + 0.5 / 2), abs=1e-6)


def test_signals_add_up_and_everything_is_counted(scene, rows):
    history = scene.history(
        [
            scene.event(
                "play",
                scene.anna,
                "2026-01-22T10:00",
                artist_id="x",
                track_id="x1",
                ms_played=200_000,
            ),
            scene.event(
                "play",
                scene.anna,
                "2026-01-12T10:00",
                artist_id="x",
                track_id="x2",
                ms_played=200_000,
            ),
            scene.event(
                "play",
                scene.anna,
                "2026-01-31T10:00",
                artist_id="x",
                track_id="x2",
                ms_played=1_000,
            ),
            scene.event("click", scene.anna, "2026-01-22T10:00", artist_id="x"),
            scene.event("follow", scene.anna, "2026-01-02T10:00", artist_id="x"),
            scene.event("impression", scene.anna, "2026-01-22T10:00", artist_id="x"),
            scene.event(
                "play",
                scene.anna,
                "2026-02-01T00:00",
                artist_id="x",
                track_id="x1",
                ms_played=200_000,
            ),
        ]
    )

    assert rows(interactions(history, as_of=AS_OF, settings=ROUND)) == [
        {
            "user_key": scene.anna,
            "artist_id": "x",
            "as_of": AS_OF,
            "confidence": pytest.approx(1 + log(1 + 1 / 2 + 1 / 4 + 0.5 / 2 + 3 / 8), abs=1e-6),
            "preference": 1,
            "plays": 3,
            "clicks": 1,
            "impressions": 1,
            "follows": True,
            "last_signal_on": date(2026, 1, 22),
        }
    ]


def test_activity_of_a_user_is_normalised(scene, rows):
    plays = [
        scene.event(
            "play",
            scene.anna,
            "2026-01-22T10:00",
            artist_id=artist,
            track_id=f"{artist}1",
            ms_played=200_000,
        )
        for artist in "xyyy"
    ]

    x, y = rows(
        interactions(scene.history(plays), as_of=AS_OF, settings=replace(ROUND, activity_scale=2))
    )

    # Strengths 0.5 and 1.5 add up to the scale of 2: both are halved.
    assert x["confidence"] == pytest.approx(1 + log(1 + 0.25), abs=1e-6)
    assert y["confidence"] == pytest.approx(1 + log(1 + 0.75), abs=1e-6)


def test_withdrawn_follow_has_no_strength(scene, rows):
    events = [
        scene.event("click", scene.anna, "2026-01-22T10:00", artist_id="x"),
        scene.event("follow", scene.anna, "2026-01-23T10:00", artist_id="x"),
        scene.event("unfollow", scene.anna, "2026-01-24T10:00", artist_id="x"),
    ]

    [with_unfollow] = rows(interactions(scene.history(events), as_of=AS_OF))
    [click_alone] = rows(interactions(scene.history(events[:1]), as_of=AS_OF))
    [followed] = rows(interactions(scene.history(events[:2]), as_of=AS_OF))

    assert with_unfollow == click_alone
    assert followed["follows"]
    assert followed["confidence"] > click_alone["confidence"]


def test_withdrawn_follow_alone_is_a_refusal_at_the_ceiling(scene, rows):
    history = scene.history(
        [
            scene.event("follow", scene.anna, "2026-01-23T10:00", artist_id="x"),
            scene.event("unfollow", scene.anna, "2026-01-24T10:00", artist_id="x"),
        ]
    )

    [row] = rows(interactions(history, as_of=AS_OF))

    assert (row["preference"], row["confidence"], row["follows"]) == (0, 0.3, False)
    assert row["last_signal_on"] is None


def test_follow_given_twice_counts_once_from_its_latest_day(scene, rows):
    history = scene.history(
        [
            scene.event("follow", scene.anna, "2026-01-02T10:00", artist_id="x"),
            scene.event("follow", scene.anna, "2026-01-22T10:00", artist_id="x"),
        ]
    )

    [row] = rows(interactions(history, as_of=AS_OF, settings=ROUND))

    assert row["confidence"] == pytest.approx(1 + log(1 + 3 / 2), abs=1e-6)


@pytest.mark.parametrize(
    ("shown", "confidence"), [(3, 0.3 * (1 - 0.5**0.25)), (6, 0.15), (14, 0.2625)]
)
def test_shown_often_and_never_taken_is_weak_evidence_against(scene, rows, shown, confidence):
    history = scene.history(
        [
            scene.event("impression", scene.anna, "2026-01-22T10:00", artist_id="x")
            for _ in range(shown)
        ]
    )

    [row] = rows(interactions(history, as_of=AS_OF, settings=ROUND))

    assert (row["preference"], row["impressions"], row["last_signal_on"]) == (0, shown, None)
    assert row["confidence"] == pytest.approx(confidence, abs=1e-6)


def test_shown_twice_or_skipped_says_nothing(scene, rows):
    history = scene.history(
        [
            scene.event("impression", scene.anna, "2026-01-22T10:00", artist_id="x"),
            scene.event("impression", scene.anna, "2026-01-23T10:00", artist_id="x"),
            scene.event(
                "play",
                scene.anna,
                "2026-01-22T10:00",
                artist_id="y",
                track_id="y1",
                ms_played=1_000,
            ),
            scene.event("login", scene.anna, "2026-01-22T10:00"),
        ]
    )

    assert rows(interactions(history, as_of=AS_OF)) == []


def test_one_positive_signal_outweighs_any_number_of_impressions(scene, rows):
    history = scene.history(
        [
            *(
                scene.event("impression", scene.anna, "2026-01-22T10:00", artist_id="x")
                for _ in range(50)
            ),
            scene.event("click", scene.anna, "2024-01-01T10:00", artist_id="x"),
        ]
    )

    [row] = rows(interactions(history, as_of=AS_OF))

    assert row["preference"] == 1
    assert row["confidence"] >= 1


counted = st.dictionaries(
    st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")),
    st.integers(1, 60),
    min_size=1,
    max_size=9,
)


@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(counted)
def test_no_users_strengths_add_up_to_more_than_the_scale(scene, rows, plays):
    settings = replace(ROUND, activity_scale=20)
    history = scene.history(
        scene.event(
            "play",
            user * 32,
            "2026-01-31T10:00",
            artist_id=artist,
            track_id=f"{artist}1",
            ms_played=200_000,
        )
        for (user, artist), times in plays.items()
        for _ in range(times)
    )

    matrix = rows(interactions(history, as_of=AS_OF, settings=settings))

    totals = dict.fromkeys((row["user_key"] for row in matrix), 0.0)
    for row in matrix:
        totals[row["user_key"]] += 2.718281828459045 ** (row["confidence"] - 1) - 1
    assert max(totals.values()) < 20
    assert len(matrix) == len(plays)


@pytest.mark.parametrize(
    "wrong",
    [
        {"half_life_days": 0},
        {"epsilon": -1},
        {"click_strength": -0.1},
        {"negative_ceiling": 1},
        {"min_impressions": 0},
    ],
)
def test_constants_without_a_meaning_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(ROUND, **wrong)
