"""The rules of monitoring, read from one reviewed file and checked at load."""

import tomllib
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from firstchair.errors import SettingsError

RULES = Path(__file__).parent / "rules.toml"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DriftRules(_Table):
    """When a column has drifted: where the corrected p-value and the size of the effect both say so."""

    window_days: int = Field(ge=1, le=28)
    reference_days: int = Field(ge=7, le=365)
    max_users: int = Field(ge=1_000)
    alpha: float = Field(gt=0, lt=0.5)
    min_distance: float = Field(gt=0, lt=1)
    min_relative_change: float = Field(gt=0)


class QualityRules(_Table):
    """What a day's records may come to before the day is called bad."""

    max_refused: float = Field(gt=0, lt=1)
    min_records: int = Field(ge=1)
    max_late: float = Field(gt=0, lt=1)
    max_actions: int = Field(ge=1)


class OverfitRules(_Table):
    """When a family remembers more and foresees less than it used to."""

    metric: str = Field(pattern="^(recall_at_20|ndcg_at_10|ndcg_at_20)$")
    history_days: int = Field(ge=2)
    min_history: int = Field(ge=2)
    min_gap_growth: float = Field(gt=0)
    min_test_drop: float = Field(gt=0, lt=1)


class EngagementRules(_Table):
    """When the CTR of all users has fallen."""

    recent_days: int = Field(ge=2)
    before_days: int = Field(ge=7)
    alpha: float = Field(gt=0, lt=0.5)
    min_relative_drop: float = Field(gt=0, lt=1)


class Trigger(_Table):
    """How long a condition holds before it causes something, when it is over, and how long it is quiet after."""

    hold_days: int = Field(ge=1)
    clear_days: int = Field(ge=0)
    cool_down_days: int = Field(ge=0)


class Freshness(Trigger):
    """Days that features may be newer than the newest models."""

    max_days: int = Field(ge=0)


class Volume(Trigger):
    """Events since the newest models were fitted ÷ events before."""

    min_growth: float = Field(gt=0)


class Schedule(Trigger):
    """Days of age from which models are due."""

    max_age_days: int = Field(ge=1)


class Triggers(_Table):
    """One rule a cause."""

    freshness: Freshness
    drift: Trigger
    engagement_regression: Trigger
    overfit: Trigger
    volume: Volume
    schedule: Schedule


class Rules(_Table):
    """All of rules.toml."""

    drift: DriftRules
    quality: QualityRules
    overfit: OverfitRules
    engagement: EngagementRules
    triggers: Triggers


@cache
def load_rules(path: Path = RULES) -> Rules:
    """Read and check the file; the same object each time.

    Raises:
        SettingsError: It cannot be read, a rule is missing or unknown, or a value is out of range.
    """
    try:
        return Rules.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise _unusable(path, f"The rules cannot be read: {error}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise _unusable(
            path, f"{error.error_count()} rule(s) cannot be used; first: {place}: {first['msg']}."
        ) from error


def _unusable(path: Path, what: str) -> SettingsError:
    return SettingsError(
        what,
        where=str(path),
        data="Nothing was measured or triggered.",
        remedy="Correct the file; the one in the repository says what each rule means.",
    )
