"""Popularity of artists, worked out by hand."""

from datetime import date

from firstchair.features import artist_statistics

AS_OF = date(2026, 2, 1)


def test_counts_of_every_artist_of_the_catalogue(scene, rows):
    def play(user_key, at, artist_id):
        return scene.event(
            "play", user_key, at, artist_id=artist_id, track_id=f"{artist_id}1", ms_played=1
        )

    history = scene.history(
        [
            play(scene.anna, "2026-01-03T23:59", "x"),
            play(scene.anna, "2026-01-04T00:00", "x"),
            play(scene.anna, "2026-01-24T23:59", "x"),
            play(scene.ben, "2026-01-25T00:00", "x"),
            play(scene.ben, "2026-02-01T00:00", "x"),
            scene.event("impression", scene.ben, "2025-01-01T10:00", artist_id="x"),
            scene.event("click", scene.ben, "2025-01-01T10:01", artist_id="x"),
            scene.event("follow", scene.anna, "2026-01-01T10:00", artist_id="x"),
            scene.event("follow", scene.ben, "2026-01-01T10:00", artist_id="x"),
            scene.event("unfollow", scene.ben, "2026-01-02T10:00", artist_id="x"),
            scene.event("impression", scene.ben, "2026-01-01T10:00", artist_id="y"),
        ]
    )

    names = (
        "artist_id",
        "plays_7d",
        "plays_28d",
        "listeners",
        "impressions",
        "clicks",
        "follows",
        "trending_rank",
    )
    assert [
        tuple(row[name] for name in names) for row in rows(artist_statistics(history, as_of=AS_OF))
    ] == [
        ("x", 1, 3, 2, 1, 1, 1, 1),
        ("y", 0, 0, 0, 1, 0, 0, None),
        ("z", 0, 0, 0, 0, 0, 0, None),
    ]


def plays(scene, user_key, artist_id, count, *, at="2026-01-30T10:00", ms_played=30_000):
    """One listener's plays of an artist at one instant."""
    return [
        scene.event(
            "play", user_key, at, artist_id=artist_id, track_id=f"{artist_id}1", ms_played=ms_played
        )
        for _ in range(count)
    ]


def popularity(scene, rows, events):
    history = scene.history(events)
    return {
        row["artist_id"]: (row["plays_7d"], row["plays_28d"], row["trending_rank"])
        for row in rows(artist_statistics(history, as_of=AS_OF))
    }


def test_a_listener_of_more_hours_than_a_day_has_makes_nobody_popular(scene, rows):
    usual = plays(scene, scene.anna, "x", 2) + plays(scene, scene.ben, "y", 1)
    # 172 hours on one day, then a day of exactly 24.
    impossible = plays(scene, scene.cara, "z", 200, ms_played=3_100_000)
    whole_day = plays(scene, scene.cara, "y", 2, at="2026-01-31T00:00", ms_played=43_200_000)

    assert popularity(scene, rows, usual + impossible + whole_day) == {
        "x": (2, 2, 2),
        "y": (3, 3, 1),
        "z": (0, 0, None),
    }


def test_a_listeners_plays_of_an_artist_count_up_to_a_limit(scene, rows):
    at_once = plays(scene, scene.anna, "x", 2_000)
    lasting = [
        event
        for day in range(5, 29)
        for event in plays(scene, scene.ben, "y", 60, at=f"2026-01-{day:02}T10:00")
    ]
    many = plays(scene, scene.anna, "z", 60) + plays(scene, scene.ben, "z", 60)

    assert popularity(scene, rows, at_once + lasting + many) == {
        "x": (100, 100, 2),
        "y": (100, 100, 2),
        "z": (120, 120, 1),
    }


def test_what_one_user_was_shown_of_an_artist_counts_up_to_a_limit(scene, rows):
    history = scene.history(
        [
            *(
                scene.event("impression", scene.anna, "2026-01-30T10:00", artist_id="x")
                for _ in range(1_200)
            ),
            *(
                scene.event("click", scene.anna, "2026-01-30T10:01", artist_id="x")
                for _ in range(1_100)
            ),
            scene.event("impression", scene.ben, "2026-01-30T10:00", artist_id="x"),
        ]
    )

    (x, *_) = rows(artist_statistics(history, as_of=AS_OF))
    assert (x["artist_id"], x["impressions"], x["clicks"]) == ("x", 1_001, 1_000)


def test_equal_plays_share_a_trending_rank(scene, rows):
    history = scene.history(
        [
            scene.event(
                "play",
                scene.anna,
                "2026-01-30T10:00",
                artist_id=artist,
                track_id=f"{artist}1",
                ms_played=1,
            )
            for artist in "zxyzx"
        ]
    )

    ranks = {
        row["artist_id"]: row["trending_rank"]
        for row in rows(artist_statistics(history, as_of=AS_OF))
    }

    assert ranks == {"x": 1, "z": 1, "y": 3}
