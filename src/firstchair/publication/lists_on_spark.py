"""Lists of users made by Spark's executors: `Listing.block` in a function over Arrow batches."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from firstchair import models
from firstchair.lake import (
    SparkSettings,
    computing,
    open_session,
    require_spark,
    staged_files,
)
from firstchair.models import Family, Lists, Recommender
from firstchair.publication.listing import Listed, Listing, Maker

# One row a user; every list has `Listing.length` places.
STAGED = pa.schema(
    {
        "user": pa.int64(),
        "artists": pa.list_(pa.int32()),
        "scores": pa.list_(pa.float32()),
        "reasons": pa.list_(pa.string()),
    }
)
_STAGED_SQL = "user bigint, artists array<int>, scores array<float>, reasons array<string>"


@contextmanager
def on_spark(spark: SparkSettings, listing: Listing) -> Iterator[Maker]:
    """Each block is a task of Spark; all lists of a model are made before the first is given.

    Every Python process of an executor gets the data of the day once, by Spark's broadcast, and
    loads the artifact of a model once, from `SparkSettings.scratch`, which executors reach. Lists
    come back as Parquet files below it.

    Raises:
        SettingsError: Spark is not installed, or does not start.
        RunError: Spark failed, or a model in it.
    """
    require_spark()
    session = open_session(spark)
    folder = Path(tempfile.mkdtemp(prefix="staged-", dir=spark.scratch))
    # What only a fit needs stays here.
    data = replace(listing.data, labelled=None, als_on=None, fits={})
    try:
        with computing(spark):
            sent = session.sparkContext.broadcast(replace(listing, data=data))
        yield partial(_made, session, spark, listing, sent, folder)
        with computing(spark):
            sent.destroy()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _made(
    session: Any,
    spark: SparkSettings,
    listing: Listing,
    sent: Any,
    folder: Path,
    load: Callable[[], Recommender],
) -> Iterator[Listed]:
    place = Path(tempfile.mkdtemp(dir=folder))
    model = load()
    model.save(place / "model")
    task = partial(_blocks, sent, str(model.family), str(place / "model"))
    with computing(spark):
        numbers = session.range(0, listing.blocks, 1, max(1, listing.blocks))
        found = numbers.mapInArrow(task, _STAGED_SQL)
        found.write.parquet(f"file://{place}/lists")
    return _read(staged_files(spark, place / "lists"), listing.length)


def _blocks(
    sent: Any, family: str, artifact: str, numbers: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """The blocks of these numbers; runs in an executor."""
    listing: Listing = sent.value
    for batch in numbers:
        for number in batch.column(0).to_pylist():
            yield _packed(listing.block(_loaded(family, artifact), number))


@lru_cache(maxsize=1)
def _loaded(family: str, artifact: str) -> Recommender:
    """The model, loaded once for all blocks of a process."""
    return models.load(Family(family), Path(artifact))


def _packed(listed: Listed) -> pa.RecordBatch:
    columns = (listed.lists.artists, listed.lists.scores, listed.reasons)
    ends = np.arange(len(listed.rows) + 1, dtype=np.int32) * columns[0].shape[1]
    lists = [
        pa.ListArray.from_arrays(ends, pa.array(values.ravel(), of.type.value_type))
        for values, of in zip(columns, list(STAGED)[1:], strict=True)
    ]
    return pa.RecordBatch.from_arrays([pa.array(listed.rows), *lists], schema=STAGED)


def _read(files: list[Path], length: int) -> Iterator[Listed]:
    for path in files:
        for batch in pq.ParquetFile(path).iter_batches(columns=STAGED.names):
            artists, scores, reasons = (
                column.flatten().to_numpy(zero_copy_only=False).reshape(-1, length)
                for column in batch.columns[1:]
            )
            yield Listed(batch.column(0).to_numpy(), Lists(artists, scores), reasons)
