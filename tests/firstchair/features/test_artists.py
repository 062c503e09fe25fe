"""Popularity of artists, worked out by hand."""

from datetime import date

from firstchair.features import artist_statistics

AS_OF = date(2026, 2, 1)


def test_counts_of_every_artist_of_the_catalogue(scene, rows):
    def play(user_key, at, artist_id):
        return scene.event("play", user_key, at, artist_id=artist_id, track_id=f"{artist_id}1", ms_played=1)

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

    names = ("artist_id", "plays_7d", "plays_28d", "listeners", "impressions", "clicks", "follows", "trending_rank")
    assert [tuple(row[name] for name in names) for row in rows(artist_statistics(history, as_of=AS_OF))] == [
        ("x", 1, 3, 2, 1, 1, 1, 1),
        ("y", 0, 0, 0, 1, 0, 0, None),
        ("z", 0, 0, 0, 0, 0, 0, None),
    ]


def test_equal_plays_share_a_trending_rank(scene, rows):
    history = scene.history(
        [
            scene.event("play", scene.anna, "2026-01-30T10:00", artist_id=artist, track_id=f"{artist}1", ms_played=1)
            for artist in "zxyzx"
        ]
    )

    ranks = {row["artist_id"]: row["trending_rank"] for row in rows(artist_statistics(history, as_of=AS_OF))}

    assert ranks == {"x": 1, "z": 1, "y": 3}
