"""A refit takes over where it is shown to be no worse than the serving version, only there."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from firstchair.errors import EvidenceError
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.promotion import (
    GateRules,
    OfflineRules,
    Registry,
    Stage,
    Verb,
    Version,
    judge_refit,
)
from firstchair.promotion.context import REFRESH, DecisionContext, StageTransition
from firstchair.promotion.refits import evaluate_refit
from firstchair.promotion.stages import Phase
from tests.firstchair.promotion.conftest import AS_OF, HOLDOUT_SHARE, SALT

RULES = OfflineRules(min_test_users=1_000, bootstrap_samples=300, refresh_margin=0.02)
DAY = AS_OF + timedelta(days=2)
CATALOGUE = 40
USERS = 4_000


def rows(
    version: str,
    *,
    level: float = 0.2,
    users: int = USERS,
    noise: float = 0.02,
    first: int = 0,
    artists: int = 20,
    scores: float = 0.5,
) -> pa.Table:
    """Evidence of a version: mean NDCG@10, and ten artists per user, counted from `first`."""
    rng = np.random.default_rng(int(version))
    of_user = np.random.default_rng(0).gamma(2, level / 2, users)
    listed = [
        [f"a{(first + user + place) % artists:02d}" for place in range(10)] for user in range(users)
    ]
    columns = {
        "as_of": pa.array([DAY] * users, pa.date32()),
        "version": [version] * users,
        "purpose": [REFRESH] * users,
        "test_from": pa.array([AS_OF] * users, pa.date32()),
        "user_key": [f"u{user:06d}" for user in range(users)],
        **dict.fromkeys(
            ("recall_at_20", "ndcg_at_10", "ndcg_at_20"),
            of_user + noise * rng.standard_normal(users),
        ),
        "artist_ids": listed,
        "scores": list(scores + 0.1 * np.random.default_rng(1).standard_normal((users, 10))),
    }
    return pa.table(columns).cast(t.VERSION_EVIDENCE.schema)


def judged(
    refit: pa.Table, *, users: int = USERS, rules: OfflineRules = RULES
) -> tuple[Verb, tuple[str, ...]]:
    verdict = judge_refit(rows("1", users=users), refit, catalogue=CATALOGUE, offline=rules)
    return verdict.decision, verdict.reason_codes


def test_a_refit_that_is_as_good_takes_over() -> None:
    assert judged(rows("2")) == (Verb.PROMOTE, ("refreshed_champion",))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"level": 0.2 * 2 / 3}, "refresh_worse"),
        ({"noise": 0.5}, "refresh_not_proven"),
        ({"first": 10}, "refresh_overlap"),
        ({"artists": 10}, "refresh_coverage"),
        ({"scores": 0.8}, "refresh_score_shift"),
    ],
)
def test_a_refit_that_falls_in_one_thing_is_held_and_that_thing_is_named(
    change: dict[str, float], code: str
) -> None:
    limits = {} if code == "refresh_overlap" else {"refresh_min_overlap": 0.0}
    rules = OfflineRules(
        min_test_users=1_000,
        bootstrap_samples=300,
        refresh_max_coverage_loss=0.4,
        refresh_margin=0.02,
        **limits,
    )

    decision, codes = judged(rows("2", **change), rules=rules)

    assert decision is Verb.HOLD
    assert codes == (code,)


def test_few_users_prove_nothing_however_alike_the_two_are() -> None:
    decision, codes = judged(rows("2", users=200, noise=0.0), users=200)

    assert (decision, codes) == (Verb.HOLD, ("too_few_users",))


def test_few_users_prove_no_refit_worse() -> None:
    decision, codes = judged(rows("2", users=200, level=0.1, noise=0.0), users=200)

    assert (decision, codes[:2]) == (Verb.HOLD, ("refresh_not_proven", "too_few_users"))


def test_one_hit_of_the_serving_version_proves_no_refit_worse() -> None:
    hits = np.eye(1, USERS)[0]
    place = t.VERSION_EVIDENCE.schema.get_field_index("ndcg_at_10")
    serving, refit = (
        rows("1").set_column(place, t.VERSION_EVIDENCE.schema.field(place), pa.array(values))
        for values in (hits, 0 * hits)
    )

    with pytest.raises(EvidenceError, match="hits for 1 of 4,000 users"):
        judge_refit(serving, refit, catalogue=CATALOGUE, offline=RULES)


def test_the_margin_is_the_rules() -> None:
    slightly_worse = rows("2", level=0.2 * 0.97)

    assert judged(slightly_worse)[0] is Verb.HOLD
    wide = OfflineRules(min_test_users=1_000, bootstrap_samples=300, refresh_margin=0.05)
    assert judged(slightly_worse, rules=wide)[0] is Verb.PROMOTE


Evaluate = Callable[..., StageTransition]
SERVING, REFIT = (
    Version(number, "als", AS_OF + timedelta(days=day), f"data {day}", "candidate", "run")
    for number, day in (("1", 0), ("2", 1))
)


@pytest.fixture
def evaluated(lake: Lake, registry: Registry) -> Evaluate:
    """The transition of version 2, a refit of the serving version 1, on evidence as given."""

    def call(refit: pa.Table, **rules: object) -> StageTransition:
        lake.replace_partition(t.VERSION_EVIDENCE, pa.concat_tables([rows("1"), refit]), DAY)
        offline = replace(RULES, refresh_min_overlap=0.0, **rules)
        context = DecisionContext(
            lake=lake,
            registry=registry,
            past=(),
            as_of=DAY,
            rules=GateRules(offline=offline),
            salt=SALT,
            holdout_share=HOLDOUT_SHARE,
        )
        return evaluate_refit(context, SERVING, REFIT)

    return call


def test_a_refit_that_passes_becomes_champion_and_the_record_names_both(
    evaluated: Evaluate,
) -> None:
    found = evaluated(rows("2"))

    assert (found.decision, found.champion_after, found.stage) == ("promote", "2", Stage.CHAMPION)
    assert found.findings["versions"] == {"champion": "1", "challenger": "2"}
    assert found.findings["fitted"]["2"]["as_of"] == str(AS_OF + timedelta(days=1))


def test_a_refit_that_is_worse_is_rejected(evaluated: Evaluate) -> None:
    found = evaluated(rows("2", level=0.1))

    assert (found.decision, found.champion_after, found.stage) == ("hold", "1", Stage.REJECTED)


def test_a_refit_without_proof_stays_in_shadow_and_may_come_again(evaluated: Evaluate) -> None:
    found = evaluated(rows("2", noise=0.5))

    assert (found.decision, found.champion_after, found.stage) == ("hold", "1", Stage.SHADOW)


def test_where_the_rules_ask_for_it_a_refit_goes_through_canary(evaluated: Evaluate) -> None:
    found = evaluated(rows("2"), refresh_needs_canary=True)

    assert (found.decision, found.champion_after, found.stage) == ("hold", "1", Stage.CANARY)
    assert found.reason_codes == ("refresh_canary",)
    assert found.phase == Phase(Stage.CANARY, "2", "1", 0.05, f"{SALT}/2", DAY, DAY)


def test_versions_measured_on_different_users_are_not_compared(evaluated: Evaluate) -> None:
    with pytest.raises(EvidenceError, match="were measured on 4,000 and 3,000 users"):
        evaluated(rows("2", users=3_000))
