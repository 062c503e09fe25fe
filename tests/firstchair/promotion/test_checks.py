"""States of what the gate records: no data is never a success."""

from dataclasses import asdict
from typing import Any

import pytest

from firstchair.definitions.checks import Check, CheckState
from firstchair.definitions.overfit import overfit_check
from firstchair.promotion import LiveRules, condition_checks, metric_checks
from firstchair.promotion.experiment import as_evidence, decide
from tests.firstchair.promotion.experiment.evidence_tables import evidence_of

PASSES, FAILS = CheckState.PASSES, CheckState.FAILS
UNKNOWN, NOT_APPLICABLE = CheckState.NOT_ENOUGH_DATA, CheckState.NOT_APPLICABLE


def metric(name: str, role: str, **values: Any) -> dict[str, Any]:
    """A metric's record of which nothing is known, but for `values`."""
    unknown = dict.fromkeys(
        ("champion", "challenger", "relative_difference", "se", "lower", "upper", "log_e")
    )
    return {
        "name": name,
        "role": role,
        **unknown,
        "margin": 0.0,
        "passes": role == "deterioration",
        **values,
    }


def known(name: str, role: str, lower: float, upper: float, **values: Any) -> dict[str, Any]:
    middle = {"relative_difference": (lower + upper) / 2, "se": (upper - lower) / 4, "log_e": 0.0}
    return metric(
        name, role, champion=1.0, challenger=1.0, lower=lower, upper=upper, **middle | values
    )


@pytest.mark.parametrize(
    ("record", "state", "missing"),
    [
        (metric("churned_14", "deterioration"), UNKNOWN, "14 days after"),
        (metric("listen_through", "guardrail"), UNKNOWN, "both arms"),
        (
            known("ctr_pooled", "deterioration", -0.1, 0.1, log_e=None),
            UNKNOWN,
            "500 users of each arm",
        ),
        (known("ctr_pooled", "deterioration", -0.1, 0.1), PASSES, ""),
        (known("ctr_pooled", "deterioration", -0.3, -0.2, passes=False), FAILS, ""),
        (known("clicks_per_100", "success", 0.01, 0.1, passes=True), PASSES, ""),
        (known("clicks_per_100", "success", -0.01, 0.1, passes=False), UNKNOWN, "above 0%"),
        (known("clicks_per_100", "success", -0.1, -0.01, passes=False), FAILS, ""),
        (known("active_days", "guardrail", -0.09, -0.02, margin=-0.15, passes=True), PASSES, ""),
        (
            known("active_days", "guardrail", -0.09, 0.02, margin=-0.02, passes=False),
            UNKNOWN,
            "above -2%",
        ),
        (known("active_days", "guardrail", -0.09, -0.03, margin=-0.02, passes=False), FAILS, ""),
    ],
)
def test_a_metric_passes_only_where_its_data_say_so(
    record: dict[str, Any], state: CheckState, missing: str
) -> None:
    (found,) = metric_checks({"metrics": [record], "settings": {"live": {"harm_users": 500}}})

    assert found.state is state
    assert missing in found.missing
    assert bool(found.missing) is (state is UNKNOWN)


def test_a_fall_within_a_margin_is_shown_as_a_fall_and_names_the_margin() -> None:
    (found,) = metric_checks(
        {"metrics": [known("active_days", "guardrail", -0.09, -0.022, margin=-0.15, passes=True)]}
    )

    assert found.detail == "-5.6% (-9.0% to -2.2%); proven to be less than 15% worse."


def states(record: dict[str, Any]) -> dict[str, CheckState]:
    return {found.name: found.state for found in condition_checks(record)}


def test_conditions_on_clicks_that_nobody_made_have_no_outcome() -> None:
    names = (
        "data_quality",
        "sample_ratio",
        "believable",
        "signs_agree",
        "no_deterioration",
        "segments_unharmed",
    )
    record = {
        "metrics": [metric("clicks_per_100", "success"), metric("churned_7", "deterioration")],
        "checks": [{"name": name, "passes": True, "detail": ""} for name in names],
        "segments": [],
    }

    assert set(states(record).values()) == {UNKNOWN}


def test_a_broken_split_fails_though_nobody_clicked() -> None:
    checks = [
        {"name": name, "passes": False, "detail": ""}
        for name in ("sample_ratio", "data_quality", "novelty")
    ]

    found = states({"metrics": [metric("clicks_per_100", "success")], "checks": checks})

    assert found == {"sample_ratio": FAILS, "data_quality": FAILS, "novelty": UNKNOWN}


def test_what_only_more_users_can_mend_lacks_data_and_what_is_proven_fails() -> None:
    checks = [
        {"name": "users", "passes": False, "detail": "3 of 500."},
        {"name": "listen_through_not_inferior", "passes": False, "detail": ""},
        {"name": "superior", "passes": False, "detail": ""},
        {"name": "powered", "passes": True, "detail": "no wanted effect is set."},
        {"name": "leak_alarm", "passes": False, "detail": ""},
    ]
    metrics = [
        known("clicks_per_100", "success", -0.02, 0.05, passes=False),
        known("listen_through", "guardrail", -0.2, -0.1, margin=-0.02, passes=False),
    ]

    assert states({"metrics": metrics, "checks": checks, "wanted_effect": None}) == {
        "users": UNKNOWN,
        "listen_through_not_inferior": FAILS,
        "superior": UNKNOWN,
        "powered": NOT_APPLICABLE,
        "leak_alarm": FAILS,
    }


def test_on_test_days_what_was_not_measured_has_no_outcome() -> None:
    checks = [
        {"name": "not_overfit", "passes": True, "detail": ""},
        {"name": "off_policy", "passes": True, "detail": "No support."},
        {"name": "too_few_users", "passes": False, "detail": ""},
    ]

    assert set(states({"metrics": [], "checks": checks, "overfit": None}).values()) == {UNKNOWN}


def test_of_a_single_user_nothing_passes() -> None:
    table = evidence_of(users=200, days=3)
    one = table.filter(
        table.column("user_key").to_numpy(zero_copy_only=False)
        == table.column("user_key")[0].as_py()
    )
    record = asdict(decide(as_evidence(one), LiveRules()))

    found = (*metric_checks(record), *condition_checks(record))

    # Those two are about rows, not about a difference between the arms.
    assert {check.name for check in found if check.state is PASSES} <= {"left_out", "outliers"}


def test_a_family_without_earlier_days_is_not_called_steady() -> None:
    row = {
        "family": "als",
        "gap": 0.1,
        "gap_lower": 0.05,
        "gap_upper": 0.15,
        "test": 0.2,
        "overfit": False,
    }
    usual = {"usual_gap": 0.1, "usual_test": 0.2}

    assert overfit_check({**row, "usual_gap": None, "usual_test": None}).state is UNKNOWN
    assert overfit_check(row | usual).state is PASSES
    assert overfit_check(row | usual | {"overfit": True}).state is FAILS


def test_a_check_is_told_with_what_is_missing() -> None:
    found = Check("users", UNKNOWN, "12 of 500.", "488 users")

    assert found.sentence() == "not enough data (missing: 488 users): 12 of 500."
