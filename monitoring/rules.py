"""The rules of monitoring, read from `rules.toml` and validated."""

import tomllib
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from firstchair.errors import SettingsError

RULES = Path(__file__).parent / "rules.toml"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DriftRules(_Table):
    """When a column has drifted: by the corrected p-value and the size of the effect."""

    window_days: int = Field(ge=1, le=28)
    reference_days: int = Field(ge=7, le=365)
    max_users: int = Field(ge=1_000)
    alpha: float = Field(gt=0, lt=0.5)
    min_distance: float = Field(gt=0, lt=1)
    min_relative_change: float = Field(gt=0)


class QualityRules(_Table):
    """Limits of a day's records, over which the day is bad."""

    max_refused: float = Field(gt=0, lt=1)
    min_records: int = Field(ge=1)
    max_late: float = Field(gt=0, lt=1)
    late_after_hours: int = Field(ge=1)
    max_actions: int = Field(ge=1)


class OverfitRules(_Table):
    """When a family overfits: its gap grows and its test metric falls."""

    metric: str = Field(pattern="^(recall_at_20|ndcg_at_10|ndcg_at_20)$")
    history_days: int = Field(ge=2)
    min_history: int = Field(ge=2)
    min_users: int = Field(ge=2)
    min_gap_growth: float = Field(gt=0)
    min_test_drop: float = Field(gt=0, lt=1)


class EngagementRules(_Table):
    """When the CTR of all users has fallen."""

    recent_days: int = Field(ge=2)
    before_days: int = Field(ge=7)
    alpha: float = Field(gt=0, lt=0.5)
    min_relative_drop: float = Field(gt=0, lt=1)


class Trigger(_Table):
    """How long a condition must hold to fire, when its episode ends, and its cool-down."""

    hold_days: int = Field(ge=1)
    clear_days: int = Field(ge=0)
    cool_down_days: int = Field(ge=0)


class Freshness(Trigger):
    """Days that features may be newer than the newest models."""

    max_days: int = Field(ge=0)


class Volume(Trigger):
    """Events since the newest models were fitted ÷ events before that."""

    min_growth: float = Field(gt=0)


class Schedule(Trigger):
    """Days of age from which models are due."""

    max_age_days: int = Field(ge=1)


class Triggers(_Table):
    """One rule for each cause."""

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
    """Read and validate the file; the result is cached.

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
