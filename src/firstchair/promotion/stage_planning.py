"""Planning of a stage: each decision run writes what one that begins now would detect."""

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from firstchair.definitions.metrics import GUARDRAILS
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.promotion.experiment.choices import Choice, choices
from firstchair.promotion.exposure import known_before
from firstchair.promotion.rules import LiveRules


def plan_stage(
    lake: Lake,
    *,
    as_of: date,
    salt: str,
    holdout_share: float,
    rules: LiveRules,
) -> None:
    """Replace the partition of a day in gold/stage_plan by the plan of a stage that begins then.

    It is empty if nobody had an impression in the days before.

    Args:
        lake: The tables.
        as_of: First day of such a stage; no event at or after it is used.
        salt: Of the platform's arms.
        holdout_share: Share of users, 0..1, who see trending for good.
        rules: The present ones.

    Raises:
        LakeError: A table cannot be read or written.
    """
    known = known_before(lake, as_of, salt=salt, holdout_share=holdout_share)
    before = {
        name: np.asarray(column.to_numpy(), dtype=np.float64)
        for name, column in zip(known.column_names, known.columns, strict=True)
        if name != "user_key"
    }
    of_all = {"as_of": as_of, "users": known.num_rows, "power": rules.power}
    planned = enumerate(choices(before, rules))
    rows = [{**of_all, "place": place, **_row(choice)} for place, choice in planned]
    if not rows and not lake.count(t.STAGE_PLAN, f"as_of = date '{as_of}'"):
        return
    lake.replace_partition(t.STAGE_PLAN, pa.Table.from_pylist(rows, t.STAGE_PLAN.schema), as_of)


def _row(choice: Choice) -> dict[str, Any]:
    return {
        "arm_users": choice.arm_users,
        "stage_max_days": choice.max_days,
        **{one.margin: choice.margins[one.metric] for one in GUARDRAILS},
        "stage_success_users": choice.success_users,
        "detectable": choice.detectable,
        **{f"{one.metric}_unharmed": choice.unharmed[one.metric] for one in GUARDRAILS},
        "promoted_5": choice.promoted_5,
        "promoted_10": choice.promoted_10,
    }
