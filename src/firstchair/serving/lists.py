"""The list for users of whom nothing is known: what is trending."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy import sparse

from firstchair.definitions.lifecycle import NEW
from firstchair.errors import ModelError
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.models import Family, TrainingData
from firstchair.promotion import Registry, Version


@dataclass(frozen=True, slots=True)
class RecommendedArtist:
    """One item of a list; `score` in -1..1."""

    position: int
    artist_id: str
    name: str | None
    score: float
    reason: str


def _items(lake: Lake, rows: pa.Table) -> tuple[RecommendedArtist, ...]:
    wanted = ", ".join("'" + str(artist).replace("'", "''") + "'" for artist in rows.column("artist_id").to_pylist())
    named = lake.read(t.ARTISTS, f"artist_id in ({wanted})")
    names = dict(zip(named.column("artist_id").to_pylist(), named.column("name").to_pylist(), strict=True))
    return tuple(
        RecommendedArtist(row["position"], row["artist_id"], names.get(row["artist_id"]), row["score"], row["reason"])
        for row in rows.sort_by("position").to_pylist()
    )


def trending_for_strangers(lake: Lake, registry: Registry, as_of: date, k: int) -> tuple[RecommendedArtist, ...]:
    """The list for a listener of whom nothing is known, by the trending model of the day."""
    model = registry.load(trending_of(registry, as_of))
    data = _nobody(lake, as_of)
    row = np.zeros(1, dtype=np.int64)
    lists = model.recommend(data, row, k)
    reasons = model.explain(data, row, lists).sentences
    found = lists.artists[0] >= 0
    rows = pa.table(
        {
            "position": pa.array(np.arange(1, int(found.sum()) + 1)),
            "artist_id": pa.array(data.artist_ids[lists.artists[0][found]], pa.string()),
            "score": pa.array(lists.scores[0][found].astype(np.float64)),
            "reason": pa.array(reasons[0][found], pa.string()),
        }
    )
    return _items(lake, rows)


def trending_of(registry: Registry, as_of: date) -> Version:
    """The version whose list users of whom nothing is known get.

    Raises:
        ModelError: None was registered for the day or before.
    """
    newest = registry.newest(as_of).get(Family.TRENDING)
    if newest is None:
        raise ModelError(
            f"No trending model is registered for as_of {as_of}.",
            where="registered model artist-recommender",
            data="Lists already published stay as they are.",
            remedy="Build the models of that day: `firstchair run`.",
        )
    return newest


def _nobody(lake: Lake, as_of: date) -> TrainingData:
    """A listener of whom nothing is known, before the catalogue as it is now."""
    artists = lake.read(t.ARTISTS).to_pandas().set_index("artist_id").sort_index()
    unknown = {"country": "unknown", "age_group": "unknown", "gender": "unknown", "lifecycle": NEW}
    return TrainingData(
        as_of=as_of,
        user_keys=np.array([""]),
        artist_ids=artists.index.to_numpy(dtype=str),
        confidence=sparse.csr_matrix(np.zeros((1, len(artists)), dtype=np.float32)),
        users=pd.DataFrame([unknown], index=[""]),
        artists=artists,
        fingerprint="",
    )
