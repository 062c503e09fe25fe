"""From the lake to matrices: what every family of a day is fitted on, cut at `as_of`."""

import hashlib
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from firstchair import features
from firstchair.lake import Engine, Lake, Table, holds_merged, redirects_of
from firstchair.lake import tables as t
from firstchair.models.protocol import LabelledHistory, Slates, TrainingData

LABEL_DAYS = 14
RECENT_DAYS = 7
# Fewer days than this before the labels teach nothing.
LEAST_HISTORY_DAYS = 4
NESTED = ("recent_tracks", "followed_artists", "self_normalised")
SCALARS = [name for name in t.USER_FEATURES.schema.names if name not in (*NESTED, "as_of", "created_at")]
PAIRS = ["user_key", "artist_id", "confidence", "preference", "last_signal_on"]


def load_training_data(lake: Lake, *, as_of: date, labels: bool = True) -> TrainingData:
    """Everything known before `as_of`, and with `labels` what users took up in the last days before it.

    Read from gold where that day was built, and built with the artists as they are now, else
    computed by the same definitions. The labels' days are `LABEL_DAYS`, or a third of a shorter
    history.

    Raises:
        LakeError: A table cannot be read.
    """
    with Engine(lake) as engine:
        loader = _Loader(lake, engine)
        first = loader.first_day()
        if not labels or first is None:
            return loader.at(as_of)
        days = min(LABEL_DAYS, (as_of - first).days // 3)
        cutoff = as_of - timedelta(days=days)
        if days < 1 or (cutoff - first).days < LEAST_HISTORY_DAYS:
            return loader.at(as_of)
        return loader.at(as_of, loader.labelled(cutoff, as_of))


@dataclass(frozen=True, slots=True)
class TakenUp:
    """What users first took up in some days, apart by whether a slate led them to it.

    unprompted, prompted: float32 CSR (n_users, n_artists), 1 where a user first took up an artist;
    no pair is in both. What is prompted was chosen by the models that served: a judgement of a model
    that counts it finds the models of those days, and all that resemble them, too good.
    """

    unprompted: sparse.csr_matrix
    prompted: sparse.csr_matrix


def taken_up(lake: Lake, *, start: date, end: date) -> TakenUp:
    """What users first took up from `start` to `end` (exclusive), of all users × artists."""
    with Engine(lake) as engine:
        return _Loader(lake, engine).taken_up(start, end)


class _Loader:
    """One engine, one order of users and artists for every cutoff."""

    def __init__(self, lake: Lake, engine: Engine) -> None:
        self.lake = lake
        self.history = features.open_history(engine)
        self.user_keys = _sorted(lake.read(t.USERS), "user_key")
        self.artist_ids = _sorted(lake.read(t.ARTISTS), "artist_id")
        self.built = {table.name: set(lake.partitions(table)) for table in (t.USER_FEATURES, t.INTERACTIONS)}
        self.redirects = redirects_of(lake)

    def first_day(self) -> date | None:
        days = self.lake.partitions(t.EVENTS)
        return days[0] if days else None

    def at(self, as_of: date, labelled: LabelledHistory | None = None) -> TrainingData:
        pairs = self._rows(t.INTERACTIONS, features.interactions, PAIRS, as_of)
        users = self._rows(t.USER_FEATURES, features.user_features, SCALARS, as_of).to_pandas()
        artists = self._artists(as_of)
        return TrainingData(
            as_of=as_of,
            user_keys=self.user_keys,
            artist_ids=self.artist_ids,
            confidence=self._matrix(pairs, _signed(pairs)),
            users=users.set_index("user_key").reindex(self.user_keys),
            artists=artists,
            fingerprint=_digest(as_of, pairs, users, artists),
            labelled=labelled,
            recent=self._ones(pairs.filter(pc.field("last_signal_on") >= as_of - timedelta(days=RECENT_DAYS))),
            newest_signal_on=pc.max(pairs.column("last_signal_on")).as_py(),
            redirects=self.redirects,
        )

    def taken_up(self, start: date, end: date) -> TakenUp:
        found = features.first_taken(self.history, start=start, end=end).to_pyarrow()
        prompted = pc.field("prompted")
        return TakenUp(self._ones(found.filter(~prompted)), self._ones(found.filter(prompted)))

    def labelled(self, cutoff: date, as_of: date) -> LabelledHistory:
        last_third = as_of - timedelta(days=(as_of - cutoff).days // 3)
        found = features.first_taken(self.history, start=cutoff, end=as_of).to_pyarrow()
        later = found.filter(pc.field("first_on") >= last_third)
        return LabelledHistory(
            data=self.at(cutoff),
            positives=self._ones(found),
            slates=self.slates(cutoff, as_of),
            later=self._ones(later) if last_third < as_of else None,
            prompted=self._ones(found.filter(pc.field("prompted"))),
        )

    def slates(self, start: date, end: date) -> Slates | None:
        items = features.slate_items(self.history, start=start, end=end).to_pyarrow()
        items = items.sort_by([(name, "ascending") for name in ("slate_id", "position", "artist_id")])
        row, column = (
            _place(labels, items.column(name))
            for labels, name in ((self.user_keys, "user_key"), (self.artist_ids, "artist_id"))
        )
        known = (row >= 0) & (column >= 0)
        if not known.any():
            return None
        slate = pc.rank(items.column("slate_id").combine_chunks(), tiebreaker="dense").to_numpy()
        numbers = {name: items.column(name).to_numpy()[known] for name in ("position", "propensity")}
        taken = items.column("taken").to_numpy()[known]
        return Slates(slate[known].astype(np.int64), row[known], column[known], taken=taken, **numbers)

    def _rows(self, table: Table, definition: Any, columns: list[str], as_of: date) -> pa.Table:
        if as_of in self.built[table.name] and not self._is_outdated(table, as_of):
            rows = self.lake.read(table, f"as_of = date '{as_of}'").select(columns)
        else:
            rows = definition(self.history, as_of=as_of).select(columns).to_pyarrow()
        return rows.sort_by([(name, "ascending") for name in columns if name in ("user_key", "artist_id")])

    def _is_outdated(self, table: Table, as_of: date) -> bool:
        """Whether the day was built by artist, and before one of its artists was merged."""
        by_artist, of_day = "artist_id" in table.schema.names, f"as_of = date '{as_of}'"
        return by_artist and holds_merged(self.lake, table, of_day)

    def _artists(self, as_of: date) -> pd.DataFrame:
        catalogue = self.lake.read(t.ARTISTS).to_pandas().set_index("artist_id")
        statistics = features.artist_statistics(self.history, as_of=as_of).to_pandas().set_index("artist_id")
        joined: pd.DataFrame = catalogue.join(statistics).reindex(self.artist_ids)
        return joined

    def _ones(self, pairs: pa.Table) -> sparse.csr_matrix:
        return self._matrix(pairs, np.ones(pairs.num_rows, dtype=np.float32))

    def _matrix(self, pairs: pa.Table, values: npt.NDArray[np.float32]) -> sparse.csr_matrix:
        """Pairs of known users and artists as CSR with sorted columns."""
        row = _place(self.user_keys, pairs.column("user_key"))
        column = _place(self.artist_ids, pairs.column("artist_id"))
        known = (row >= 0) & (column >= 0)
        shape = (len(self.user_keys), len(self.artist_ids))
        matrix = sparse.csr_matrix((values[known], (row[known], column[known])), shape=shape, dtype=np.float32)
        matrix.sort_indices()
        return matrix


def _signed(pairs: pa.Table) -> npt.NDArray[np.float32]:
    """Confidence, negative where preference is 0."""
    confidence = pairs.column("confidence").to_numpy()
    return np.asarray(np.where(pairs.column("preference").to_numpy() > 0, confidence, -confidence), dtype=np.float32)


def _sorted(table: pa.Table, name: str) -> npt.NDArray[np.str_]:
    return np.sort(np.array(table.column(name).to_pylist(), dtype=str))


def _place(labels: npt.NDArray[np.str_], wanted: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    found = pd.Index(labels).get_indexer(pd.Index(wanted.to_pandas()))
    return np.asarray(found, dtype=np.int64)


def _digest(as_of: date, pairs: pa.Table, users: pd.DataFrame, artists: pd.DataFrame) -> str:
    """Content digest of what a model can see, equal for equal rows whatever files they came from."""
    digest = hashlib.sha256(as_of.isoformat().encode())
    for frame in (pairs.to_pandas(), users, artists.drop(columns="genres"), artists["genres"].map(str).to_frame()):
        digest.update(pd.util.hash_pandas_object(frame.astype(str), index=True).to_numpy().tobytes())
    return digest.hexdigest()[:32]
