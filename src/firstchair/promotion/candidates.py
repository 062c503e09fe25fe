"""Candidates of a day: each family is fitted, tested and registered once; idempotent."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np

from firstchair.evaluation import Split, load_split
from firstchair.evaluation.evaluate import BASELINE_USERS, Evaluation, evaluate
from firstchair.lake import Lake, is_simulated
from firstchair.lake import tables as t
from firstchair.models import (
    POPULARITY,
    Family,
    TrainingData,
    WithCurves,
    fit,
    fitted_families,
    load_training_data,
    versions_read,
)
from firstchair.models.ranker import Ranker
from firstchair.models.shap_summary import shap_summary
from firstchair.promotion.ledger import Ledger
from firstchair.promotion.registry import Registry, Training, Version

EVIDENCE = (t.OFFLINE_EVIDENCE, t.TRAINING_EVIDENCE)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A registered version, with its metrics by name.

    fitted_now: whether it was fitted now, or had been registered before.
    """

    version: Version
    fitted_now: bool
    metrics: Mapping[str, float]


def needed_families(
    registry: Registry, ledger: Ledger, contenders: Sequence[Family]
) -> frozenset[Family]:
    """Families that are fitted and evaluated every day: `fitted_families`, and the champion's."""
    return fitted_families(families_decided_on(registry, ledger, contenders))


def families_decided_on(
    registry: Registry, ledger: Ledger, contenders: Sequence[Family]
) -> frozenset[Family]:
    """Families that may serve: the contenders, and the champion's."""
    last = ledger.last()
    number = None if last is None else last.champion_after
    serving = None if number is None else registry.find(number)
    return frozenset({*contenders, *(() if serving is None else (serving.family,))})


def enter_candidate_if_needed(
    lake: Lake,
    registry: Registry,
    ledger: Ledger,
    *,
    family: Family,
    as_of: date,
    seed: int,
    contenders: Sequence[Family],
    training: Training | None = None,
) -> Candidate | None:
    """Enter a candidate as `enter_candidate` does; None if the family is not needed.

    That is the case of one that may not challenge, with which none is compared, and that is no part
    of another (`needed_families`). A family that cannot serve is evaluated on `BASELINE_USERS`
    test users at most.

    Raises:
        EvidenceError, LedgerError, ModelError: As of `enter_candidate`.
    """
    decided_on = families_decided_on(registry, ledger, contenders)
    if family not in fitted_families(decided_on):
        return None
    return enter_candidate(
        lake,
        registry,
        ledger,
        family=family,
        as_of=as_of,
        seed=seed,
        training=training,
        most_users=None if family in decided_on else BASELINE_USERS,
    )


def enter_candidate(
    lake: Lake,
    registry: Registry,
    ledger: Ledger,
    *,
    family: str,
    as_of: date,
    seed: int,
    training: Training | None = None,
    most_users: int | None = None,
) -> Candidate:
    """Test a family on the split by time, fit it on all data before `as_of`, and register it.

    Its evidence is kept before it is registered, so a registered version always has some: of the
    training days alone where there were no test users. `training` says in MLflow why it was fitted.
    `most_users` is as in `evaluate`; a version that was evaluated on a draw of users is evaluated
    on all where it can serve now. The ledger notes what was registered, or was before.

    Raises:
        EvidenceError: The history is too short to be split.
        LedgerError, ModelError: It cannot be registered.
    """
    data, split = _day(lake, as_of)
    known = [
        v
        for v in registry.versions(as_of=as_of, family=family)
        if v.data_fingerprint == data.fingerprint
    ]
    measured = known and any(lake.count(kept, _of(as_of, family)) for kept in EVIDENCE)
    if measured:
        if most_users is None and _is_of_a_draw(lake, split, family):
            _keep(lake, evaluate(split, family, seed=seed))
        ledger.note_registered(known[-1])
        return Candidate(known[-1], fitted_now=False, metrics=registry.metrics(known[-1]))
    evaluation = evaluate(split, family, seed=seed, most_users=most_users)
    tested = evaluation.model
    model = fit(Family(family), data, seed=seed, like=tested)
    documents: dict[str, Any] = {
        "ndcg_at_10_by_segment": {"cells": [asdict(cell) for cell in evaluation.cells]}
    }
    summary = None
    if isinstance(model, Ranker):
        documents["feature_importance"] = model.importance()
        summary = shap_summary(model, data, seed=seed)
    if summary is not None:
        documents["shap_summary"] = summary.mean_absolute()
    _keep(lake, evaluation)
    version = registry.register(
        model,
        as_of=as_of,
        data_fingerprint=data.fingerprint,
        metrics=evaluation.metrics,
        seed=seed,
        simulated=is_simulated(lake),
        training=training,
        curves=tested.curves if isinstance(tested, WithCurves) else {},
        documents=documents,
        pictures={} if summary is None else {"shap_summary": summary.picture()},
    )
    ledger.note_registered(version)
    return Candidate(version, fitted_now=True, metrics=evaluation.metrics)


def enter_reference(lake: Lake, *, as_of: date, seed: int) -> Evaluation:
    """Write the offline evidence of plain popularity on the same split."""
    evaluation = evaluate(_day(lake, as_of)[1], POPULARITY, seed=seed)
    _keep(lake, evaluation)
    return evaluation


def _is_of_a_draw(lake: Lake, split: Split, family: str) -> bool:
    """Whether a family was evaluated on some test users only, when it could not serve."""
    users = int((np.diff(split.positives.indptr) > 0).sum())
    return lake.count(t.OFFLINE_EVIDENCE, _of(split.as_of, family)) < users


def _keep(lake: Lake, evaluation: Evaluation) -> None:
    of_it = _of(evaluation.as_of, evaluation.family)
    lake.replace_where(t.TRAINING_EVIDENCE, evaluation.per_training_user, of_it)
    lake.replace_where(t.PROMPTED_EVIDENCE, evaluation.per_prompted_user, of_it)
    lake.replace_where(t.OFFLINE_EVIDENCE, evaluation.per_user, of_it)


def _of(as_of: date, family: str) -> str:
    return f"as_of = '{as_of}' and family = '{family}'"


def _day(lake: Lake, as_of: date) -> tuple[TrainingData, Split]:
    return _loaded(lake, as_of, versions_read(lake))


@lru_cache(maxsize=1)
def _loaded(lake: Lake, as_of: date, _versions: tuple[int, ...]) -> tuple[TrainingData, Split]:
    """Load the day's data once for all families of a run, and again if a table has changed."""
    return load_training_data(lake, as_of=as_of), load_split(lake, as_of=as_of)
