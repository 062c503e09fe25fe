"""When a user first took up an artist."""

from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firstchair.features import first_taken, interactions

START, END = date(2026, 1, 10), date(2026, 1, 20)


@pytest.mark.parametrize(
    ("event_type", "fields"),
    [
        ("click", {}),
        ("follow", {}),
        ("play", {"track_id": "x1", "ms_played": 200_000}),
        ("play", {"track_id": "x1", "ms_played": 15_000}),
        ("play", {"track_id": "short", "ms_played": 4_000}),
        ("play", {"track_id": "nameless", "ms_played": 15_000}),
    ],
)
def test_click_follow_and_play_beyond_a_skip_are_positive(scene, rows, event_type, fields):
    tracks = [
        scene.track("x1", "x"),
        scene.track("short", "x", 40_000),
        scene.track("nameless", "x", None),
    ]
    history = scene.history(
        [scene.event(event_type, scene.anna, "2026-01-15T10:00", artist_id="x", **fields)],
        tracks=tracks,
    )

    assert rows(first_taken(history, start=START, end=END)) == [
        {"user_key": scene.anna, "artist_id": "x", "first_on": date(2026, 1, 15), "prompted": False}
    ]


@pytest.mark.parametrize(
    ("event_type", "fields"),
    [
        ("impression", {}),
        ("unfollow", {}),
        ("play", {"track_id": "x1", "ms_played": 14_999}),
        ("play", {"track_id": "nameless", "ms_played": 14_999}),
        ("play", {"track_id": "x1", "ms_played": 0}),
    ],
)
def test_impression_unfollow_and_skip_are_not_positive(scene, rows, event_type, fields):
    tracks = [scene.track("x1", "x"), scene.track("nameless", "x", None)]
    history = scene.history(
        [scene.event(event_type, scene.anna, "2026-01-15T10:00", artist_id="x", **fields)],
        tracks=tracks,
    )

    assert rows(first_taken(history, start=START, end=END)) == []


def test_only_the_first_signal_ever_counts_and_it_must_lie_in_the_window(scene, rows):
    history = scene.history(
        [
            scene.event("click", scene.anna, "2026-01-09T23:59", artist_id="x"),
            scene.event("click", scene.anna, "2026-01-15T10:00", artist_id="x"),
            scene.event("click", scene.anna, "2026-01-10T00:00", artist_id="y"),
            scene.event("follow", scene.anna, "2026-01-12T10:00", artist_id="y"),
            scene.event("click", scene.ben, "2026-01-19T23:59:59", artist_id="y"),
            scene.event("click", scene.ben, "2026-01-20T00:00", artist_id="z"),
        ]
    )

    assert rows(first_taken(history, start=START, end=END)) == [
        {
            "user_key": scene.anna,
            "artist_id": "y",
            "first_on": date(2026, 1, 10),
            "prompted": False,
        },
        {"user_key": scene.ben, "artist_id": "y", "first_on": date(2026, 1, 19), "prompted": False},
    ]


def test_withdrawn_follow_was_a_first_signal_all_the_same(scene, rows):
    history = scene.history(
        [
            scene.event("follow", scene.anna, "2026-01-05T10:00", artist_id="x"),
            scene.event("unfollow", scene.anna, "2026-01-06T10:00", artist_id="x"),
            scene.event("click", scene.anna, "2026-01-15T10:00", artist_id="x"),
        ]
    )

    assert rows(first_taken(history, start=START, end=END)) == []


signals = st.lists(
    st.tuples(
        st.sampled_from(["play", "click", "follow", "impression"]),
        st.sampled_from("ab"),
        st.sampled_from("xyz"),
        st.integers(0, 25),
        st.sampled_from([0, 14_999, 15_000, 200_000]),
    ),
    max_size=25,
)


@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(signals)
def test_taken_before_and_first_taken_since_are_what_is_taken_at_the_end(scene, rows, drawn):
    history = scene.history(
        scene.event(
            kind,
            user * 32,
            f"{date(2026, 1, 1) + timedelta(days=day)}T12:00",
            artist_id=artist,
            track_id=f"{artist}1",
            ms_played=ms_played,
        )
        for kind, user, artist, day, ms_played in drawn
    )

    def taken(as_of):
        matrix = rows(interactions(history, as_of=as_of))
        return {(row["user_key"], row["artist_id"]) for row in matrix if row["preference"] == 1}

    since = {
        (row["user_key"], row["artist_id"])
        for row in rows(first_taken(history, start=START, end=END))
    }

    assert taken(START).isdisjoint(since)
    assert taken(START) | since == taken(END)


def test_an_artist_first_taken_from_a_slate_is_prompted(scene, rows):
    def play(artist, at, slate=None):
        return scene.event(
            "play",
            scene.anna,
            at,
            artist_id=artist,
            track_id=f"{artist}1",
            ms_played=200_000,
            slate_id=slate,
        )

    history = scene.history(
        [
            play("found", "2026-01-15T10:00"),
            play("found", "2026-01-15T11:00", slate="s1"),
            play("shown", "2026-01-15T10:00", slate="s1"),
            play("shown", "2026-01-15T11:00"),
            scene.event(
                "click", scene.anna, "2026-01-15T10:00", artist_id="clicked", slate_id="s1"
            ),
            scene.event("follow", scene.anna, "2026-01-15T10:00", artist_id="followed"),
        ],
        tracks=[scene.track(f"{artist}1", artist) for artist in ("found", "shown")],
    )

    prompted = {
        row["artist_id"]: row["prompted"]
        for row in rows(first_taken(history, start=START, end=END))
    }

    assert prompted == {"found": False, "shown": True, "clicked": True, "followed": False}
