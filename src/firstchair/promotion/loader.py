"""How MLflow opens a registered version without pickle: a pyfunc over our own files."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from firstchair.models import Recommender, TrainingData, load

LENGTH = 20
INPUTS = {"country": "string", "age_group": "string", "artist_ids": "string"}


class Served:
    """`predict` for users with a known country, age group and liked artists."""

    def __init__(self, model: Recommender) -> None:
        self.model = model

    def predict(self, model_input: pd.DataFrame) -> pd.DataFrame:
        """Lists of `LENGTH` artists.

        Args:
            model_input: country, age_group, artist_ids (ids of liked artists, joined by spaces);
                one row a user.

        Returns:
            artist_ids (joined by spaces, best first) and scores (JSON list, -1..1), in the order of
            the rows.
        """
        data = _listeners(self.model, model_input)
        lists = self.model.recommend(data, np.arange(len(model_input), dtype=np.int64), LENGTH)
        return pd.DataFrame(
            {
                "artist_ids": [" ".join(data.artist_ids[row[row >= 0]]) for row in lists.artists],
                "scores": [
                    json.dumps([round(float(score), 6) for score in row]) for row in lists.scores
                ],
            }
        )


def _listeners(model: Recommender, rows: pd.DataFrame) -> TrainingData:
    ids = model.artist_ids
    place = {artist: number for number, artist in enumerate(ids)}
    liked = [
        [place[a] for a in str(text).split() if a in place]
        for text in rows["artist_ids"].fillna("")
    ]
    row = np.repeat(np.arange(len(rows)), [len(columns) for columns in liked])
    column = np.array([c for columns in liked for c in columns], dtype=np.int64)
    matrix = sparse.csr_matrix(
        (np.full(len(row), 2.0), (row, column)), shape=(len(rows), len(ids)), dtype=np.float32
    )
    keys = np.array([f"{number:08d}" for number in range(len(rows))], dtype=str)
    users = rows[["country", "age_group"]].fillna("unknown").set_axis(keys)
    artists = pd.DataFrame(
        {"name": ids, "first_active_on": pd.NaT, "genres": [[]] * len(ids)}, index=ids
    )
    return TrainingData(pd.Timestamp.min.date(), keys, ids, matrix, users, artists, fingerprint="")


def _load_pyfunc(data_path: str) -> Served:
    """Load a model; MLflow calls it with the folder that `Recommender.save` wrote."""
    folder = Path(data_path)
    return Served(load(json.loads((folder / "model.json").read_text())["family"], folder))
