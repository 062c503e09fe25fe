"""Compare registered versions on days that none was fitted on: quality and lists by user."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from firstchair.evaluation.ranking import ranking_metrics
from firstchair.lake import tables as t
from firstchair.models import Recommender, TrainingData

Values = npt.NDArray[np.float64]

DEPTH = 20
# Lists are kept and compared to this depth: a slate shows ten.
LISTED = 10
# Bins of the population stability index, and the share that an empty one is taken to hold.
BINS, LEAST_SHARE = 10, 1e-4


@dataclass(frozen=True, slots=True)
class ListChange:
    """Differences between the lists of two versions, over the same users.

    overlap: mean share of the first ten artists that both lists of a user hold, 0..1.
    coverage_before, coverage_after: artists in the first ten of at least one list ÷ artists in the
        catalogue, 0..1.
    score_shift: population stability index of the scores, >= 0; 0 for equal distributions.
    """

    overlap: float
    coverage_before: float
    coverage_after: float
    score_shift: float

    @property
    def coverage_change(self) -> float:
        """Relative change of the coverage; 0 if nothing was covered before."""
        if not self.coverage_before:
            return 0.0
        return self.coverage_after / self.coverage_before - 1


def measure_versions(
    models: Mapping[str, Recommender],
    data: TrainingData,
    positives: sparse.csr_matrix,
    *,
    as_of: date,
    purpose: str,
) -> pa.Table:
    """Rank the whole catalogue for every user with a positive, by each version.

    Args:
        models: Models by number of version, none fitted on `data.as_of` or later.
        data: The data before the test days.
        positives: float32 CSR (n_users, n_artists), 1 for a positive interaction in
            the test days.
        as_of: The day of the decision: first day (UTC) after the test days.
        purpose: The kind of the decision.

    Returns:
        Rows in the columns of gold/version_evidence, by version and user_key.
    """
    rows = np.flatnonzero(np.diff(positives.indptr) > 0).astype(np.int64)
    tables = [t.VERSION_EVIDENCE.schema.empty_table()]
    for version, model in models.items() if len(rows) else ():
        lists = model.recommend(data, rows, DEPTH)
        found = ranking_metrics(lists.artists, positives[rows])
        first = lists.artists[:, :LISTED]
        columns = {
            "as_of": pa.array([as_of] * len(rows), pa.date32()),
            "version": pa.array([version] * len(rows), pa.string()),
            "purpose": pa.array([purpose] * len(rows), pa.string()),
            "test_from": pa.array([data.as_of] * len(rows), pa.date32()),
            "user_key": pa.array(data.user_keys[rows], pa.string()),
            "recall_at_20": found.recall_at_20,
            "ndcg_at_10": found.ndcg_at_10,
            "ndcg_at_20": found.ndcg_at_20,
            "artist_ids": _lists(data.artist_ids[first[first >= 0]], first >= 0),
            "scores": _lists(lists.scores[:, :LISTED][first >= 0].astype(np.float64), first >= 0),
        }
        tables.append(pa.table(columns).cast(t.VERSION_EVIDENCE.schema))
    return pa.concat_tables(tables)


def _lists(values: npt.NDArray[np.generic], filled: npt.NDArray[np.bool_]) -> pa.Array:
    """Flat values as one list per row."""
    offsets = np.concatenate([[0], np.cumsum(filled.sum(axis=1))]).astype(np.int32)
    return pa.ListArray.from_arrays(offsets, pa.array(values))


def list_change(before: pa.Table, after: pa.Table, *, catalogue: int) -> ListChange:
    """Compare the lists of two versions.

    Args:
        before: Rows of gold/version_evidence of one version, sorted by user_key.
        after: The same of the other version, for the same users.
        catalogue: Number of artists in the catalogue.
    """
    listed = [rows.column("artist_ids").to_pylist() for rows in (before, after)]
    shared = [
        len(set(old) & set(new)) / max(1, len(old), len(new))
        for old, new in zip(*listed, strict=True)
    ]
    covered = [
        len({artist for row in rows for artist in row}) / max(1, catalogue) for rows in listed
    ]
    scores = [_flat(rows.column("scores")) for rows in (before, after)]
    return ListChange(
        overlap=float(np.mean(shared)) if shared else 1.0,
        coverage_before=covered[0],
        coverage_after=covered[1],
        score_shift=population_stability(*scores),
    )


def _flat(column: pa.ChunkedArray) -> Values:
    return np.asarray(pc.list_flatten(column).to_numpy(), dtype=np.float64)


def population_stability(before: Values, after: Values) -> float:
    """Population stability index: the sum over bins of (q - p) ln(q / p).

    The bins are the tenths of `before`; p and q are the shares of both samples in a bin. A value
    that bounds several tenths, since so many are equal to it, has a bin of its own. It is a
    symmetrised Kullback-Leibler divergence (Kullback and Leibler 1951, "On Information and
    Sufficiency"); by convention under 0.1 is stable and over 0.25 a major shift (Siddiqi 2006,
    "Credit Risk Scorecards").

    >>> sample = np.arange(1000.0)
    >>> population_stability(sample, sample)
    0.0
    >>> round(population_stability(np.full(9, 0.5), np.full(9, 0.9)), 1)
    18.4
    """
    if not len(before) or not len(after):
        return 0.0
    tenths = np.quantile(before, np.linspace(0, 1, BINS + 1)[1:-1])
    bounds, times = np.unique(tenths, return_counts=True)
    edges = np.unique(np.append(bounds, np.nextafter(bounds[times > 1], np.inf)))
    shares = [
        np.maximum(
            np.bincount(np.searchsorted(edges, v, side="right"), minlength=len(edges) + 1) / len(v),
            LEAST_SHARE,
        )
        for v in (before, after)
    ]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
