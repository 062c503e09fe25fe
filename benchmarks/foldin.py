"""One fold-in against implicit's `recalculate_user` and `topk`, over the same factors, in one run.

Run from the repository: `python -m benchmarks.foldin [--artists N] [--factors N] [--ranked N]`.
Both solve one user's factors from their row and list the 50 best artists they do not have. The
fold-in also takes today's signals into the row, and with `with reasons` says why ten artists are
shown. Times are of one listener, the median of rounds in turn.

With `--ranked` a fold-in is also ordered anew by a ranker over so many artists, beside a fold-in
alone over the same, and beside the batch's own code for that one listener.
"""

import argparse
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse

from firstchair.models import LabelledHistory, TrainingData
from firstchair.models.als import ALS
from firstchair.models.ranker import Ranker
from firstchair.models.ranker_features import USER
from firstchair.publication.factors import Factors, Row
from firstchair.publication.foldin import Uptake, fold, folded_row, reasons
from firstchair.publication.ranking_files import ranker_files
from firstchair.publication.reranking import Reranker

K, SHOWN, ROW, TODAY = 50, 10, 80, 3
# Kinds of listeners, so that the ranker has something to learn and grows trees.
TASTES = 10


@dataclass(frozen=True, slots=True)
class Case:
    """One user for both: their row, their signals of today, and the same in implicit's form."""

    row: Row
    today: Uptake
    matrix: sparse.csr_matrix
    user: int = 0


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--artists", type=int, default=50_000)
    arguments.add_argument("--factors", type=int, default=64)
    arguments.add_argument("--listeners", type=int, default=200)
    arguments.add_argument("--ranked", type=int, default=0, help="artists of the ranker; 0: none")
    options = arguments.parse_args()
    if options.ranked:
        ranked(options.ranked, options.listeners)
        return
    rng = np.random.default_rng(1)
    ours, peer = _models(options.artists, options.factors, rng)
    cases = [_case(options.artists, rng) for _ in range(options.listeners)]
    times = _alternating(
        cases,
        {"fold-in": _fold(ours), "implicit": _implicit(peer), "with reasons": _explained(ours)},
    )
    print(
        f"{options.artists:,} artists x {options.factors} factors, rows of {ROW} artists, {TODAY} "
        "signals of today"
    )
    for name, seconds in times.items():
        print(f"{name:<14}{seconds * 1000:8.3f} ms")
    print(f"same first artist in {_agreement(cases, ours, peer):.1%} of lists")
    print(f"implicit / fold-in = {times['implicit'] / times['fold-in']:.2f}")


def ranked(artists: int, listeners: int) -> None:
    """Print the time of a fold-in that a ranker orders anew."""
    data = _listening(artists, np.random.default_rng(1))
    ranker = Ranker().fit(data, seed=1)
    keys = np.frombuffer(bytes.fromhex("".join(data.user_keys.tolist())), dtype="V16")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ranker.save(folder / "ranker.1")
        arrays, told = ranker_files(ranker, data, keys, data.artist_ids, stem="ranker.1")
        for file, array in arrays.items():
            np.save(folder / file, array)
        files = [path for path in (folder / "ranker.1").rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files)
        own = Reranker(folder, "1", told, artist_ids=data.artist_ids.tolist(), as_of=data.as_of)
        own.load()
        cases = [_case_of(data, user) for user in range(listeners)]
        times = _alternating(
            cases,
            {
                "fold-in": _fold(own.factors),
                "reordered": _reordered(own),
                "batch": lambda case: ranker.recommend(data, np.array([case.user]), K),
            },
        )
    trees = 0 if ranker.variant is None else ranker.variant.trees
    print(f"{artists:,} artists, {len(keys):,} users, {trees} trees, model {size / 2**20:.1f} MiB")
    for name, seconds in times.items():
        print(f"{name:<14}{seconds * 1000:8.3f} ms")
    print(f"reordered / fold-in = {times['reordered'] / times['fold-in']:.1f}")
    print(f"batch / reordered = {times['batch'] / times['reordered']:.1f}")


def _listening(artists: int, rng: np.random.Generator, users: int = 2_000) -> TrainingData:
    """Users who like some forty artists each, by popularity and taste; two thirds known before."""
    popularity = 1 / np.arange(1, artists + 1)
    own = rng.integers(TASTES, size=users)[:, None] == np.arange(artists) % TASTES
    chance = 40 * popularity / popularity.sum() * np.where(own, 5.0, 0.5)
    liked = rng.random((users, artists)) < np.minimum(chance, 0.6)
    later = (rng.random(liked.shape) < 1 / 3) & liked
    matrices = (sparse.csr_matrix(2.0 * cells) for cells in (liked, liked & ~later))
    whole, earlier = (_data(matrix, rng) for matrix in matrices)
    history = LabelledHistory(earlier, sparse.csr_matrix(later.astype(np.float32)))
    return replace(whole, labelled=history)


def _data(confidence: sparse.csr_matrix, rng: np.random.Generator) -> TrainingData:
    users, artists = confidence.shape
    plays = np.diff(confidence.tocsc().indptr)
    genres, years = rng.integers(30, size=(artists, 2)), rng.integers(60, size=artists)
    counts = ("plays_7d", "plays_28d", "listeners", "followers", "impressions", "clicks")
    catalogue = pd.DataFrame(
        {
            "name": [f"Artist {number}" for number in range(artists)],
            "genres": [[f"genre {one}", f"genre {other}"] for one, other in genres.tolist()],
            "first_active_on": [date(1960 + year, 1, 1) for year in years.tolist()],
            **dict.fromkeys(counts, plays),
        },
        index=[f"a{number:07d}" for number in range(artists)],
    )
    people = pd.DataFrame(
        {
            "country": rng.choice(["CL", "SE", "DE", "BR", "JP"], users),
            "age_group": rng.choice(["18-24", "25-34", "35-44"], users),
            **dict.fromkeys(USER, 3.0),
        },
        index=[f"{number:032x}" for number in range(users)],
    )
    return TrainingData(
        as_of=date(2026, 2, 1),
        user_keys=people.index.to_numpy(dtype=str),
        artist_ids=catalogue.index.to_numpy(dtype=str),
        confidence=confidence.astype(np.float32),
        users=people,
        artists=catalogue,
        fingerprint="benchmark",
        recent=sparse.csr_matrix(confidence > 0, dtype=np.float32),
    )


def _case_of(data: TrainingData, user: int) -> Case:
    row = data.confidence[user]
    fresh = np.setdiff1d(np.arange(len(data.artist_ids)), row.indices)[-TODAY:]
    today = Uptake({int(artist): 0.5 for artist in fresh}, frozenset())
    return Case(Row(row.indices, row.data), today, row, user)


def _reordered(ranker: Reranker) -> Callable[[Case], object]:
    def run(case: Case) -> object:
        folded = fold(ranker.factors, case.row, case.today, k=K)
        return folded and ranker.reordered(folded, case.user, k=K)

    return run


def _models(
    artists: int, factors: int, rng: np.random.Generator
) -> tuple[Factors, AlternatingLeastSquares]:
    als = ALS(factors=factors)
    als.artist_factors = (rng.standard_normal((artists, factors)) / factors).astype(np.float32)
    longest = float(np.linalg.norm(als.artist_factors, axis=1).max())
    nobody = np.zeros(0, dtype=np.int64)
    peer = AlternatingLeastSquares(
        factors=factors,
        alpha=als.alpha,
        regularization=als.regularization,
        use_cg=False,
        num_threads=1,
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
    matrix = sparse.csr_matrix(
        (whole.confidence, whole.artists, [0, len(whole.artists)]), shape=(1, artists)
    )
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
    """Median seconds of each; they take turns at every listener, so the machine slows all alike."""
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
