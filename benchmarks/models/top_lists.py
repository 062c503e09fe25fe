"""Lists of ALS from a large catalogue, beside implicit's own `recommend` of the same factors.

Run with `python -m benchmarks.models.top_lists [--users N] [--artists N] [--factors N]`. Listening
is drawn with artists' popularity by Zipf's law, and ALS is fitted on it (three iterations).
Processor seconds of one thread; lists are the 50 best that a user has not taken. Three figures a
user: implicit's `recommend`, the product of users and artists alone (sgemm), and ours, exact and
in an order that ties and batches do not change. Beside them what a user's factors take to be
solved anew, and the lists and reasons of `ALS` as the batch asks for them.
"""

import argparse
import time
from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd
from scipy import sparse
from threadpoolctl import threadpool_limits

from firstchair.models import TrainingData
from firstchair.models.als import ALS
from firstchair.models.products import Artists, best_products

LENGTH, SEED = 50, 1


def main() -> None:
    """Print one line a path."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--users", type=int, default=4_096)
    asked.add_argument("--artists", type=int, default=50_000)
    asked.add_argument("--factors", type=int, default=128)
    given = asked.parse_args()
    data = _listening(given.users, given.artists)
    model = ALS(factors=given.factors, iterations=3).fit(data, seed=SEED)
    rows, columns = np.arange(given.users, dtype=np.int64), np.arange(given.artists)
    users = model.user_factors(data.confidence)
    taken, peer = data.taken(), _peer(users, model.artist_factors)
    longest = np.linalg.norm(model.artist_factors, axis=1).max()
    lengths = np.linalg.norm(users, axis=1, keepdims=True)
    artists = Artists.of(model.artist_factors / longest, columns)

    def multiplied() -> None:
        for start in range(0, given.users, 256):
            users[start : start + 256] @ model.artist_factors.T

    def ours() -> np.ndarray:
        return best_products(users / lengths, artists, taken, LENGTH, decimals=6).artists

    def theirs() -> np.ndarray:
        return peer.recommend(rows, taken, N=LENGTH, filter_already_liked_items=True)[0]

    same = (ours() == theirs()).mean()
    per_user = {
        "implicit, recommend": _seconds(theirs) / given.users,
        "sgemm alone": _seconds(multiplied) / given.users,
        "firstchair, best_products": _seconds(ours) / given.users,
        "firstchair, users' factors": _seconds(lambda: model.user_factors(data.confidence))
        / given.users,
        "firstchair, ALS.recommend": _seconds(lambda: model.recommend(data, rows, LENGTH))
        / given.users,
    }
    base = per_user["implicit, recommend"]
    print(f"{given.users:,} users, {given.artists:,} artists, {given.factors} factors")
    for path, seconds in per_user.items():
        print(
            f"{path:28} {1e6 * seconds:7.0f} µs a user, {base / seconds:5.2f} of implicit's users"
        )
    few = rows[:256]
    lists = model.recommend(data, few, LENGTH)
    said = _seconds(lambda: model.explain(data, few, lists)) / lists.artists.size
    print(f"{'firstchair, reasons':28} {1e6 * said:7.1f} µs an item")
    print(f"the same artists in the same places: {same:.2%}; others are ties at six decimals")


def _listening(users: int, artists: int) -> TrainingData:
    rng = np.random.default_rng(SEED)
    popularity = 1 / np.arange(1, artists + 1)
    counts = np.minimum(rng.geometric(1 / 60, users), artists // 10)
    column = rng.choice(artists, counts.sum(), p=popularity / popularity.sum())
    row = np.repeat(np.arange(users), counts)
    confidence = sparse.csr_matrix(
        (np.ones(len(row), dtype=np.float32), (row, column)), shape=(users, artists)
    )
    return TrainingData(
        as_of=date(2026, 1, 1),
        user_keys=np.array([f"u{number:07d}" for number in range(users)]),
        artist_ids=np.array([f"a{number:07d}" for number in range(artists)]),
        confidence=confidence,
        users=pd.DataFrame(index=range(users)),
        artists=pd.DataFrame(
            {
                "name": [f"Artist {number}" for number in range(artists)],
                "plays_7d": np.zeros(artists),
                "plays_28d": np.zeros(artists),
            }
        ),
        fingerprint="drawn",
    )


def _peer(users: np.ndarray, artists: np.ndarray) -> object:
    from implicit.cpu.als import AlternatingLeastSquares

    peer = AlternatingLeastSquares(factors=users.shape[1], num_threads=1)
    peer.user_factors, peer.item_factors = users, artists
    return peer


def _seconds(work: Callable[[], object]) -> float:
    """Processor seconds, the better of two runs."""
    taken = []
    for _ in range(2):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return min(taken)


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
