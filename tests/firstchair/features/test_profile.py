"""The features of a user, worked out by hand."""

from datetime import UTC, date, datetime

import pytest

from firstchair.features import user_features
from firstchair.lake import tables as lake_tables

AS_OF = date(2026, 2, 1)


def test_columns_are_those_of_the_table_in_its_order(scene):
    features = user_features(scene.history([]), as_of=AS_OF).to_pyarrow()

    assert features.schema.names == lake_tables.USER_FEATURES.schema.names
    assert features.cast(lake_tables.USER_FEATURES.schema).num_rows == 3


def test_user_without_an_event_has_zeros_and_empty_lists(scene, rows):
    dora = scene.user("d" * 32, created_at=datetime(2026, 1, 20, 12, tzinfo=UTC))
    history = scene.history(
        [scene.event("impression", scene.anna, "2026-01-01T10:00", artist_id="x")],
        users=[scene.user(scene.anna), dora],
    )

    assert rows(user_features(history, as_of=AS_OF))[1] == dora | {
        "as_of": AS_OF,
        "recent_tracks": [],
        "followed_artists": [],
        "impressions": 0,
        "clicks": 0,
        "clicks_per_100": None,
        "clicks_per_200": None,
        "self_normalised": [],
        "listen_through": None,
        "logins_28d": 0,
        "days_since_last_login": None,
        "tenure_days": 11,
        "lifecycle": "new",
    }


def test_clicks_are_counted_per_100_and_200_impressions_and_shared_out_by_artist(scene, rows):
    history = scene.history(
        [
            *(
                scene.event("impression", scene.anna, "2025-11-01T10:00", artist_id="x")
                for _ in range(8)
            ),
            *(
                scene.event("click", scene.anna, "2025-11-01T10:01", artist_id=artist)
                for artist in "yxx"
            ),
            scene.event("click", scene.ben, "2025-11-01T10:01", artist_id="z"),
            *(
                scene.event("impression", scene.anna, "2026-02-01T00:00", artist_id="x")
                for _ in range(8)
            ),
        ]
    )

    anna, ben, cara = rows(user_features(history, as_of=AS_OF))

    assert (anna["impressions"], anna["clicks"]) == (8, 3)
    assert (anna["clicks_per_100"], anna["clicks_per_200"]) == (37.5, 75.0)
    assert anna["self_normalised"] == [("x", pytest.approx(2 / 3)), ("y", pytest.approx(1 / 3))]
    assert (ben["clicks"], ben["clicks_per_100"], ben["self_normalised"]) == (1, None, [("z", 1.0)])
    assert (cara["clicks"], cara["self_normalised"]) == (0, [])


def test_logins_of_28_days_and_whole_days_since_the_last(scene, rows):
    history = scene.history(
        [
            scene.event("login", scene.anna, "2026-01-03T23:59"),
            scene.event("login", scene.anna, "2026-01-04T00:00"),
            scene.event("login", scene.anna, "2026-01-30T06:00"),
            scene.event("login", scene.anna, "2026-02-01T00:00"),
            scene.event("login", scene.ben, "2025-01-01T00:00"),
            scene.event("impression", scene.ben, "2026-01-31T00:00", artist_id="x"),
        ]
    )

    anna, ben, cara = rows(user_features(history, as_of=AS_OF))

    assert (anna["logins_28d"], anna["days_since_last_login"]) == (2, 1)
    assert (ben["logins_28d"], ben["days_since_last_login"]) == (0, 396)
    assert (cara["logins_28d"], cara["days_since_last_login"]) == (0, None)


@pytest.mark.parametrize(
    ("created_at", "tenure_days", "lifecycle"),
    [
        (datetime(2026, 1, 2, 0, 0, tzinfo=UTC), 30, "long_term"),
        (datetime(2026, 1, 2, 0, 0, 1, tzinfo=UTC), 29, "new"),
        (datetime(2026, 3, 1, tzinfo=UTC), 0, "new"),
        (None, None, "new"),
    ],
)
def test_lifecycle_turns_long_term_after_30_days(scene, rows, created_at, tenure_days, lifecycle):
    history = scene.history([], users=[scene.user(scene.anna, created_at=created_at)])

    [anna] = rows(user_features(history, as_of=AS_OF))

    assert (anna["tenure_days"], anna["lifecycle"]) == (tenure_days, lifecycle)


def test_plays_and_follows_stand_in_the_row_of_their_user(scene, rows):
    history = scene.history(
        [
            scene.event(
                "play",
                scene.ben,
                "2026-01-31T10:00",
                artist_id="x",
                track_id="x1",
                ms_played=50_000,
            ),
            scene.event("follow", scene.ben, "2026-01-31T10:00", artist_id="x"),
        ]
    )

    anna, ben, _ = rows(user_features(history, as_of=AS_OF))

    assert [play["track_id"] for play in ben["recent_tracks"]] == ["x1"]
    assert [(artist["artist_id"], artist["top_tracks"]) for artist in ben["followed_artists"]] == [
        ("x", ["x1"])
    ]
    assert ben["listen_through"] == 0.25
    assert (anna["recent_tracks"], anna["followed_artists"], anna["listen_through"]) == (
        [],
        [],
        None,
    )


def test_row_order_of_the_input_does_not_matter(scene, rows):
    events = [
        scene.event(
            kind,
            user,
            f"2026-01-{day:02}T10:00",
            artist_id=artist,
            track_id=f"{artist}1",
            ms_played=day * 7919,
        )
        for kind in ("play", "click", "impression", "follow", "unfollow", "login")
        for user in (scene.anna, scene.ben)
        for day, artist in ((1, "x"), (2, "y"), (2, "x"), (30, "z"))
    ]

    forward, backward = scene.history(events), scene.history(events[::-1])

    assert rows(user_features(forward, as_of=AS_OF)) == rows(user_features(backward, as_of=AS_OF))
