"""Followed artists, worked out by hand."""

from datetime import date

from firstchair.features.follows import followed_artists

AS_OF = date(2026, 2, 1)


def test_followed_artist_carries_what_is_known_of_it(scene, rows):
    plays = {"x1": 1, "x2": 3, "x3": 2, "x4": 1}
    history = scene.history(
        [
            scene.event("follow", scene.anna, "2026-01-01T10:00", artist_id="x"),
            *(
                scene.event(
                    "play",
                    scene.ben,
                    "2026-01-29T10:00",
                    artist_id="x",
                    track_id=track,
                    ms_played=1,
                )
                for track, times in plays.items()
                for _ in range(times)
            ),
            *(
                scene.event(
                    "play",
                    scene.cara,
                    "2026-01-30T10:00",
                    artist_id="y",
                    track_id="y1",
                    ms_played=1,
                )
                for _ in range(8)
            ),
        ],
        artists=[
            scene.artist("x", name="Los X", first_active_on=date(2026, 1, 1), followers=42),
            scene.artist("y"),
        ],
    )

    [anna] = rows(followed_artists(history, as_of=AS_OF))

    # x1 and x4 were played once each: the third place goes to the smaller id.
    assert anna["followed_artists"] == [
        {
            "artist_id": "x",
            "name": "Los X",
            "top_tracks": ["x2", "x3", "x1"],
            "days_active": 31,
            "trending_rank": 2,
            "followers": 42,
        }
    ]


def test_one_listener_makes_no_top_track(scene, rows):
    def plays(user, track, times, ms_played=1):
        return [
            scene.event(
                "play", user, "2026-01-29T10:00", artist_id="x", track_id=track, ms_played=ms_played
            )
            for _ in range(times)
        ]

    history = scene.history(
        [
            scene.event("follow", scene.anna, "2026-01-01T10:00", artist_id="x"),
            *plays(scene.anna, "x1", 60),
            *plays(scene.ben, "x1", 60),
            *plays(scene.cara, "x2", 1_000),
            *plays("d" * 32, "x3", 300, ms_played=3_100_000),
        ]
    )

    [anna] = rows(followed_artists(history, as_of=AS_OF))

    assert anna["followed_artists"][0]["top_tracks"] == ["x1", "x2"]


def test_top_tracks_look_back_28_days(scene, rows):
    history = scene.history(
        [
            scene.event("follow", scene.anna, "2025-12-01T10:00", artist_id="x"),
            scene.event(
                "play", scene.ben, "2026-01-03T23:59", artist_id="x", track_id="x1", ms_played=1
            ),
            scene.event(
                "play", scene.ben, "2026-01-04T00:00", artist_id="x", track_id="x2", ms_played=1
            ),
        ]
    )

    [anna] = rows(followed_artists(history, as_of=AS_OF))

    assert anna["followed_artists"][0]["top_tracks"] == ["x2"]
    assert anna["followed_artists"][0]["trending_rank"] is None


def test_artist_nobody_played_and_of_unknown_age_is_followed_all_the_same(scene, rows):
    history = scene.history(
        [scene.event("follow", scene.anna, "2026-01-01T10:00", artist_id="x")],
        artists=[scene.artist("x", name=None, first_active_on=None, followers=None)],
    )

    [anna] = rows(followed_artists(history, as_of=AS_OF))

    assert anna["followed_artists"] == [
        {
            "artist_id": "x",
            "name": None,
            "top_tracks": [],
            "days_active": None,
            "trending_rank": None,
            "followers": None,
        }
    ]


def test_artist_whose_first_day_lies_ahead_is_active_for_0_days(scene, rows):
    history = scene.history(
        [scene.event("follow", scene.anna, "2026-01-01T10:00", artist_id="x")],
        artists=[scene.artist("x", first_active_on=date(2026, 2, 20))],
    )

    [anna] = rows(followed_artists(history, as_of=AS_OF))

    assert anna["followed_artists"][0]["days_active"] == 0


def test_latest_of_follow_and_unfollow_stands_whatever_order_they_arrived_in(scene, rows):
    history = scene.history(
        [
            scene.event("unfollow", scene.anna, "2026-01-05T10:00", artist_id="x"),
            scene.event("follow", scene.anna, "2026-01-01T10:00", artist_id="x"),
            scene.event("follow", scene.anna, "2026-01-06T10:00", artist_id="z"),
            scene.event("unfollow", scene.anna, "2026-01-05T10:00", artist_id="z"),
            scene.event("follow", scene.anna, "2026-01-04T10:00", artist_id="y"),
            scene.event("unfollow", scene.anna, "2026-02-01T00:00", artist_id="y"),
            scene.event("unfollow", scene.ben, "2026-01-05T10:00", artist_id="x"),
        ]
    )

    [anna] = rows(followed_artists(history, as_of=AS_OF))

    assert [artist["artist_id"] for artist in anna["followed_artists"]] == ["y", "z"]


def test_follow_and_unfollow_of_one_instant_are_told_apart_by_their_ids(scene, rows):
    history = scene.history(
        [
            scene.event("unfollow", scene.anna, "2026-01-05T10:00", event_id="b", artist_id="x"),
            scene.event("follow", scene.anna, "2026-01-05T10:00", event_id="a", artist_id="x"),
            scene.event("follow", scene.anna, "2026-01-05T10:00", event_id="d", artist_id="y"),
            scene.event("unfollow", scene.anna, "2026-01-05T10:00", event_id="c", artist_id="y"),
        ]
    )

    [anna] = rows(followed_artists(history, as_of=AS_OF))

    assert [artist["artist_id"] for artist in anna["followed_artists"]] == ["y"]
