"""The split by time: training before the cutoff, a gap of a day, then the test days."""

from dataclasses import dataclass
from datetime import date, timedelta

from scipy import sparse

from firstchair.errors import EvidenceError, LeakageError
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.models import TrainingData, load_training_data, positive_interactions

MAX_TEST_DAYS = 14
MIN_TEST_DAYS = 2
# Events of one evening fall on both sides of midnight; the day after the cutoff belongs to neither
# side.
GAP = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Split:
    """Training data before `cutoff`, and first interactions from `cutoff` + 1 day to `as_of`.

    positives: float32 CSR (n_users, n_artists), 1 for a user's first positive interaction with an
    artist that followed no slate; models are compared by these. prompted: likewise, for those that
    followed a slate. The models that served chose these, so they are only reported.
    Rows and columns are those of `train`.
    """

    as_of: date
    cutoff: date
    test_days: int
    train: TrainingData
    positives: sparse.csr_matrix
    prompted: sparse.csr_matrix


def cutoff_of(lake: Lake, *, as_of: date) -> date:
    """First day (UTC) after the training data of the split for `as_of`.

    The last quarter of the history is the test, at most `MAX_TEST_DAYS` days.

    Raises:
        EvidenceError: The history is too short to be split.
    """
    days = [day for day in lake.partitions(t.EVENTS) if day < as_of]
    test_days = min(MAX_TEST_DAYS, max(MIN_TEST_DAYS, len(days) // 4))
    cutoff = as_of - timedelta(days=test_days)
    if not days or days[0] >= cutoff:
        raise EvidenceError(
            f"{len(days)} day(s) of events before {as_of} cannot be split into training and test.",
            where="silver/events",
            data="No model was fitted.",
            remedy=f"Deliver at least {MIN_TEST_DAYS + 1} days of events.",
        )
    return cutoff


def load_split(lake: Lake, *, as_of: date) -> Split:
    """Load the split for `as_of`, with the cutoff of `cutoff_of`.

    Raises:
        EvidenceError: The history is too short to be split.
        LeakageError: The training data hold something at or after the cutoff.
    """
    cutoff = cutoff_of(lake, as_of=as_of)
    train = load_training_data(lake, as_of=cutoff)
    refuse_future(train, cutoff)
    found = positive_interactions(lake, start=cutoff + GAP, end=as_of)
    return Split(as_of, cutoff, (as_of - cutoff).days, train, found.unprompted, found.prompted)


def refuse_future(train: TrainingData, cutoff: date) -> None:
    """Refuse training data with signals of the test days.

    Raises:
        LeakageError: A signal of the training data lies at or after the cutoff.
    """
    if train.newest_signal_on is not None and train.newest_signal_on >= cutoff:
        raise LeakageError(
            f"Training data cut at {cutoff} hold a signal of {train.newest_signal_on}.",
            where="features",
            data="No model was fitted and no metric computed.",
            remedy="Read events only through features.history.before.",
        )
