"""Implicit ALS by Spark MLlib: factors of artists as `ALS` keeps them, computed by executors."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse

from firstchair.lake import SparkSettings, computing, open_session, require_spark
from firstchair.models.selection import Floats

# The blocks that users and artists are divided into. MLlib draws the first factors by block, so
# their number depends on the data alone: every cluster begins with the same ones.
LEAST_BLOCKS = 2
CELLS_A_BLOCK = 2_000_000
# MLlib reads a rating of 0 as a preference of 0.
LEAST_RATING = 1e-6


def artist_factors(
    weights: sparse.csr_matrix,
    spark: SparkSettings,
    *,
    factors: int,
    regularization: float,
    iterations: int,
    seed: int,
) -> Floats:
    """Factors that minimise the cost of ALS, with two differences to implicit.

    MLlib multiplies the regularization by the number of positive cells of a user or artist (4.3,
    `ALS.scala`, `computeFactors`). It gets `regularization` divided by the geometric mean of both
    mean numbers, and its factors are scaled so that users are solved with `regularization` itself:
    where all users have as many cells as each other, and all artists, the cost is the same.

    MLlib weighs a cell by 1 + |rating|. So a positive cell weighs at least as much as an absent
    one, while that of implicit may weigh less (`cell_weights`).

    Args:
        weights: Cells by `cell_weights`, CSR (users, artists).
        spark: Where Spark runs; every executor reaches `scratch` by its path.
        factors: Factors of each artist.
        regularization: As implicit takes it.
        iterations: Each solves artists, then users.
        seed: Of the first factors.

    Returns:
        float32 (artists, factors); 0 for artists without a positive cell.

    Raises:
        SettingsError: Spark is not installed, or does not start.
        RunError: Spark failed.
    """
    found = np.zeros((weights.shape[1], factors), dtype=np.float32)
    cells = weights.tocoo()
    of_user, of_artist = (
        np.bincount(places[cells.data > 0], minlength=size)
        for places, size in zip((cells.row, cells.col), weights.shape, strict=True)
    )
    if not of_user.any():
        return found
    users, artists = (float(counts[counts > 0].mean()) for counts in (of_user, of_artist))
    # Without a positive cell all factors are 0, and MLlib would solve for them unregularized.
    positive = (of_user[cells.row] > 0) & (of_artist[cells.col] > 0)
    rows = _fitted(
        _ratings(cells.row[positive], cells.col[positive], cells.data[positive]),
        spark,
        rank=factors,
        maxIter=iterations,
        regParam=regularization / (users * artists) ** 0.5,
        seed=seed % 2**63,
    )
    solved = rows.column("features").combine_chunks().flatten().to_numpy().reshape(-1, factors)
    found[rows.column("id").to_numpy()] = solved * (artists / users) ** 0.25
    return found


def _ratings(user: Any, artist: Any, weight: Floats) -> pa.Table:
    """A rating for each cell, of which MLlib makes the cell's weight and preference."""
    rating = np.where(weight > 0, np.maximum(weight - 1, LEAST_RATING), weight + 1)
    return pa.table(
        {
            "user": user.astype(np.int32),
            "item": artist.astype(np.int32),
            "rating": rating.astype(np.float32),
        }
    )


def _fitted(cells: pa.Table, spark: SparkSettings, **settings: Any) -> pa.Table:
    """Factors of each item that has cells: `id` and `features`."""
    blocks = LEAST_BLOCKS + cells.num_rows // CELLS_A_BLOCK
    require_spark()
    session = open_session(spark)
    from pyspark.ml.recommendation import ALS

    folder = Path(tempfile.mkdtemp(prefix="staged-", dir=spark.scratch))
    try:
        pq.write_table(cells, folder / "cells.parquet")
        with computing(spark):
            # Every tenth iteration is kept there, or the plan of the next ones outgrows the stack.
            session.sparkContext.setCheckpointDir(f"file://{folder}")
            fit = ALS(
                implicitPrefs=True,
                alpha=1.0,  # alpha is in the weights already
                numUserBlocks=blocks,
                numItemBlocks=blocks,
                **settings,
            ).fit
            model = fit(session.read.parquet(f"file://{folder}/cells.parquet"))
            return model.itemFactors.toArrow()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
