"""Tune a family on the platform's own data, with labels of its last days; log trials to MLflow."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from firstchair.errors import EvidenceError
from firstchair.evaluation.study_log import log_study
from firstchair.evaluation.tuning import Study, Trial, tune
from firstchair.lake import is_simulated
from firstchair.models import Family, chosen_settings, load_training_data
from firstchair.platform.platform import Platform
from firstchair.promotion import NAME


@dataclass(frozen=True, slots=True)
class TuningReport:
    """The results of a study: its trials, the settings in use before, and its run in MLflow."""

    as_of: date
    study: Study
    in_use: dict[str, object]
    run_id: str


def tune_family(
    platform: Platform,
    family: Family,
    *,
    trials: int,
    told: Callable[[Trial], None] = lambda trial: None,
) -> TuningReport:
    """Search better settings of a family, starting from those in use.

    Models are fitted to earlier days and judged on later ones. The platform does not change; better
    settings are committed to `models/settings`.

    Raises:
        RunError: There is no complete day. EvidenceError: The history is too short for labels.
        ModelError: The family has nothing to tune.
    """
    as_of = platform.complete_days()[1] + timedelta(days=1)
    data = load_training_data(platform.lake, as_of=as_of)
    if data.labelled is None:
        raise EvidenceError(
            f"The history before {as_of} is too short to judge settings by its last days.",
            where="silver/events",
            data="Nothing was fitted.",
            remedy="Wait for more days of events.",
        )
    in_use = chosen_settings(family)
    study = tune(
        data.labelled,
        family,
        start=in_use,
        trials=trials,
        seed=platform.settings.seed,
        after_trial=told,
    )
    registry = platform.registry
    registry.ensure_experiment()
    run_id = log_study(
        study,
        tracking_uri=registry.tracking_uri,
        experiment=NAME,
        fingerprint=data.fingerprint,
        simulated=is_simulated(platform.lake),
    )
    return TuningReport(as_of, study, in_use, run_id)
