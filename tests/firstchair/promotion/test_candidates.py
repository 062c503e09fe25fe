"""A family that enters for a day, on a history in a real lake: what its run in MLflow tells."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow.artifacts
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from firstchair.errors import ModelError
from firstchair.evaluation import load_split
from firstchair.evaluation.evaluate import evaluate
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.models import Lists, TrainingData, load_training_data
from firstchair.models.protocol import Rows, WithChoices
from firstchair.models.ranker import Ranker
from firstchair.models.ranker_features import NAMES, PairTable
from firstchair.models.shap_summary import shap_summary
from firstchair.promotion import Ledger, Registry, enter_candidate, enter_reference
from firstchair.publication import batch, build_recommendations
from firstchair.publication.batch import complete_lists
from firstchair.publication.listing import NOTHING_NEW
from tests.firstchair.models.toys import checkerboard

FIRST, DAYS = date(2026, 1, 1), 40
USERS, ARTISTS = 60, 40


@pytest.fixture
def history(lake: Lake) -> Lake:
    """Every user plays an artist of their own parity each day."""
    keys, artists = [f"{n:032x}" for n in range(USERS)], [f"a{n:03d}" for n in range(ARTISTS)]
    rng = np.random.default_rng(1)
    created = datetime(2025, 1, 1, tzinfo=UTC)
    common = {"age_group": "25-34", "gender": "female", "country": "CL", "state": "x", "city": "y"}
    users = [{"user_key": key, "created_at": created, **common} for key in keys]
    catalogue = [{"artist_id": a, "name": a, "genres": ["jazz"], "followers": 10} for a in artists]
    tracks = [{"track_id": f"t-{a}", "artist_id": a, "duration_ms": 200_000} for a in artists]
    plays = [
        {
            "event_id": f"e{day}-{user}",
            "event_type": "play",
            "event_date": FIRST + timedelta(days=day),
            "occurred_at": datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=day),
            "user_key": keys[user],
            "source": "web",
            "source_seq": day * USERS + user,
            "simulated": True,
            "artist_id": (artist := artists[2 * int(rng.integers(ARTISTS // 2)) + user % 2]),
            "track_id": f"t-{artist}",
            "ms_played": 200_000,
        }
        for day in range(DAYS)
        for user in range(USERS)
    ]
    for table, rows in (
        (t.USERS, users),
        (t.ARTISTS, catalogue),
        (t.TRACKS, tracks),
        (t.EVENTS, plays),
    ):
        lake.overwrite(table, pa.Table.from_pylist(rows, schema=table.schema))
    return lake


def test_the_run_of_the_challenger_tells_what_its_trees_attend_to(
    history: Lake, registry: Registry, ledger: Ledger, tmp_path: Path
) -> None:
    as_of = FIRST + timedelta(days=DAYS)

    version = enter_candidate(
        history, registry, ledger, family="xgboost", as_of=as_of, seed=1
    ).version

    run = f"runs:/{version.run_id}"
    importance, summary = (
        mlflow.artifacts.load_dict(_fetched(registry, f"{run}/{name}.json", tmp_path))
        for name in ("feature_importance", "shap_summary")
    )
    picture = Image.open(_fetched(registry, f"{run}/shap_summary.png", tmp_path))
    model = registry.load(version)
    assert isinstance(model, Ranker)
    again = shap_summary(model, load_training_data(history, as_of=as_of), seed=1)
    assert again is not None
    assert importance == pytest.approx(model.importance())
    assert summary == pytest.approx(again.mean_absolute(), rel=1e-5)
    assert list(importance) and set(summary) <= set(importance) <= set(NAMES)
    assert picture.format == "PNG"
    assert picture.width >= 500


@pytest.mark.parametrize("family", ["xgboost", "blend"])
def test_what_was_chosen_before_the_test_days_is_kept_for_the_version(
    history: Lake, registry: Registry, ledger: Ledger, family: str
) -> None:
    as_of = FIRST + timedelta(days=DAYS)
    tested = evaluate(load_split(history, as_of=as_of), family, seed=1).model
    assert isinstance(tested, WithChoices)

    version = enter_candidate(history, registry, ledger, family=family, as_of=as_of, seed=1).version

    kept = registry.load(version)
    assert isinstance(kept, WithChoices)
    assert tested.choices()
    assert kept.choices() == tested.choices()


def test_who_may_serve_now_is_evaluated_on_all_test_users_though_it_was_on_some_before(
    history: Lake, registry: Registry, ledger: Ledger
) -> None:
    as_of = FIRST + timedelta(days=DAYS)

    def measured(most_users: int | None) -> tuple[str, int]:
        entered = enter_candidate(
            history, registry, ledger, family="trending", as_of=as_of, seed=1, most_users=most_users
        )
        return entered.version.version, history.count(t.OFFLINE_EVIDENCE)

    drawn, again, whole, after = (measured(most) for most in (3, 3, None, 3))

    assert drawn == again == (drawn[0], 3)
    assert whole == after
    assert whole[0] == drawn[0]
    assert whole[1] == enter_reference(history, as_of=as_of, seed=1).test_users > 3


def test_what_lists_hold_is_written_with_them(
    history: Lake, registry: Registry, ledger: Ledger
) -> None:
    asked: Any = {"as_of": FIRST + timedelta(days=DAYS)}
    entered = enter_candidate(history, registry, ledger, family="trending", **asked, seed=1)

    for _ in range(2):
        build_recommendations(history, registry, **asked, list_length=5)

    listed = history.read(t.RECOMMENDATIONS)["artist_id"].to_pylist()
    (found,) = history.read(t.LIST_EXPOSURE).to_pylist()
    assert (found["as_of"], found["model_version"]) == (asked["as_of"], entered.version.version)
    assert found["places"] == len(listed) == 5 * USERS
    assert found["coverage"] == len(set(listed)) / ARTISTS
    # All artists have as many followers.
    assert (found["share_up_to_median"], found["share_over_tenfold"]) == (1.0, 0.0)


def test_what_lists_hold_is_written_again_where_a_run_was_killed_before_it_was(
    history: Lake,
    registry: Registry,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: Any = {"as_of": FIRST + timedelta(days=DAYS), "list_length": 5}
    enter_candidate(history, registry, ledger, family="trending", as_of=asked["as_of"], seed=1)
    build_recommendations(history, registry, **asked)
    before = history.read(t.LIST_EXPOSURE).to_pylist()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
        dying.setattr(batch, "_shown", killed)
        build_recommendations(history, registry, **asked)
    assert history.read(t.LIST_EXPOSURE).num_rows == 0
    complete_lists(history, registry, **asked)

    assert history.read(t.LIST_EXPOSURE).to_pylist() == before


def test_diverse_lists_hold_the_same_artists_with_their_scores_and_reasons_in_another_order(
    history: Lake, registry: Registry, ledger: Ledger
) -> None:
    asked: Any = {"as_of": FIRST + timedelta(days=DAYS), "list_length": 8}
    catalogue = history.read(t.ARTISTS).to_pylist()
    for number, artist in enumerate(catalogue):
        artist["genres"] = ["jazz" if number % 3 else "fado"]
    history.overwrite(t.ARTISTS, pa.Table.from_pylist(catalogue, schema=t.ARTISTS.schema))
    enter_candidate(history, registry, ledger, family="als", as_of=asked["as_of"], seed=1)

    def lists(diversity: float) -> list[dict[str, Any]]:
        build_recommendations(history, registry, **asked, diversity=diversity)
        return history.read(t.RECOMMENDATIONS).to_pylist()

    plain, diverse = lists(0.0), lists(0.6)

    def unordered(rows: list[dict[str, Any]]) -> list[tuple[str, str, float, str]]:
        kept = ("user_key", "artist_id", "score", "reason")
        return sorted(tuple(row[name] for name in kept) for row in rows)

    assert unordered(diverse) == unordered(plain)
    genre = {artist["artist_id"]: artist["genres"][0] for artist in catalogue}
    of_user: dict[str, list[str]] = {}
    for row in sorted(diverse, key=lambda row: row["position"]):
        of_user.setdefault(row["user_key"], []).append(genre[row["artist_id"]])
    with_both = [found for found in of_user.values() if len(set(found)) > 1]
    assert with_both
    assert all(first != second for first, second, *_ in with_both)


def test_a_user_without_a_list_stops_the_write_and_the_lists_of_before_stay(
    history: Lake, registry: Registry, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: Any = {"as_of": FIRST + timedelta(days=DAYS)}
    entered = enter_candidate(history, registry, ledger, family="trending", **asked, seed=1)
    build_recommendations(history, registry, **asked, list_length=5)
    before, model = history.read(t.RECOMMENDATIONS), registry.load(entered.version)

    def forget_the_first(data: TrainingData, rows: Rows, k: int) -> Lists:
        lists = model.recommend(data, rows, k)
        lists.artists[0] = -1
        return lists

    forgetful = SimpleNamespace(
        recommend=forget_the_first, explain=model.explain, artist_ids=model.artist_ids
    )
    monkeypatch.setattr(registry, "load", lambda _version: forgetful)

    with pytest.raises(ModelError, match=f"1 of {USERS} users have no list"):
        build_recommendations(history, registry, **asked, list_length=5)
    assert history.read(t.RECOMMENDATIONS).equals(before)
    assert before.num_rows == 5 * USERS


def test_a_user_who_has_taken_every_artist_gets_a_list_of_artists_they_know(
    history: Lake, registry: Registry, ledger: Ledger
) -> None:
    asked: Any = {"as_of": FIRST + timedelta(days=DAYS)}
    whole = history.read(t.EVENTS)
    eager = whole.to_pylist()[0] | {"event_date": FIRST, "user_key": f"{0:032x}"}
    plays = [
        eager | {"event_id": f"all-{n}", "artist_id": f"a{n:03d}", "track_id": f"t-a{n:03d}"}
        for n in range(ARTISTS)
    ]
    added = pa.Table.from_pylist(plays, schema=t.EVENTS.schema)
    history.overwrite(t.EVENTS, pa.concat_tables([whole, added]))
    for family in ("trending", "als"):
        enter_candidate(history, registry, ledger, family=family, **asked, seed=1)

    report = build_recommendations(history, registry, **asked, list_length=5)

    assert (report.users, report.users_without_list) == (USERS, 0)
    rows = history.read(t.RECOMMENDATIONS).to_pylist()
    knowing = [row for row in rows if row["reason"] == NOTHING_NEW]
    assert {row["user_key"] for row in knowing} == {eager["user_key"]}
    assert len({(row["model_version"], row["artist_id"]) for row in knowing}) == 2 * 5


def test_a_family_enters_once_without_test_users(
    history: Lake, registry: Registry, ledger: Ledger
) -> None:
    early = FIRST + timedelta(days=4)
    events = history.read(t.EVENTS, f"event_date < date '{early}'")
    login = events.to_pylist()[0] | {"event_id": "quiet", "event_type": "login"}
    login |= {"event_date": early, "artist_id": None, "track_id": None}
    quiet = pa.Table.from_pylist([login], schema=t.EVENTS.schema)
    history.overwrite(t.EVENTS, pa.concat_tables([events, quiet]))
    asked: Any = {"family": "trending", "as_of": early + timedelta(days=1)}

    entered = [enter_candidate(history, registry, ledger, **asked, seed=1) for _ in range(2)]

    assert [candidate.fitted_now for candidate in entered] == [True, False]
    assert ledger.registered_on(early + timedelta(days=1)) == [entered[0].version]
    assert not history.count(t.OFFLINE_EVIDENCE)
    assert history.count(t.TRAINING_EVIDENCE) == USERS
    assert not any(name.startswith("test_") for name in registry.metrics(entered[0].version))


def test_what_slates_led_to_is_measured_apart_and_stands_in_the_run(
    history: Lake, registry: Registry, ledger: Ledger
) -> None:
    events = history.read(t.EVENTS).to_pylist()
    for event in events:
        if event["user_key"] < f"{USERS // 2:032x}":
            event["slate_id"] = "a slate"
    history.overwrite(t.EVENTS, pa.Table.from_pylist(events, schema=t.EVENTS.schema))
    as_of = FIRST + timedelta(days=16)

    version = enter_candidate(
        history, registry, ledger, family="trending", as_of=as_of, seed=1
    ).version

    apart = {
        table: history.read(table).to_pylist()
        for table in (t.OFFLINE_EVIDENCE, t.PROMPTED_EVIDENCE)
    }
    unprompted, prompted = apart.values()
    assert {row["user_key"] < f"{USERS // 2:032x}" for row in prompted} == {True}
    assert {row["user_key"] < f"{USERS // 2:032x}" for row in unprompted} == {False}
    for prefix, rows in (("test", unprompted), ("test_prompted", prompted)):
        for metric in ("recall_at_20", "ndcg_at_10"):
            mean = np.mean([row[metric] for row in rows])
            assert registry.metrics(version)[f"{prefix}_{metric}"] == pytest.approx(mean)
    assert 0 < registry.metrics(version)["test_prompted_share"] < 1


def _fetched(registry: Registry, uri: str, folder: Path) -> str:
    return str(
        mlflow.artifacts.download_artifacts(
            artifact_uri=uri, dst_path=str(folder), tracking_uri=registry.tracking_uri
        )
    )


def test_contributions_and_the_expected_margin_add_up_to_the_order_of_the_trees() -> None:
    data = checkerboard()
    model = Ranker().fit(data, seed=1)

    summary = shap_summary(model, data, seed=1)

    assert summary is not None
    margin = summary.contributions.sum(axis=1) + summary.expected
    np.testing.assert_allclose(
        margin, model.booster.inplace_predict(summary.features, predict_type="margin"), atol=1e-4
    )
    pairs = PairTable(model.sources, data).of(np.arange(len(data.user_keys)))
    assert len(summary.features) == min(2_000, len(pairs.user))


def test_a_ranker_without_trees_has_nothing_to_sum_up() -> None:
    data = checkerboard(labelled=False)

    assert shap_summary(Ranker().fit(data, seed=1), data, seed=1) is None
