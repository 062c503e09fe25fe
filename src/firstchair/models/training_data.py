"""Load the training data of a day from the lake as matrices, cut at `as_of`."""

import hashlib
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from firstchair import features
from firstchair.lake import (
    Definition,
    DuckDBEngine,
    Engine,
    Lake,
    Table,
    holds_merged,
    redirects_of,
)
from firstchair.lake import tables as t
from firstchair.models.protocol import LabelledHistory, Slates, TrainingData

LABEL_DAYS = 14
RECENT_DAYS = 7
# Least days before the labels.
LEAST_HISTORY_DAYS = 4
UNUSED = (*features.NESTED, "as_of", "created_at")
SCALARS = [name for name in t.USER_FEATURES.schema.names if name not in UNUSED]
READ = (
    t.EVENTS,
    t.USERS,
    t.ARTISTS,
    t.ARTIST_REDIRECTS,
    t.TRACKS,
    t.USER_FEATURES,
    t.INTERACTIONS,
)
# Data in use in this process, such as by all families of a day: loaded once for all of them.
_LOADED: WeakValueDictionary[tuple[Any, ...], TrainingData] = WeakValueDictionary()
PAIRS = ["user_key", "artist_id", "confidence", "preference", "last_signal_on"]


def load_training_data(lake: Lake, *, as_of: date, labels: bool = True) -> TrainingData:
    """Load everything known before `as_of`; with `labels`, later interactions at a cutoff.

    It is read from gold if that day was built with the current artists, else computed by the same
    definitions. Labels are of the last `LABEL_DAYS`, or of a third of a shorter history.

    Raises:
        LakeError: A table cannot be read.
    """
    with DuckDBEngine(lake) as engine:
        loader = _Loader(lake, engine)
        data = loader.at(as_of)
        first = loader.first_day()
        if not labels or first is None:
            return data
        days = min(LABEL_DAYS, (as_of - first).days // 3)
        cutoff = as_of - timedelta(days=days)
        if days < 1 or (cutoff - first).days < LEAST_HISTORY_DAYS:
            return data
        found = replace(data, labelled=loader.labelled(cutoff, as_of))
        _LOADED[loader.key(as_of)] = found
        return found


def versions_read(lake: Lake) -> tuple[int, ...]:
    """Versions of the tables that training data are read from; equal ones give equal data."""
    return tuple(lake.version(table) for table in READ)


@dataclass(frozen=True, slots=True)
class PositiveInteractions:
    """First positive interactions of users with artists in some days.

    unprompted, prompted: float32 CSR (n_users, n_artists), 1 for a first interaction that followed
    no slate, or a slate; no pair is in both. Prompted ones were chosen by the models that served,
    so an evaluation on them favours these models and similar ones.
    """

    unprompted: sparse.csr_matrix
    prompted: sparse.csr_matrix


def positive_interactions(lake: Lake, *, start: date, end: date) -> PositiveInteractions:
    """First positive interactions from `start` to `end` (exclusive), of all users × artists."""
    with DuckDBEngine(lake) as engine:
        return _Loader(lake, engine).positive_interactions(start, end)


class _Loader:
    """Loads data with one engine, and one order of users and artists for all cutoffs."""

    def __init__(self, lake: Lake, engine: Engine) -> None:
        self.lake, self._engine = lake, engine

    @cached_property
    def engine(self) -> Engine:
        """The engine with the views of the history, opened when rows are first computed."""
        features.open_views(self._engine)
        return self._engine

    @cached_property
    def versions(self) -> tuple[int, ...]:
        return versions_read(self.lake)

    @cached_property
    def user_keys(self) -> npt.NDArray[np.str_]:
        return _sorted(self.lake.read(t.USERS), "user_key")

    @cached_property
    def artist_ids(self) -> npt.NDArray[np.str_]:
        return _sorted(self.lake.read(t.ARTISTS), "artist_id")

    def key(self, as_of: date) -> tuple[Any, ...]:
        """The key of training data without labels: all that they depend on."""
        return (self.lake.url, self.lake.engine, self.lake.spark, as_of, self.versions)

    def first_day(self) -> date | None:
        days = self.lake.partitions(t.EVENTS)
        return days[0] if days else None

    def at(self, as_of: date) -> TrainingData:
        """The data without labels, shared with other callers that hold them."""
        key = self.key(as_of)
        loaded = _LOADED.get(key)
        if loaded is None:
            loaded = _LOADED[key] = self._load(as_of)
        return replace(loaded, labelled=None) if loaded.labelled is not None else loaded

    def _load(self, as_of: date) -> TrainingData:
        pairs = self._rows(t.INTERACTIONS, features.interactions, PAIRS, as_of)
        users = self._users(as_of)
        artists = self._artists(as_of)
        return TrainingData(
            as_of=as_of,
            user_keys=self.user_keys,
            artist_ids=self.artist_ids,
            confidence=self._matrix(pairs, _signed(pairs)),
            users=users,
            artists=artists,
            fingerprint=_digest(as_of, pairs, users.reset_index()[SCALARS], artists),
            recent=self._ones(
                pairs.filter(pc.field("last_signal_on") >= as_of - timedelta(days=RECENT_DAYS))
            ),
            newest_signal_on=pc.max(pairs.column("last_signal_on")).as_py(),
            redirects=redirects_of(self.lake),
            als_on=self.lake.spark if self.lake.spark.fits_als else None,
        )

    def positive_interactions(self, start: date, end: date) -> PositiveInteractions:
        found = self._computed(features.first_taken, start=start, end=end)
        prompted = pc.field("prompted")
        return PositiveInteractions(
            self._ones(found.filter(~prompted)), self._ones(found.filter(prompted))
        )

    def labelled(self, cutoff: date, as_of: date) -> LabelledHistory:
        last_third = as_of - timedelta(days=(as_of - cutoff).days // 3)
        found = self._computed(features.first_taken, start=cutoff, end=as_of)
        later = found.filter(pc.field("first_on") >= last_third)
        return LabelledHistory(
            data=self.at(cutoff),
            positives=self._ones(found),
            slates=self.slates(cutoff, as_of),
            later=self._ones(later) if last_third < as_of else None,
            prompted=self._ones(found.filter(pc.field("prompted"))),
        )

    def slates(self, start: date, end: date) -> Slates | None:
        items = self._computed(features.slate_items, start=start, end=end)
        items = items.sort_by(
            [(name, "ascending") for name in ("slate_id", "position", "artist_id")]
        )
        row, column = (
            _place(labels, items.column(name))
            for labels, name in ((self.user_keys, "user_key"), (self.artist_ids, "artist_id"))
        )
        known = (row >= 0) & (column >= 0)
        if not known.any():
            return None
        slate = pc.rank(items.column("slate_id").combine_chunks(), tiebreaker="dense").to_numpy()
        numbers = {
            name: items.column(name).to_numpy()[known] for name in ("position", "propensity")
        }
        taken = items.column("taken").to_numpy()[known]
        return Slates(
            slate[known].astype(np.int64), row[known], column[known], taken=taken, **numbers
        )

    def _users(self, as_of: date) -> pd.DataFrame:
        """Features of every user, in the order of `user_keys`.

        gold/user_features of an earlier day lacks users whose accounts were made since.
        """
        rows = self._rows(t.USER_FEATURES, features.user_scalars, SCALARS, as_of)
        built = set(rows.column("user_key").to_pylist())
        missing = [key for key in self.user_keys.tolist() if key not in built]
        if missing:
            columns = tuple(SCALARS)
            found = self._computed(features.user_scalars, columns=columns, as_of=as_of)
            lacked = found.filter(pc.is_in(found["user_key"], pa.array(missing, pa.string())))
            rows = pa.concat_tables([rows, lacked])
        users: pd.DataFrame = rows.to_pandas().set_index("user_key").reindex(self.user_keys)
        return users

    def _rows(self, table: Table, definition: Any, columns: list[str], as_of: date) -> pa.Table:
        if as_of in self.lake.partitions(table) and not self._is_outdated(table, as_of):
            rows = self.lake.read(table, f"as_of = date '{as_of}'").select(columns)
        else:
            rows = self._computed(definition, columns=tuple(columns), as_of=as_of)
        return rows.sort_by(
            [(name, "ascending") for name in columns if name in ("user_key", "artist_id")]
        )

    def _computed(self, definition: Definition, **given: Any) -> pa.Table:
        """Rows that a definition of `firstchair.features` computes."""
        return self.engine.rows(features.over_history, definition=definition, **given)

    def _is_outdated(self, table: Table, as_of: date) -> bool:
        """Whether the day was built before one of its artists was merged."""
        by_artist, of_day = "artist_id" in table.schema.names, f"as_of = date '{as_of}'"
        return by_artist and holds_merged(self.lake, table, of_day)

    def _artists(self, as_of: date) -> pd.DataFrame:
        catalogue = self.lake.read(t.ARTISTS).to_pandas().set_index("artist_id")
        counted = self._computed(features.artist_statistics, as_of=as_of)
        statistics = counted.to_pandas().set_index("artist_id")
        joined: pd.DataFrame = catalogue.join(statistics).reindex(self.artist_ids)
        # A catalogue may have no names; reasons name artists as lists do then, by their ids.
        joined["name"] = joined["name"].fillna(joined.index.to_series())
        return joined

    def _ones(self, pairs: pa.Table) -> sparse.csr_matrix:
        return self._matrix(pairs, np.ones(pairs.num_rows, dtype=np.float32))

    def _matrix(self, pairs: pa.Table, values: npt.NDArray[np.float32]) -> sparse.csr_matrix:
        """Pairs of known users and artists as CSR with sorted columns."""
        row = _place(self.user_keys, pairs.column("user_key"))
        column = _place(self.artist_ids, pairs.column("artist_id"))
        known = (row >= 0) & (column >= 0)
        shape = (len(self.user_keys), len(self.artist_ids))
        matrix = sparse.csr_matrix(
            (values[known], (row[known], column[known])), shape=shape, dtype=np.float32
        )
        matrix.sort_indices()
        return matrix


def _signed(pairs: pa.Table) -> npt.NDArray[np.float32]:
    """Confidence, negative where preference is 0."""
    confidence = pairs.column("confidence").to_numpy()
    return np.asarray(
        np.where(pairs.column("preference").to_numpy() > 0, confidence, -confidence),
        dtype=np.float32,
    )


def _sorted(table: pa.Table, name: str) -> npt.NDArray[np.str_]:
    return np.sort(np.array(table.column(name).to_pylist(), dtype=str))


def _place(labels: npt.NDArray[np.str_], wanted: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    found = pd.Index(labels).get_indexer(pd.Index(wanted.to_pandas()))
    return np.asarray(found, dtype=np.int64)


def _digest(as_of: date, pairs: pa.Table, users: pd.DataFrame, artists: pd.DataFrame) -> str:
    """Content digest of the data of a model; equal for equal rows, whatever their files."""
    digest = hashlib.sha256(as_of.isoformat().encode())
    for frame in (
        pairs.to_pandas(),
        users,
        artists.drop(columns="genres"),
        artists["genres"].map(str).to_frame(),
    ):
        digest.update(
            pd.util.hash_pandas_object(frame.astype(str), index=True).to_numpy().tobytes()
        )
    return digest.hexdigest()[:32]
