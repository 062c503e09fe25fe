"""Recent tracks and listen-through, worked out by hand."""

from datetime import UTC, date, datetime, timedelta

import pytest

from firstchair.features.plays import listen_through, recent_tracks

AS_OF = date(2026, 1, 10)


def test_recent_tracks_come_latest_first_with_the_ratio_to_everybodys_average(scene, rows):
    history = scene.history(
        [
            scene.event(
                "play",
                scene.anna,
                "2026-01-01T10:00",
                artist_id="x",
                track_id="x1",
                ms_played=60_000,
            ),
            scene.event(
                "play",
                scene.anna,
                "2026-01-03T10:00",
                artist_id="y",
                track_id="y1",
                ms_played=50_000,
            ),
            scene.event(
                "play",
                scene.ben,
                "2026-01-02T10:00",
                artist_id="x",
                track_id="x1",
                ms_played=180_000,
            ),
            scene.event(
                "play",
                scene.ben,
                "2026-01-10T10:00",
                artist_id="x",
                track_id="x1",
                ms_played=999_000,
            ),
        ]
    )

    anna, ben = rows(recent_tracks(history, as_of=AS_OF))

    # x1 was heard for 60 and 180 seconds: 120 on average.
    assert anna["recent_tracks"] == [
        {
            "track_id": "y1",
            "artist_id": "y",
            "played_at": datetime(2026, 1, 3, 10, tzinfo=UTC),
            "ms_played": 50_000,
            "listen_ratio": 1.0,
        },
        {
            "track_id": "x1",
            "artist_id": "x",
            "played_at": datetime(2026, 1, 1, 10, tzinfo=UTC),
            "ms_played": 60_000,
            "listen_ratio": 0.5,
        },
    ]
    assert [play["listen_ratio"] for play in ben["recent_tracks"]] == [1.5]


def test_ratio_is_null_where_nobody_heard_anything_of_the_track(scene, rows):
    history = scene.history(
        [
            scene.event(
                "play", scene.anna, "2026-01-01T10:00", artist_id="x", track_id="x1", ms_played=0
            )
        ]
    )

    [anna] = rows(recent_tracks(history, as_of=AS_OF))

    assert anna["recent_tracks"][0]["listen_ratio"] is None


def test_the_101st_play_is_forgotten_but_still_counts_in_the_average(scene, rows):
    first = datetime(2026, 1, 1, tzinfo=UTC)
    plays = [
        scene.event(
            "play",
            scene.anna,
            first + timedelta(minutes=n),
            artist_id="x",
            track_id="x1",
            ms_played=101_000 if n == 0 else 0,
        )
        for n in range(101)
    ]
    plays.append(
        scene.event(
            "play", scene.ben, "2026-01-02T10:00", artist_id="x", track_id="x1", ms_played=1_000
        )
    )

    anna, ben = rows(recent_tracks(scene.history(reversed(plays)), as_of=AS_OF))

    played_at = [play["played_at"] for play in anna["recent_tracks"]]
    assert played_at == [first + timedelta(minutes=n) for n in range(100, 0, -1)]
    assert ben["recent_tracks"][0]["listen_ratio"] == pytest.approx(1_000 / (102_000 / 102))


def test_plays_of_one_instant_stand_in_the_order_of_their_ids(scene, rows):
    plays = [
        scene.event(
            "play",
            scene.anna,
            "2026-01-01T10:00",
            event_id=name,
            artist_id="x",
            track_id=track,
            ms_played=1_000,
        )
        for name, track in (("b", "x2"), ("c", "y1"), ("a", "x1"))
    ]

    for order in (plays, plays[::-1]):
        [anna] = rows(recent_tracks(scene.history(order), as_of=AS_OF))
        assert [play["track_id"] for play in anna["recent_tracks"]] == ["y1", "x2", "x1"]


def test_listen_through_caps_each_play_at_its_tracks_length(scene, rows):
    history = scene.history(
        [
            scene.event(
                "play",
                scene.anna,
                "2026-01-01T10:00",
                artist_id="x",
                track_id="x1",
                ms_played=500_000,
            ),
            scene.event(
                "play",
                scene.anna,
                "2026-01-02T10:00",
                artist_id="y",
                track_id="y1",
                ms_played=50_000,
            ),
        ]
    )

    [anna] = rows(listen_through(history, as_of=AS_OF))

    # 200 of 200 seconds and 50 of 200.
    assert anna["listen_through"] == 250 / 400


def test_tracks_of_unknown_length_do_not_enter_listen_through(scene, rows):
    tracks = [
        scene.track("x1", "x", 100_000),
        scene.track("x2", "x", None),
        scene.track("y1", "y", 0),
    ]
    history = scene.history(
        [
            scene.event(
                "play",
                scene.anna,
                "2026-01-01T10:00",
                artist_id="x",
                track_id="x1",
                ms_played=25_000,
            ),
            scene.event(
                "play",
                scene.anna,
                "2026-01-01T11:00",
                artist_id="x",
                track_id="x2",
                ms_played=90_000,
            ),
            scene.event(
                "play",
                scene.anna,
                "2026-01-01T12:00",
                artist_id="y",
                track_id="y1",
                ms_played=90_000,
            ),
            scene.event(
                "play",
                scene.ben,
                "2026-01-01T12:00",
                artist_id="x",
                track_id="x2",
                ms_played=90_000,
            ),
        ],
        tracks=tracks,
    )

    [anna] = rows(listen_through(history, as_of=AS_OF))

    assert (anna["user_key"], anna["listen_through"]) == (scene.anna, 0.25)
