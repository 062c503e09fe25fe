"""Evaluate a model on a public split, with settings chosen within its training file."""

import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from firstchair.errors import ModelError
from firstchair.evaluation.exposure import exposure, places_by_artist
from firstchair.evaluation.public import PublicSplit
from firstchair.evaluation.ranking import metrics_at
from firstchair.evaluation.references import Popularity
from firstchair.models import (
    FAMILIES,
    POPULARITY,
    Family,
    LabelledHistory,
    Recommender,
    TrainingData,
    fit,
)
from firstchair.models.chosen import alternatives, assembled, chosen_settings, data_of
from firstchair.models.hits import Values

NO_CHOICE = "nothing to choose"
VALIDATION_USERS = 3_000


@dataclass(frozen=True, slots=True)
class PublicEvaluation:
    """Full-ranking quality at k on a public split; metrics are means over `users`, 0..1.

    formats: how the training and the test file were read.
    settings: What it was fitted with; chosen_by: where they come from. fit_seconds: the fit alone,
    without reading files and choosing settings. gini, coverage 0..1, novelty in bits: of the lists.
    peak_memory_mb: of this process so far. per_user: recall and ndcg, float64 (users,), in order of
    user ids.
    """

    model: str
    k: int
    recall: float
    ndcg: float
    hit_rate: float
    map: float
    mrr: float
    users: int
    artists: int
    coverage: float
    novelty: float
    gini: float
    fit_seconds: float
    recommend_seconds: float
    peak_memory_mb: float
    formats: tuple[str, str]
    settings: dict[str, Any]
    chosen_by: str
    per_user: dict[str, Values]


def evaluate_public(split: PublicSplit, model: str, *, k: int, seed: int) -> PublicEvaluation:
    """Fit `model` (a `Family` or `popularity`) and rank all items for every user of the test file.

    Raises:
        ModelError: The family needs more than the two files hold.
    """
    settings, chosen_by = _settings(split, model, seed)
    started = time.perf_counter()
    fitted = fitted_to(split.train, model, settings, seed)
    fit_seconds = time.perf_counter() - started
    rows = np.flatnonzero(np.diff(split.positives.indptr) > 0).astype(np.int64)
    started = time.perf_counter()
    lists = fitted.recommend(split.train, rows, k).artists
    recommend_seconds = time.perf_counter() - started
    found = metrics_at(lists, split.positives[rows], k)
    taken = split.train.taken()
    places = places_by_artist(lists, taken.shape[1])
    takers = np.bincount(taken.indices, minlength=taken.shape[1])
    shown = exposure(places, takers, users=taken.shape[0])
    return PublicEvaluation(
        model=str(model),
        k=k,
        **{name: float(values.mean()) for name, values in found.items()},
        users=len(rows),
        artists=taken.shape[1],
        coverage=shown.coverage,
        novelty=shown.novelty,
        gini=shown.gini,
        fit_seconds=fit_seconds,
        recommend_seconds=recommend_seconds,
        peak_memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        formats=split.formats,
        settings=settings,
        chosen_by=chosen_by,
        per_user=found,
    )


def fitted_to(
    data: TrainingData, model: str, settings: Mapping[str, Any], seed: int
) -> Recommender | Popularity:
    """The model (a `Family` or `popularity`), fitted."""
    if model == POPULARITY:
        return Popularity(data)
    return fit(Family(model), data, seed=seed, settings=settings)


def _settings(split: PublicSplit, model: str, seed: int) -> tuple[dict[str, Any], str]:
    """The settings to fit with, and who chose them: a study of this file, or its held-out slice."""
    name = data_of(split.train.fingerprint)
    if name is not None and model != POPULARITY and _has_choice(Family(model)):
        return chosen_settings(Family(model), data=name), f"the study of {name}"
    labelled = split.train.labelled
    assert labelled is not None, "a public split always holds a slice out"
    return settings_by(
        model,
        lambda family, tried: validation_ndcg(labelled, family, tried, seed=seed),
        "a held-out slice of the training file",
    )


def settings_by(
    model: str, judged: Callable[[Family, dict[str, Any]], float], judge: str
) -> tuple[dict[str, Any], str]:
    """The known settings of a model that `judged` finds best, and by what they were chosen.

    Raises:
        ModelError: The family needs more than ids.
    """
    if model == POPULARITY or not _has_choice(Family(model)):
        return {}, NO_CHOICE
    family = Family(model)
    wanted = FAMILIES[family].parts or (family,)
    parts = {part: max(alternatives(part), key=partial(judged, part)) for part in wanted}
    return assembled(family, parts), judge


def _has_choice(family: Family) -> bool:
    """Whether a family has settings that a study chooses.

    Raises:
        ModelError: The family needs more than ids.
    """
    entry = FAMILIES[family]
    if entry.needs:
        raise ModelError(
            f"{family} needs {entry.needs}; a public split holds ids alone.",
            where=f"model {family}",
            data="No model was fitted.",
            remedy=f"Load the data with `firstchair load` and fit {family} by `firstchair run`, "
            "or evaluate another.",
        )
    return bool(entry.tuned or entry.parts)


def validation_ndcg(
    labelled: LabelledHistory,
    family: Family,
    settings: Mapping[str, Any],
    *,
    seed: int,
    k: int = 20,
    users: int = VALIDATION_USERS,
) -> float:
    """Mean NDCG@k on held-out interactions of a sample of users; settings are chosen by it."""
    rows = np.flatnonzero(np.diff(labelled.positives.indptr) > 0)
    rows = np.sort(np.random.default_rng(seed).permutation(rows)[:users]).astype(np.int64)
    if not len(rows):
        return 0.0
    lists = fit(family, labelled.data, seed=seed, settings=settings).recommend(
        labelled.data, rows, k
    )
    return float(metrics_at(lists.artists, labelled.positives[rows], k)["ndcg"].mean())
