"""What a row of gold/overfit says, as a check."""

from collections.abc import Mapping
from typing import Any

from firstchair.definitions.checks import Check, CheckState


def overfit_check(row: Mapping[str, Any]) -> Check:
    """Whether a family overfits; not known with few users or earlier days to compare with.

    Args:
        row: Of gold/overfit.
    """
    gap = f"gap {row['gap']:.4f}"
    if row["gap_lower"] is None:
        missing = "users with training and with test days"
        return Check(row["family"], CheckState.NOT_ENOUGH_DATA, f"{gap}.", missing)
    gap += f" ({row['gap_lower']:.4f} to {row['gap_upper']:.4f})"
    if row["usual_gap"] is None:
        missing = "earlier days with models of this family"
        return Check(row["family"], CheckState.NOT_ENOUGH_DATA, f"{gap}.", missing)
    state = CheckState.FAILS if row["overfit"] else CheckState.PASSES
    usual = f"usual {row['usual_gap']:.4f}"
    test = f"test {row['test']:.4f} of usually {row['usual_test']:.4f}"
    return Check(row["family"], state, f"{gap}, {usual}, {test}.")
