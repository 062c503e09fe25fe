"""What a stage would find, planned by each decision run before one begins, and kept for people."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, Self

import numpy as np
import pyarrow as pa

from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.promotion.exposure import known_before
from firstchair.promotion.rules import LiveRules
from firstchair.promotion.trial.choices import Choice, choices
from firstchair.promotion.trial.rules import Metric

# Settings that a row may have different from the present ones.
SETTINGS = ("stage_max_days", "listen_margin", "active_margin", "stage_success_users")


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """A row of gold/stage_plan: settings, and what a stage would find with them.

    Attributes:
        users: Users who could be assigned.
        arm_users: Of the smaller arm who are expected to be shown something.
        stage_max_days: Setting of the same name, as are the next three.
        power: Chance with which `detectable` is found.
        detectable: Relative effect on clicks.
        listen_through_unharmed: Chance, 0..1, that listen-through is proven to keep its margin if
            nothing is harmed.
        active_days_unharmed: The same of active days.
        promoted_5: Chance of a promotion where clicks truly rise by 5 % and nothing is harmed.
        promoted_10: The same for 10 %.
    """

    users: int
    arm_users: int
    stage_max_days: int
    listen_margin: float
    active_margin: float
    stage_success_users: int
    power: float
    detectable: float
    listen_through_unharmed: float
    active_days_unharmed: float
    promoted_5: float
    promoted_10: float

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """The row of a table."""
        return cls(**{field.name: row[field.name] for field in fields(cls)})

    @property
    def decides(self) -> bool:
        """Whether a true +10 % would be promoted with a chance of at least `power`."""
        return self.promoted_10 >= self.power

    @property
    def has_users(self) -> bool:
        """Whether an arm has as many users as a promotion asks for."""
        return self.arm_users >= self.stage_success_users

    def changes(self, present: "PlannedStage") -> tuple[str, ...]:
        """The settings to change, as firstchair.toml has them; empty where none is.

        >>> row = PlannedStage(5000, 2300, 35, .02, .02, 1000, .8, .08, .7, .6, .1, .4)
        >>> from dataclasses import replace
        >>> replace(row, stage_max_days=56, listen_margin=0.05).changes(row)
        ('stage_max_days = 56', 'listen_margin = 0.05')
        """
        found = {name: getattr(self, name) for name in SETTINGS}
        found = {n: value for n, value in found.items() if value != getattr(present, n)}
        return tuple(f"{name} = {value:g}" for name, value in found.items())


@dataclass(frozen=True, slots=True)
class StagePlan:
    """The newest plan: its day, the settings as they are, and what may be set instead."""

    as_of: date
    present: PlannedStage
    others: tuple[PlannedStage, ...]

    @property
    def rows(self) -> tuple[PlannedStage, ...]:
        """The present settings first."""
        return (self.present, *self.others)

    @property
    def sentence(self) -> str:
        """What a stage with the present settings would find."""
        row = self.present
        text = (
            f"With {row.users:,} users a stage of {row.stage_max_days} days finds an effect of "
            f"+{_percent(row.detectable)} on clicks in {_percent(row.power)} of cases; "
            "where nothing is harmed, listen-through is proven unharmed in "
            f"{_percent(row.listen_through_unharmed)}, "
            f"active days in {_percent(row.active_days_unharmed)}."
        )
        if not row.has_users:
            text += (
                f" Nothing would be promoted: an arm would have about {row.arm_users:,} users "
                f"who see a list, and stage_success_users asks for {row.stage_success_users:,}."
            )
        return text

    @property
    def advice(self) -> str:
        """Whether other settings would make a decision possible."""
        if self.present.decides:
            return "A decision is possible with the present settings."
        if any(row.decides for row in self.others):
            return "A decision is possible with the settings that are marked."
        return "None of these settings makes a decision possible: that takes more users."


def plan_stage(
    lake: Lake,
    *,
    as_of: date,
    salt: str,
    holdout_share: float,
    rules: LiveRules,
) -> None:
    """Put what a stage that begins on a day would find in place of that day's gold/stage_plan.

    Nothing stands there where nobody was shown anything in the days before.

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


def newest_plan(lake: Lake) -> StagePlan | None:
    """The plan of the newest day that has one; None before the first."""
    if (as_of := max(lake.partitions(t.STAGE_PLAN), default=None)) is None:
        return None
    found = lake.read(t.STAGE_PLAN, f"as_of = date '{as_of}'").sort_by("place").to_pylist()
    present, *others = map(PlannedStage.of, found)
    return StagePlan(as_of, present, tuple(others))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _row(choice: Choice) -> dict[str, Any]:
    return {
        "arm_users": choice.arm_users,
        "stage_max_days": choice.max_days,
        "listen_margin": choice.listen_margin,
        "active_margin": choice.active_margin,
        "stage_success_users": choice.success_users,
        "detectable": choice.detectable,
        "listen_through_unharmed": choice.unharmed[Metric.LISTEN_THROUGH],
        "active_days_unharmed": choice.unharmed[Metric.ACTIVE_DAYS],
        "promoted_5": choice.promoted_5,
        "promoted_10": choice.promoted_10,
    }
