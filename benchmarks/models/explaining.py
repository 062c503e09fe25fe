"""How fast every family explains full lists of 50, on HetRec repeated, and for 200,000 users.

python -m benchmarks.models.explaining [USERS]
"""

import sys
import time

import numpy as np

from benchmarks.models.public_data import SEED, hetrec
from firstchair.models import Family, chosen_settings, fit

LENGTH = 50
GOAL_USERS = 200_000


def main(users: int) -> None:
    data = hetrec().train
    for family in (
        Family.ALS,
        Family.ITEM_ITEM,
        Family.BLEND,
        Family.XGBOOST,
        Family.CONTENT,
        Family.TRENDING,
    ):
        model = fit(family, data, seed=SEED, settings=chosen_settings(family, data="hetrec-lastfm"))
        rows = np.resize(np.arange(len(data.user_keys)), users).astype(np.int64)
        lists = model.recommend(data, rows, LENGTH)
        model.explain(data, rows[:10], model.recommend(data, rows[:10], LENGTH))
        started = time.process_time(), time.perf_counter()
        said = model.explain(data, rows, lists)
        cpu, wall = time.process_time() - started[0], time.perf_counter() - started[1]
        items = int((lists.artists >= 0).sum())
        assert (said.sentences != "").sum() == items
        print(
            f"{family:10} {users} users, {items} items: {1e6 * wall / items:6.1f} µs an item "
            f"({1e6 * cpu / items:6.1f} of a core); {GOAL_USERS:,} users x {LENGTH}: "
            f"{wall / items * GOAL_USERS * LENGTH:6.0f} s"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000)
