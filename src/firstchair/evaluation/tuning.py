"""Tuning: a seeded search over a family's settings, validated on held-out data, never on test."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from firstchair.errors import EvidenceError, ModelError
from firstchair.models import Family, LabelledHistory, Recommender, fit
from firstchair.models.hits import Values, hits_of, ndcg
from firstchair.models.protocol import Rows

USERS = 3_000
DEPTH = 20


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting, with its mean NDCG@20 on training and on validation data, 0..1."""

    number: int
    settings: dict[str, Any]
    train_ndcg: float
    validation_ndcg: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Study:
    """All trials of one family in order; the first is the setting the search began with."""

    family: str
    seed: int
    users: int
    trials: tuple[Trial, ...]

    @property
    def best(self) -> Trial:
        """The trial with the best validation metric; the first of equal ones."""
        return max(self.trials, key=lambda trial: trial.validation_ndcg)

    def document(self) -> dict[str, Any]:
        """The chosen settings and the study's figures, in the form of `models/settings`."""
        chosen = asdict(self.best)
        figures: dict[str, float] = {
            "seed": self.seed,
            "trials": len(self.trials),
            "validation_users": self.users,
        }
        figures |= {"began_with": round(self.trials[0].validation_ndcg, 4)}
        figures |= {name: round(chosen[name], 4) for name in ("validation_ndcg", "train_ndcg")}
        return {"settings": chosen["settings"], "study": figures}


def tune(
    labelled: LabelledHistory,
    family: Family,
    *,
    start: Mapping[str, Any],
    trials: int,
    seed: int,
    after_trial: Callable[[Trial], None] = lambda trial: None,
) -> Study:
    """Search the family's space by TPE (Bergstra et al. 2011), beginning with `start`.

    The budget is a number of trials, not of seconds, so the same seed finds the same settings.

    Args:
        labelled: Models are fitted on its data and validated on its unprompted positives.
        family: A family with a search space.
        start: Settings of the first trial, such as those in use.
        trials: Number of trials, at least 1.
        seed: Seed of the search, the fits and the sample of users.
        after_trial: Called after each trial.

    Raises:
        EvidenceError: There is no unprompted positive interaction to validate on.
        ModelError: The family has nothing to tune.
    """
    import optuna

    if family not in SPACES:
        raise ModelError(
            f"{family} has nothing to tune; there is a space for {', '.join(sorted(SPACES))}.",
            where="tuning",
            data="Nothing was fitted.",
            remedy="Tune the parts that it is made of.",
        )
    rows = _judged(labelled, seed)
    if not len(rows):
        raise EvidenceError(
            f"0 of {labelled.positives.shape[0]} users took up an artist that was new to them, and "
            "that no slate led them to, in the days that settings are judged by.",
            where="tuning",
            data="Nothing was fitted.",
            remedy="Wait for days on which users take up artists that are new to them.",
        )
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial(dict(start), skip_if_exists=True)
    found: list[Trial] = []

    def objective(asked: Any) -> float:
        settings = SPACES[family](asked)
        found.append(_tried(asked.number, labelled, family, settings, rows, seed))
        after_trial(found[-1])
        return found[-1].validation_ndcg

    study.optimize(objective, n_trials=trials)
    return Study(str(family), seed, len(rows), tuple(found))


def _als_space(trial: Any) -> dict[str, Any]:
    return {
        "factors": trial.suggest_categorical("factors", [16, 32, 64, 128]),
        "alpha": round(trial.suggest_float("alpha", 1.0, 100.0, log=True), 3),
        "regularization": round(trial.suggest_float("regularization", 0.1, 100.0, log=True), 3),
        "iterations": 15,
    }


def _item_item_space(trial: Any) -> dict[str, Any]:
    ranges = {
        "user_damping": (0.0, 1.5),
        "artist_damping": (0.0, 1.0),
        "popularity_damping": (-0.2, 0.7),
    }
    return {
        name: round(trial.suggest_float(name, *ends, step=0.05), 3) for name, ends in ranges.items()
    }


SPACES: Mapping[Family, Callable[[Any], dict[str, Any]]] = {
    Family.ALS: _als_space,
    Family.ITEM_ITEM: _item_item_space,
}


def _judged(labelled: LabelledHistory, seed: int) -> Rows:
    """A sample of the users with an unprompted positive, ascending."""
    judged = np.flatnonzero(np.diff(labelled.unprompted().indptr) > 0)
    return np.sort(np.random.default_rng(seed).permutation(judged)[:USERS]).astype(np.int64)


def _tried(
    number: int,
    labelled: LabelledHistory,
    family: Family,
    settings: dict[str, Any],
    rows: Rows,
    seed: int,
) -> Trial:
    started = time.perf_counter()
    model = fit(family, labelled.data, seed=seed, settings=settings)
    remembered, found = remembered_and_found(model, labelled, rows)
    return Trial(
        number=number,
        settings=settings,
        train_ndcg=float(remembered.mean()),
        validation_ndcg=float(found.mean()),
        seconds=time.perf_counter() - started,
    )


def remembered_and_found(
    model: Recommender, labelled: LabelledHistory, rows: Rows
) -> tuple[Values, Values]:
    """NDCG@20 of each of `rows` on the training data and on the held-out positives.

    The first is 0 for users without training data.
    """
    data = labelled.data
    lists = [model.recommend(d, rows, DEPTH).artists for d in (replace(data, repeats=True), data)]
    wanted = [data.liked()[rows], labelled.unprompted()[rows]]
    remembered, found = (
        ndcg(hits_of(artists, positives), np.diff(positives.indptr), DEPTH)
        for artists, positives in zip(lists, wanted, strict=True)
    )
    return remembered, found
