"""The gap test: whether a model remembers what it was fitted to so much better than it finds what is new."""

from dataclasses import dataclass

from firstchair.errors import EvidenceError
from firstchair.evaluation.intervals import mean_interval
from firstchair.models.hits import Values

# Shares of the train value that may be lost on unseen data before it is called overfit.
MAX_RELATIVE_GAP = 0.8


@dataclass(frozen=True, slots=True)
class Gap:
    """Train against unseen quality of one model, both means over users in 0..1.

    relative_gap: 1 - unseen / train; lower, upper: two-sided 95 % interval of train - unseen, resampling users.
    behind: whether a simpler reference finds significantly more that is new, though it remembers less.
    overfit: the relative gap is above its limit, or `behind`.
    """

    train: float
    unseen: float
    relative_gap: float
    lower: float
    upper: float
    behind: bool
    overfit: bool


def gap_test(
    train: Values,
    unseen: Values,
    *,
    reference_train: Values | None = None,
    reference_unseen: Values | None = None,
    max_relative_gap: float = MAX_RELATIVE_GAP,
    seed: int,
) -> Gap:
    """Judge the gap between what a model remembers and what it finds.

    Every recommender remembers better than it foretells, so a gap alone proves nothing but where it is
    extreme. The telling sign is a reference fitted to the same data that remembers less and finds more: the
    difference went into remembering.

    Args:
        train: A metric of each user on what the model was fitted to, float64 (n_users,), 0..1.
        unseen: The same metric, the same users, on what it was not.
        reference_train: What a stiffer model remembers, or None.
        reference_unseen: What it finds, or None.
        max_relative_gap: Largest share of `train` that may be lost.
        seed: Of the resampling.

    Raises:
        EvidenceError: The arrays differ in length, or hold no user.
    """
    values = [v for v in (train, unseen, reference_train, reference_unseen) if v is not None]
    if len({len(v) for v in values}) != 1 or not len(train):
        raise EvidenceError(
            f"{len(train)} users on training data stand against {len(unseen)} on unseen data.",
            where="gap test",
            data="Nothing was judged.",
            remedy="Give the values of the same users in the same order.",
        )
    lower, upper = mean_interval(train - unseen, samples=1000, alpha=0.05, seed=seed)
    relative = 1 - unseen.mean() / train.mean() if train.mean() > 0 else 0.0
    behind = False
    if reference_train is not None and reference_unseen is not None:
        found_more, _ = mean_interval(reference_unseen - unseen, samples=1000, alpha=0.05, seed=seed)
        remembered_less, _ = mean_interval(train - reference_train, samples=1000, alpha=0.05, seed=seed)
        behind = found_more > 0 and remembered_less > 0
    return Gap(
        train=float(train.mean()),
        unseen=float(unseen.mean()),
        relative_gap=float(relative),
        lower=lower,
        upper=upper,
        behind=behind,
        overfit=bool(behind or (relative > max_relative_gap and lower > 0)),
    )
