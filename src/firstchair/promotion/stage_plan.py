"""The plan of a stage: what it would detect, as the last decision run wrote it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, Self

from firstchair.definitions.metrics import GUARDRAILS
from firstchair.lake import Lake
from firstchair.lake import tables as t


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """A row of gold/stage_plan: settings, and what a stage would detect with them.

    Attributes:
        users: Users who could be assigned.
        arm_users: Expected users with impressions in the smaller arm.
        stage_max_days: Setting of the same name.
        stage_success_users: Setting of the same name.
        margins: Margin of each guardrail, by the name of its setting.
        power: Chance with which `detectable` is found.
        detectable: Relative effect on clicks.
        unharmed: Chance, 0..1, that each guardrail is proven to keep its margin if nothing is
            harmed, by its title.
        promoted_5: Chance of a promotion where clicks truly rise by 5 % and nothing is harmed.
        promoted_10: The same for 10 %.
    """

    users: int
    arm_users: int
    stage_max_days: int
    stage_success_users: int
    power: float
    detectable: float
    margins: Mapping[str, float]
    unharmed: Mapping[str, float]
    promoted_5: float
    promoted_10: float

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """The row of a table."""
        plain = {field.name: row[field.name] for field in fields(cls) if field.name in row}
        margins = {one.margin: row[one.margin] for one in GUARDRAILS}
        unharmed = {one.title: row[f"{one.metric}_unharmed"] for one in GUARDRAILS}
        return cls(**plain, margins=margins, unharmed=unharmed)

    @property
    def settings(self) -> dict[str, float]:
        """The settings that a row may have different from the present ones."""
        lengths = {"stage_max_days": self.stage_max_days}
        return lengths | {**self.margins, "stage_success_users": self.stage_success_users}

    @property
    def decides(self) -> bool:
        """Whether a true +10 % would be promoted with a chance of at least `power`."""
        return self.promoted_10 >= self.power

    @property
    def has_users(self) -> bool:
        """Whether an arm has as many users as a promotion needs."""
        return self.arm_users >= self.stage_success_users

    def changes(self, present: "PlannedStage") -> tuple[str, ...]:
        """The settings to change, in the form of firstchair.toml; empty if none is.

        >>> row = PlannedStage(5000, 2300, 35, 1000, .8, .08, {"listen_margin": .02}, {}, .1, .4)
        >>> from dataclasses import replace
        >>> replace(row, stage_max_days=56, margins={"listen_margin": 0.05}).changes(row)
        ('stage_max_days = 56', 'listen_margin = 0.05')
        """
        before = present.settings
        found = {name: value for name, value in self.settings.items() if value != before[name]}
        return tuple(f"{name} = {value:g}" for name, value in found.items())


@dataclass(frozen=True, slots=True)
class StagePlan:
    """The newest plan: its day, the present settings, and others that may be set instead."""

    as_of: date
    present: PlannedStage
    others: tuple[PlannedStage, ...]

    @property
    def rows(self) -> tuple[PlannedStage, ...]:
        """The present settings first."""
        return (self.present, *self.others)

    @property
    def sentence(self) -> str:
        """What a stage with the present settings would detect, in words."""
        row = self.present
        (first, chance), *others = row.unharmed.items()
        guarded = f"{first.lower()} is proven unharmed in {_percent(chance)}"
        guarded += "".join(f", {title.lower()} in {_percent(share)}" for title, share in others)
        text = (
            f"With {row.users:,} users a stage of {row.stage_max_days} days finds an effect of "
            f"+{_percent(row.detectable)} on clicks in {_percent(row.power)} of cases; "
            f"where nothing is harmed, {guarded}."
        )
        if not row.has_users:
            text += (
                f" Nothing would be promoted: an arm would have about {row.arm_users:,} users "
                f"who see a list, and stage_success_users asks for {row.stage_success_users:,}."
            )
        return text

    @property
    def advice(self) -> str:
        """Whether other settings would make a decision possible, in words."""
        if self.present.decides:
            return "A decision is possible with the present settings."
        if any(row.decides for row in self.others):
            return "A decision is possible with the settings that are marked."
        return "None of these settings makes a decision possible: that takes more users."


def newest_plan(lake: Lake) -> StagePlan | None:
    """The plan of the newest day that has one; None before the first."""
    if (as_of := max(lake.partitions(t.STAGE_PLAN), default=None)) is None:
        return None
    found = lake.read(t.STAGE_PLAN, f"as_of = date '{as_of}'").sort_by("place").to_pylist()
    present, *others = map(PlannedStage.of, found)
    return StagePlan(as_of, present, tuple(others))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
