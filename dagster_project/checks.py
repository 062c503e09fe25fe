"""What must hold after a step, as Dagster checks; each tests one property and names its limit."""

import dagster as dg

from dagster_project.metadata import shown_as
from firstchair.definitions.checks import Check, CheckState

LANDED_ADDS_UP = dg.AssetCheckSpec(
    "landed_adds_up",
    asset="landed_events",
    blocking=True,
    description="Over all history: read = accepted + duplicates + quarantined.",
)
FEW_REFUSED = dg.AssetCheckSpec(
    "quarantine_rate",
    asset="landed_events",
    description="Of the newest complete day, and of all days, at most max_quarantine_rate was "
    "refused and not delivered again: of records, over all days also of objects and bytes. "
    "While it is more, features refuse to be built, whoever starts them.",
)
SILVER_ADDS_UP = dg.AssetCheckSpec(
    "silver_adds_up",
    asset="silver_events",
    blocking=True,
    description="Of the days built: landed = accepted + quarantined.",
)
NO_GAPS = dg.AssetCheckSpec(
    "no_gaps", asset="silver_events", description="No hole in the sequence numbers of any source."
)
DAY_USABLE = dg.AssetCheckSpec(
    "day_usable",
    asset="data_quality",
    description="Nothing blocks decisions that use the day: few refused and late records, no "
    "silent source.",
)
FEATURES_NO_LEAK = dg.AssetCheckSpec(
    "no_leak",
    asset="user_features",
    blocking=True,
    description="Nothing at or after as_of reached a feature.",
)
FEATURES_VALID = dg.AssetCheckSpec(
    "expectations",
    asset="user_features",
    blocking=True,
    description="The suite expectations/user_features.json.",
)
MATRIX_NO_LEAK = dg.AssetCheckSpec(
    "no_leak",
    asset="interactions",
    blocking=True,
    description="Nothing at or after as_of reached the matrix.",
)
EVERY_USER_SERVED = dg.AssetCheckSpec(
    "every_user_has_a_list",
    asset="recommendations",
    blocking=True,
    description="Cold users included.",
)


def verdict(
    spec: dg.AssetCheckSpec,
    passed: bool,
    *,
    of: int,
    what: str,
    none: CheckState = CheckState.NOT_ENOUGH_DATA,
    warn: bool = False,
    **metadata: object,
) -> dg.AssetCheckResult:
    """The outcome of a check over `of` things; where there are none, it is not that it passed.

    Args:
        spec: The check.
        passed: Whether it holds.
        of: How many there are.
        what: What they are.
        none: The state where there are none.
        warn: A failure is shown and stops nothing.
        metadata: Figures beside it.
    """
    if of == 0:
        missing = what if none is CheckState.NOT_ENOUGH_DATA else ""
        return outcome(spec, Check(spec.name, none, f"There are no {what}.", missing))
    state = CheckState.PASSES if passed else CheckState.FAILS
    return outcome(spec, Check(spec.name, state, f"{of:,} {what}."), warn=warn, **metadata)


def outcome(
    spec: dg.AssetCheckSpec,
    check: Check,
    *,
    warn: bool = False,
    **metadata: object,
) -> dg.AssetCheckResult:
    """A check of the domain as Dagster shows it; one without enough data has not passed."""
    fails = check.state is CheckState.FAILS
    shown = {name: shown_as(value) for name, value in metadata.items()}
    return dg.AssetCheckResult(
        check_name=spec.name,
        passed=check.state in {CheckState.PASSES, CheckState.NOT_APPLICABLE},
        severity=dg.AssetCheckSeverity.ERROR if fails and not warn else dg.AssetCheckSeverity.WARN,
        description=check.sentence(),
        metadata={
            "state": check.state.words,
            **{n: value for n, value in shown.items() if value is not None},
        },
    )
