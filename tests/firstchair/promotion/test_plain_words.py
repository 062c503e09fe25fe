from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from firstchair.promotion import Entry, evaluation_of, explained, model_title

VERSIONS = {
    "versions": {"champion": "1", "challenger": "7"},
    "families": {"champion": "als", "challenger": "xgboost"},
}
CLICKS = {
    "name": "clicks_per_100",
    "role": "success",
    "champion": 7.26,
    "challenger": 8.20,
    "relative_difference": 0.1295,
    "se": 0.02,
    "lower": 0.041,
    "upper": 0.2179,
    "margin": 0.0,
    "passes": True,
}
CHECKS = [
    {"name": "sample_ratio", "passes": True, "detail": "50.00%; e = 1.07e+13"},
    {"name": "novelty", "passes": False, "detail": "Over the last 7 days -1.0%"},
]


def written(
    decision: str, codes: tuple[str, ...], kind: str = "trial", stage: str = "canary", **more: Any
) -> Entry:
    """An entry as the gate writes it, about XGBoost 7 against ALS 1."""
    phase = {
        "stage": stage,
        "share": 0.5,
        "first_day": "2026-03-01",
        "on_trial": "7",
        "standing": "1",
    }
    evidence = {"kind": kind, **VERSIONS, "days": 12, "metrics": [CLICKS], "checks": CHECKS}
    evidence |= {"phase_before": phase if kind == "trial" else None} | more
    return Entry(
        sequence=9,
        decision_id="d",
        decided_at=datetime(2026, 3, 14, tzinfo=UTC),
        as_of=date(2026, 3, 14),
        decision=decision,
        champion_before="1",
        champion_after="1",
        challenger="7",
        stage_before="canary",
        stage_after="canary",
        reason_codes=codes,
        reasons=("clicks_per_100 8.2 against 7.26; e = 1.07e+13",),
        evidence=evidence,
        data_fingerprint="f",
        actor="gate",
        previous_hash="p",
        hash="h",
    )


def test_the_arms_of_probation_are_the_new_champion_and_the_one_before() -> None:
    canary, probation = (
        evaluation_of(written("hold", (), stage=stage)) for stage in ("canary", "probation")
    )

    assert (str(canary.control), str(canary.treatment)) == (
        "ALS 1 (champion)",
        "XGBoost 7 (challenger)",
    )
    assert str(probation.control) == "ALS 1 (champion before)"
    assert str(probation.treatment) == "XGBoost 7 (champion on probation)"


@pytest.mark.parametrize(
    ("decision", "codes", "stage", "said"),
    [
        (
            "promote",
            ("superior",),
            "canary",
            "XGBoost 7 becomes champion on day 12 of canary, on probation.",
        ),
        (
            "hold",
            ("not_superior",),
            "canary",
            "Undecided on day 12 of canary: ALS 1 stays champion for now.",
        ),
        (
            "hold",
            ("ramp_clear",),
            "canary",
            "XGBoost 7 is shown to more users: no alarm by day 12 of canary.",
        ),
        (
            "hold",
            ("not_superior", "horizon_reached"),
            "canary",
            "ALS 1 stays champion: 12 days of canary did not prove XGBoost 7 better.",
        ),
        (
            "reject",
            ("ctr_pooled_deteriorated",),
            "canary",
            "XGBoost 7 is rejected on day 12 of canary: it is proven worse; ALS 1 stays champion.",
        ),
        (
            "hold",
            ("in_probation",),
            "probation",
            "XGBoost 7 stays champion on day 12 of probation: no alarm so far.",
        ),
        (
            "roll_back",
            ("worse_lately",),
            "probation",
            "XGBoost 7 is rolled back on day 12 of probation: it is proven worse; ALS 1 serves "
            "again.",
        ),
    ],
)
def test_a_verdict_is_one_sentence_with_the_effect(
    decision: str, codes: tuple[str, ...], stage: str, said: str
) -> None:
    found = explained(written(decision, codes, stage=stage))

    effect = (
        "XGBoost 7 gets 13.0 % more clicks per 100 impressions than ALS 1 "
        "(between 4.1 % and 21.8 % more)."
    )
    assert found.sentence == f"{said} {effect}"
    assert found.lacks == ("The effect is not there in the newest days",)
    assert found.holds == ("Users are split as planned",)
    assert found.unknown == ()
    assert found.details == ("clicks_per_100 8.2 against 7.26; e = 1.07e+13",)


def test_a_check_without_data_neither_holds_nor_fails() -> None:
    unread = {"name": "users", "passes": False, "detail": "3 users of the champion."}
    found = explained(written("hold", ("too_few_users",), checks=[*CHECKS, unread]))

    assert found.unknown == (
        "Both arms have enough users: not known (missing: users who were shown a list in each arm)",
    )
    assert len(found.lacks) == len(found.holds) == 1


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        (
            (-0.2, -0.15, -0.05),
            "15.0 % fewer clicks per 100 impressions than ALS 1 (between 5.0 % and 20.0 % fewer)",
        ),
        (
            (-0.1, 0.02, 0.14),
            "2.0 % more clicks per 100 impressions than ALS 1 (between 10.0 % fewer and 14.0 % "
            "more)",
        ),
        ((-5e9, 3e7, 6e9), "over 999 % more clicks per 100 impressions than ALS 1"),
    ],
)
def test_an_interval_is_said_in_the_direction_of_its_bounds(
    bounds: tuple[float, float, float], said: str
) -> None:
    metric = CLICKS | dict(zip(("lower", "relative_difference", "upper"), bounds, strict=True))

    assert said in explained(written("hold", (), metrics=[metric])).sentence


def test_an_effect_that_is_not_known_is_said_to_be_so() -> None:
    metric = CLICKS | dict.fromkeys(("relative_difference", "se", "lower", "upper"))

    assert explained(written("hold", (), metrics=[metric])).sentence.endswith(
        "The effect is not known yet."
    )


def test_test_days_compare_another_metric() -> None:
    metric = CLICKS | {"name": "ndcg_at_10"}
    found = explained(written("hold", ("shadow_passed",), kind="challenge", metrics=[metric]))

    assert found.sentence == (
        "XGBoost 7 passed on test days and goes into canary, the first step with users. "
        "NDCG@10 of XGBoost 7 is 13.0 % higher than that of ALS 1 (between 4.1 % and 21.8 % "
        "higher)."
    )


def test_an_entry_of_a_kind_without_words_says_its_reason() -> None:
    entry = replace(
        written("hold", ("alias_moved",), kind="alias_moved"), reasons=("Somebody moved an alias.",)
    )

    assert explained(entry).sentence.startswith("Somebody moved an alias.")


def test_a_version_is_named_after_its_family() -> None:
    assert model_title("7", "item-item") == "Item-item 7"
    assert model_title("7", "a family of tomorrow") == "a family of tomorrow 7"
