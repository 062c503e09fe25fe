"""The list that unknown users are shown: what is trending."""

from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy import sparse

from firstchair.definitions.lifecycle import NEW
from firstchair.errors import ModelError
from firstchair.lake import Lake, redirects_of
from firstchair.lake import tables as t
from firstchair.models import Family, TrainingData
from firstchair.promotion import Registry, Version


def trending_for_unknown_users(lake: Lake, registry: Registry, as_of: date, k: int) -> pa.Table:
    """The list that unknown users are shown, made by the trending model of the day.

    Returns:
        position, artist_id, score and reason in the types of gold/recommendations, best first.
    """
    model = registry.load(trending_of(registry, as_of))
    data = _nobody(lake, as_of)
    row = np.zeros(1, dtype=np.int64)
    lists = model.recommend(data, row, k)
    reasons = model.explain(data, row, lists).sentences
    found = lists.artists[0] >= 0
    columns = {
        "position": np.arange(1, int(found.sum()) + 1),
        "artist_id": data.artist_ids[lists.artists[0][found]],
        "score": lists.scores[0][found],
        "reason": reasons[0][found],
    }
    schema = pa.schema([t.RECOMMENDATIONS.schema.field(name) for name in columns])
    return pa.table(
        {name: pa.array(values).cast(schema.field(name).type) for name, values in columns.items()}
    )


def trending_of(registry: Registry, as_of: date) -> Version:
    """The version that makes the list of unknown users.

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
    """Training data of one unknown user, with the catalogue as it is now."""
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
        redirects=redirects_of(lake),
    )
