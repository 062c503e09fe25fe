"""One fold-in against implicit's `recalculate_user` and `topk`, over the same factors, in one run.

Run from the repository: `python -m benchmarks.foldin [--artists N] [--factors N]`. Both solve one listener's factors
from his row and list the 50 best artists he does not have. The fold-in also takes today's signals into the row, and
with `with reasons` says why ten artists are shown. Times are of one listener, the median of rounds in turn.
"""

import argparse
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse

from firstchair.models.als import ALS
from firstchair.serving.factors import Factors, Row
from firstchair.serving.foldin import Uptake, fold, folded_row, reasons

K, SHOWN, ROW, TODAY = 50, 10, 80, 3


@dataclass(frozen=True, slots=True)
class Case:
    """One listener before both: his row, what he did today, and the same as implicit wants it."""

    row: Row
    today: Uptake
    matrix: sparse.csr_matrix


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--artists", type=int, default=50_000)
    arguments.add_argument("--factors", type=int, default=64)
    arguments.add_argument("--listeners", type=int, default=200)
    options = arguments.parse_args()
    rng = np.random.default_rng(1)
    ours, peer = _models(options.artists, options.factors, rng)
    cases = [_case(options.artists, rng) for _ in range(options.listeners)]
    times = _alternating(cases, {"fold-in": _fold(ours), "implicit": _implicit(peer), "with reasons": _explained(ours)})
    print(f"{options.artists:,} artists x {options.factors} factors, rows of {ROW} artists, {TODAY} signals of today")
    for name, seconds in times.items():
        print(f"{name:<14}{seconds * 1000:8.3f} ms")
    print(f"same first artist in {_agreement(cases, ours, peer):.1%} of lists")
    print(f"implicit / fold-in = {times['implicit'] / times['fold-in']:.2f}")


def _models(artists: int, factors: int, rng: np.random.Generator) -> tuple[Factors, AlternatingLeastSquares]:
    als = ALS(factors=factors)
    als.artist_factors = (rng.standard_normal((artists, factors)) / factors).astype(np.float32)
    longest = float(np.linalg.norm(als.artist_factors, axis=1).max())
    nobody = np.zeros(0, dtype=np.int64)
    peer = AlternatingLeastSquares(
        factors=factors, alpha=als.alpha, regularization=als.regularization, use_cg=False, num_threads=1
    )
    peer.item_factors = als.artist_factors
    peer.user_factors = np.zeros((1, factors), dtype=np.float32)
    return Factors("1", als.alpha, longest, als.artist_factors, als.gram, nobody), peer


def _case(artists: int, rng: np.random.Generator) -> Case:
    own = np.sort(rng.choice(artists, ROW + TODAY, replace=False)).astype(np.int32)
    fresh = rng.choice(own, TODAY, replace=False)
    before = own[~np.isin(own, fresh)]
    row = Row(before, rng.uniform(1, 3, ROW).astype(np.float32))
    today = Uptake({int(artist): 0.5 for artist in fresh}, frozenset())
    whole = folded_row(row, today)
    matrix = sparse.csr_matrix((whole.confidence, whole.artists, [0, len(whole.artists)]), shape=(1, artists))
    matrix.sort_indices()
    return Case(row, today, matrix)


def _fold(factors: Factors) -> Callable[[Case], object]:
    return lambda case: fold(factors, case.row, case.today, k=K)


def _explained(factors: Factors) -> Callable[[Case], object]:
    def run(case: Case) -> object:
        folded = fold(factors, case.row, case.today, k=K)
        return folded and reasons(factors, folded, folded.artists[:SHOWN], str)

    return run


def _implicit(peer: AlternatingLeastSquares) -> Callable[[Case], object]:
    # `recommend` is recalculate_user, then topk over all items but those of the row.
    return lambda case: peer.recommend(0, case.matrix, N=K, recalculate_user=True)


def _alternating(cases: list[Case], runs: dict[str, Callable[[Case], object]]) -> dict[str, float]:
    """Median seconds of each, taking turns at every listener so that what else the machine does meets all alike."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for case in [*cases[:5], *cases]:
        for name, run in runs.items():
            began = time.perf_counter()
            run(case)
            found[name].append(time.perf_counter() - began)
    return {name: statistics.median(seconds[5:]) for name, seconds in found.items()}


def _agreement(cases: list[Case], factors: Factors, peer: AlternatingLeastSquares) -> float:
    same = 0
    for case in cases:
        folded = fold(factors, case.row, case.today, k=K)
        listed, _ = peer.recommend(0, case.matrix, N=K, recalculate_user=True)
        same += folded is not None and folded.artists[0] == int(listed[0])
    return same / len(cases)


if __name__ == "__main__":
    main()
