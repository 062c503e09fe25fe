"""Small data with a known answer: even users like even artists, odd users odd ones."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
from scipy import sparse

from firstchair.models import LabelledHistory, TrainingData

USERS, ARTISTS = 60, 40
AS_OF = date(2026, 2, 1)


def checkerboard(
    *, labelled: bool = True, users: int = USERS, artists: int = ARTISTS
) -> TrainingData:
    """User u likes every artist of u's parity but one, which is `withheld(u)` places on."""
    liked = np.add.outer(np.arange(users), np.arange(artists)) % 2 == 0
    liked[np.arange(users), withheld(np.arange(users), artists)] = False
    data = training_data(liked.astype(np.float32) * 2, AS_OF)
    if not labelled:
        return data
    rng = np.random.default_rng(5)
    later = (rng.random(liked.shape) < 0.15) & liked
    earlier = training_data((liked & ~later).astype(np.float32) * 2, date(2026, 1, 18))
    history = LabelledHistory(earlier, sparse.csr_matrix(later.astype(np.float32)))
    return replace(data, labelled=history)


def withheld(user: np.ndarray, artists: int = ARTISTS) -> np.ndarray:
    return (user + 2 * (user // 2)) % artists // 2 * 2 + user % 2


def training_data(confidence: np.ndarray, as_of: date, fingerprint: str = "toy") -> TrainingData:
    users, artists = confidence.shape
    parity = np.arange(artists) % 2
    plays = (confidence > 0).sum(axis=0)
    return TrainingData(
        as_of=as_of,
        user_keys=np.array([f"u{number:03d}" for number in range(users)]),
        artist_ids=np.array([f"a{number:03d}" for number in range(artists)]),
        confidence=sparse.csr_matrix(confidence.astype(np.float32)),
        users=pd.DataFrame(
            {
                "country": np.where(np.arange(users) % 2 == 0, "CL", "SE"),
                "age_group": "25-34",
                "clicks_per_100": 5.0,
                "listen_through": 0.5,
                "logins_28d": 3,
                "days_since_last_login": 1,
                "tenure_days": 90,
                "lifecycle": "long_term",
            },
            index=[f"u{number:03d}" for number in range(users)],
        ),
        artists=pd.DataFrame(
            {
                "name": [f"Artist {number}" for number in range(artists)],
                "genres": [["jazz"] if p == 0 else ["metal"] for p in parity],
                "first_active_on": [
                    date(1990, 1, 1) if p == 0 else date(2015, 1, 1) for p in parity
                ],
                "followers": 1_000,
                "plays_7d": plays,
                "plays_28d": 3 * plays,
                "listeners": plays,
                "impressions": 10 * plays,
                "clicks": plays,
            },
            index=[f"a{number:03d}" for number in range(artists)],
        ),
        fingerprint=fingerprint,
        recent=sparse.csr_matrix((confidence > 0).astype(np.float32)),
    )
