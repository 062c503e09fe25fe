"""Other libraries' models behind one interface: fitted on a 0/1 matrix, they list new items."""

import logging
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from scipy import sparse
from threadpoolctl import threadpool_limits

from benchmarks.models.public_data import SEED
from firstchair.models.protocol import Rows
from firstchair.models.selection import best, chunks

# Columns in rank order, -1 where a list is short: int32 (rows, k).
Recommend = Callable[[Rows, int], np.ndarray]
Fit = Callable[[sparse.csr_matrix], Recommend]

# Of irspack's own range of alpha0 for tuning, 0.003 to 1 by logarithm.
MIDDLE_OF_ITS_RANGE = 0.055


def implicit_als(train: sparse.csr_matrix) -> Recommend:
    from implicit.cpu.als import AlternatingLeastSquares

    return _implicit(AlternatingLeastSquares(random_state=SEED % 2**31), train)


def implicit_cosine(train: sparse.csr_matrix) -> Recommend:
    from implicit.nearest_neighbours import CosineRecommender

    return _implicit(CosineRecommender(K=100), train)


def _implicit(model: object, train: sparse.csr_matrix) -> Recommend:
    with threadpool_limits(1, "blas"):
        model.fit(train, show_progress=False)
    return lambda rows, k: model.recommend(rows, train[rows], N=k)[0]


def irspack_rp3beta(train: sparse.csr_matrix) -> Recommend:
    from irspack import RP3betaRecommender

    return _irspack(RP3betaRecommender(train.astype(np.float64)), train)


def irspack_ials(train: sparse.csr_matrix) -> Recommend:
    from irspack import IALSRecommender

    # As it comes (alpha0 = 0) nothing unknown weighs anything, and it finds no more than chance.
    model = IALSRecommender(
        train.astype(np.float64), alpha0=MIDDLE_OF_ITS_RANGE, random_seed=SEED % 2**31
    )
    return _irspack(model, train)


def _irspack(model: object, train: sparse.csr_matrix) -> Recommend:
    model.learn()

    def recommend(rows: Rows, k: int) -> np.ndarray:
        scored = (
            (part, np.asarray(model.get_score(part), np.float32))
            for part in chunks(rows, train.shape[1])
        )
        return np.concatenate([best(scores, train[part], k).artists for part, scores in scored])

    return recommend


def lenskit_als(train: sparse.csr_matrix) -> Recommend:
    from lenskit.als import ImplicitMFScorer

    return _lenskit(ImplicitMFScorer(), train)


def lenskit_item_knn(train: sparse.csr_matrix) -> Recommend:
    from lenskit.knn import ItemKNNScorer

    return _lenskit(ItemKNNScorer(feedback="implicit"), train)


def _lenskit(scorer: object, train: sparse.csr_matrix) -> Recommend:
    from lenskit import batch
    from lenskit.data import from_interactions_df
    from lenskit.pipeline import topn_pipeline
    from lenskit.training import TrainingOptions

    logging.getLogger("lenskit").setLevel(logging.ERROR)
    pipeline = topn_pipeline(scorer)
    pipeline.train(from_interactions_df(_pairs(train)), TrainingOptions(rng=SEED))

    def recommend(rows: Rows, k: int) -> np.ndarray:
        found = batch.recommend(pipeline, rows.tolist(), n=k, n_jobs=1)
        return _filled(rows, k, ((key.user_id, items.ids()) for key, items in found))

    return recommend


def rectools_svd(train: sparse.csr_matrix) -> Recommend:
    from rectools.models import PureSVDModel

    return _rectools(PureSVDModel(random_state=SEED % 2**31), train)


def _rectools(model: object, train: sparse.csr_matrix) -> Recommend:
    from rectools.dataset import Dataset

    pairs = _pairs(train).assign(weight=1.0, datetime=pd.Timestamp(0))
    data = Dataset.construct(pairs)
    model.fit(data)

    def recommend(rows: Rows, k: int) -> np.ndarray:
        known = np.intersect1d(rows, pairs["user_id"])
        found = model.recommend(known, data, k=k, filter_viewed=True).sort_values(
            ["user_id", "rank"]
        )
        return _filled(
            rows,
            k,
            ((user, items.to_numpy()) for user, items in found.groupby("user_id")["item_id"]),
        )

    return recommend


def _pairs(train: sparse.csr_matrix) -> pd.DataFrame:
    row, column = train.nonzero()
    return pd.DataFrame({"user_id": row.astype(np.int64), "item_id": column.astype(np.int64)})


def _filled(rows: Rows, k: int, lists: Iterator[tuple[int, np.ndarray]]) -> np.ndarray:
    artists = np.full((len(rows), k), -1, dtype=np.int32)
    place = {int(row): number for number, row in enumerate(rows)}
    for user, items in lists:
        artists[place[int(user)], : len(items)] = items
    return artists


# By name: the library, and how it is fitted. rectools' EASE is not here: it inverts a dense matrix
# of all items.
PEERS: dict[str, tuple[str, Fit]] = {
    "implicit ALS": ("implicit", implicit_als),
    "implicit cosine, K = 100": ("implicit", implicit_cosine),
    "irspack iALS, alpha0 0.055": ("irspack", irspack_ials),
    "irspack RP3beta": ("irspack", irspack_rp3beta),
    "lenskit implicit MF": ("lenskit", lenskit_als),
    "lenskit item kNN": ("lenskit", lenskit_item_knn),
    "rectools PureSVD": ("rectools", rectools_svd),
}
