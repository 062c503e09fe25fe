"""The lists of a day: every model of the day for every user, written to gold/recommendations in one commit."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from firstchair.errors import ModelError
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.models import Lists, TrainingData, load_training_data
from firstchair.promotion import Registry, Version

USERS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class RecommendationsReport:
    """What stands in gold/recommendations for one `as_of`.

    rows: items over all lists; users: users of silver/users; models: family by model version;
    users_without_list: users whom at least one model gave nothing;
    catalogue_share: artists in at least one list / artists of the catalogue, by model version, 0..1.
    """

    as_of: date
    rows: int
    users: int
    users_without_list: int
    models: dict[str, str]
    catalogue_share: dict[str, float]


def build_recommendations(lake: Lake, registry: Registry, *, as_of: date, list_length: int) -> RecommendationsReport:
    """Write each user's list by each model of the day and by the models that hold an alias.

    A champion older than the day serves the day's data: its lists are made anew from what is known now.

    Raises:
        ModelError: No model is registered for the day; the lists of earlier days stay as they are.
    """
    data = load_training_data(lake, as_of=as_of, labels=False)
    versions = _versions(registry, as_of)
    tally = _Tally(np.zeros(len(data.user_keys), dtype=np.int64), {})
    batches = (batch for version in versions for batch in _batches(version, registry, data, list_length, tally))
    lake.replace_partition(
        t.RECOMMENDATIONS, pa.RecordBatchReader.from_batches(t.RECOMMENDATIONS.schema, batches), as_of
    )
    return RecommendationsReport(
        as_of=as_of,
        rows=lake.count(t.RECOMMENDATIONS, f"as_of = date '{as_of}'"),
        users=len(data.user_keys),
        users_without_list=int((tally.lists < len(versions)).sum()),
        models={str(version.version): version.family for version in versions},
        catalogue_share={name: len(seen) / len(data.artist_ids) for name, seen in tally.shown.items()},
    )


@dataclass(frozen=True, slots=True)
class _Tally:
    """Lists per user and artists shown per version, counted while the batches pass."""

    lists: np.ndarray
    shown: dict[str, set[int]]


def _versions(registry: Registry, as_of: date) -> list[Version]:
    """The newest version of each family up to the day, then those with an alias, in order of their number."""
    newest = registry.newest(as_of)
    if not newest:
        raise ModelError(
            f"No model is registered for as_of {as_of} or before.",
            where="registered model artist-recommender",
            data="No list was written; those of earlier days stay.",
            remedy=f"Materialise the models of that day: `firstchair run --to {as_of}`.",
        )
    aliased = [registry.alias(name) for name in ("champion", "challenger")]
    chosen = {_number(v): v for v in [*newest.values(), *(v for v in aliased if v is not None and v.as_of <= as_of)]}
    return [chosen[number] for number in sorted(chosen)]


def _number(version: Version) -> int:
    return int(version.version)


def _batches(
    version: Version, registry: Registry, data: TrainingData, list_length: int, tally: _Tally
) -> Iterator[pa.RecordBatch]:
    model = registry.load(version)
    name = str(version.version)
    shown = tally.shown.setdefault(name, set())
    for start in range(0, len(data.user_keys), USERS_AT_ONCE):
        rows = np.arange(start, min(start + USERS_AT_ONCE, len(data.user_keys)), dtype=np.int64)
        lists = model.recommend(data, rows, list_length)
        shown.update(np.unique(lists.artists[lists.artists >= 0]).tolist())
        tally.lists[rows] += (lists.artists >= 0).any(axis=1)
        yield _batch(data, rows, lists, model.explain(data, rows, lists).sentences, name)


def _batch(data: TrainingData, rows: np.ndarray, lists: Lists, reasons: np.ndarray, version: str) -> pa.RecordBatch:
    filled = lists.artists >= 0
    user, slot = np.nonzero(filled)
    count = len(user)
    return pa.RecordBatch.from_arrays(
        [
            pa.array(data.user_keys[rows[user]], pa.string()),
            pa.array([data.as_of] * count, pa.date32()),
            pa.array([version] * count, pa.string()),
            pa.array(slot + 1, pa.int32()),
            pa.array(data.artist_ids[lists.artists[filled]], pa.string()),
            pa.array(lists.scores[filled].astype(np.float64)),
            pa.array(reasons[filled], pa.string()),
        ],
        schema=t.RECOMMENDATIONS.schema,
    )
