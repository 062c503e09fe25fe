"""The batch of lists: of each user by each model that may serve, one commit a day."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Self

import numpy as np
import pyarrow as pa
from deltalake.exceptions import DeltaError

from firstchair.definitions.families import CONTENDERS
from firstchair.errors import ModelError
from firstchair.evaluation.exposure import exposure_of, places_by_artist
from firstchair.lake import Lake, connect, holds_merged, merged_artists
from firstchair.lake import tables as t
from firstchair.models import Family, TrainingData, listed_families, load_training_data
from firstchair.promotion import Alias, Registry, Version
from firstchair.publication.listing import Listed, Listing, opened_maker


@dataclass(frozen=True, slots=True)
class RecommendationsReport:
    """What gold/recommendations holds for one `as_of`.

    rows: items over all lists; users: users of silver/users; models: family by model version;
    users_without_list: users without a list by at least one model; always 0, because otherwise
    nothing is written;
    catalogue_share: artists in at least one list / artists of the catalogue, by model version,
    0..1.
    """

    as_of: date
    rows: int
    users: int
    users_without_list: int
    models: dict[str, str]
    catalogue_share: dict[str, float]


def build_recommendations(
    lake: Lake,
    registry: Registry,
    *,
    as_of: date,
    list_length: int,
    diversity: float = 0.0,
    contenders: Sequence[Family] = CONTENDERS,
) -> RecommendationsReport:
    """Write each user's list by the models that serve, may serve, or are shown as a baseline.

    What the lists of each hold over all users is written beside them (gold/list_exposure).

    They are the newest versions of `listed_families(contenders)` and those that hold an alias. A
    champion fitted before the day gets new lists too, made of the day's data.

    Args:
        lake: Holds the data of the day, and gets the lists.
        registry: Holds the models.
        as_of: Day of the lists.
        list_length: Artists in a list.
        diversity: Weight of unlike genres in the order of each list (`Diversity`), 0..1.
        contenders: Families that may challenge.

    Raises:
        ModelError: No model is registered for the day, or a model gave some user no list; existing
            lists stay as they are.
    """
    data = load_training_data(lake, as_of=as_of, labels=False)
    versions = _versions(registry, as_of, listed_families(contenders))
    listing = Listing.of(data, list_length, diversity)
    tally = _Tally.empty(data, versions)
    with _whole(lake, registry, versions, listing, tally) as reader:
        # Until it is written anew: what lacks it was killed before, and `complete_lists` mends it.
        lake.delete(t.LIST_EXPOSURE, f"as_of = '{as_of}'")
        with _cause_named(tally, versions):
            lake.replace_partition(t.RECOMMENDATIONS, reader, as_of)
    shown = _shown(versions, data, tally)
    lake.replace_partition(t.LIST_EXPOSURE, shown, as_of)
    return RecommendationsReport(
        as_of=as_of,
        rows=lake.count(t.RECOMMENDATIONS, f"as_of = date '{as_of}'"),
        users=len(data.user_keys),
        users_without_list=int((tally.lists < len(versions)).sum()),
        models={str(version.version): version.family for version in versions},
        catalogue_share=dict(
            zip(shown["model_version"].to_pylist(), shown["coverage"].to_pylist(), strict=True)
        ),
    )


def complete_lists(
    lake: Lake, registry: Registry, *, as_of: date, list_length: int, diversity: float = 0.0
) -> None:
    """On a day with lists, make those that are missing, and replace those with a merged artist.

    A decision after the day's lists were made may have given the role of champion or challenger to
    a version without lists, the catalogue may have merged an artist since, and a run may have been
    killed before it wrote what its lists hold (gold/list_exposure).
    """
    listed = listed_versions(lake, as_of)
    if not listed:
        return
    aliased = [version for version in aliased_versions(registry, as_of) if version is not None]
    missing = [version for version in aliased if version.version not in listed]
    numbers = {*_holding_merged(lake, as_of), *_unmeasured(lake, as_of, listed)}
    outdated = [registry.find(number) for number in sorted(numbers, key=int)]
    wanted = [*missing, *(version for version in outdated if version is not None)]
    if wanted:
        add_lists(lake, registry, wanted, as_of=as_of, list_length=list_length, diversity=diversity)


def add_lists(
    lake: Lake,
    registry: Registry,
    versions: Sequence[Version],
    *,
    as_of: date,
    list_length: int,
    diversity: float = 0.0,
) -> None:
    """Write each user's list by some versions, in place of those that they have for the day.

    Raises:
        ModelError: A model gave some user no list; what it had stays.
    """
    data = load_training_data(lake, as_of=as_of, labels=False)
    listing = Listing.of(data, list_length, diversity)
    for version in versions:
        tally = _Tally.empty(data, [version])
        of_version = f"as_of = '{as_of}' and model_version = '{version.version}'"
        with _whole(lake, registry, [version], listing, tally) as reader:
            lake.delete(t.LIST_EXPOSURE, of_version)
            with _cause_named(tally, [version]):
                lake.replace_where(t.RECOMMENDATIONS, reader, of_version)
        lake.replace_where(t.LIST_EXPOSURE, _shown([version], data, tally), of_version)


def _unmeasured(lake: Lake, as_of: date, listed: Collection[str]) -> set[str]:
    """Those of the versions with lists of the day whose exposure was not written.

    A lake of a release that did not write any has no such table.
    """
    if lake.snapshot(t.LIST_EXPOSURE) is None:
        return set()
    measured = lake.read(t.LIST_EXPOSURE, f"as_of = date '{as_of}'")["model_version"].to_pylist()
    return set(listed) - set(measured)


def _holding_merged(lake: Lake, as_of: date) -> list[str]:
    """Numbers of the versions whose lists of the day hold an artist that was merged later."""
    if not holds_merged(lake, t.RECOMMENDATIONS, f"as_of = date '{as_of}'"):
        return []
    with connect() as connection:
        rows = connection.execute(
            f"select distinct model_version from {lake.scan(t.RECOMMENDATIONS)} "
            f"join {merged_artists(lake)} using (artist_id) where as_of = date '{as_of}' "
            "order by all"
        ).fetchall()
    return [number for (number,) in rows]


def listed_versions(lake: Lake, as_of: date) -> set[str]:
    """Numbers of the versions that have lists of the day."""
    with connect() as connection:
        rows = connection.execute(
            f"select distinct model_version from {lake.scan(t.RECOMMENDATIONS)} "
            f"where as_of = date '{as_of}'"
        ).fetchall()
    return {number for (number,) in rows}


@dataclass(frozen=True, slots=True)
class _Tally:
    """Lists per user, and places of each artist per version, counted block by block."""

    lists: np.ndarray
    places: dict[str, np.ndarray]

    @classmethod
    def empty(cls, data: TrainingData, versions: Sequence[Version]) -> Self:
        """Of no list yet."""
        users, artists = len(data.user_keys), len(data.artist_ids)
        places = {str(one.version): np.zeros(artists, dtype=np.int64) for one in versions}
        return cls(np.zeros(users, dtype=np.int64), places)

    def add(self, version: str, listed: Listed) -> None:
        """Count the lists of a block."""
        places = self.places[version]
        places += places_by_artist(listed.lists.artists, len(places))
        self.lists[listed.rows] += (listed.lists.artists >= 0).any(axis=1)


def _shown(versions: Sequence[Version], data: TrainingData, tally: _Tally) -> pa.Table:
    """Rows of gold/list_exposure, of the lists that were counted."""
    rows = []
    for version in versions:
        places = tally.places[str(version.version)]
        shown, tiers = exposure_of(places, data)
        row = {
            "as_of": data.as_of,
            "model_version": str(version.version),
            "family": str(version.family),
            "places": int(places.sum()),
            "coverage": shown.coverage,
            "novelty_bits": shown.novelty,
            "gini": shown.gini,
        }
        rows.append(row | {f"share_{tier}": share for tier, share in tiers.items()})
    return pa.Table.from_pylist(rows, schema=t.LIST_EXPOSURE.schema)


@contextmanager
def _whole(
    lake: Lake,
    registry: Registry,
    versions: Sequence[Version],
    listing: Listing,
    tally: _Tally,
) -> Iterator[pa.RecordBatchReader]:
    """The lists of the versions; raises at the end if a user got none, which stops the commit."""
    with opened_maker(lake, listing) as made:
        of_each = [(version, made(partial(registry.load, version))) for version in versions]

        def batches() -> Iterator[pa.RecordBatch]:
            for version, blocks in of_each:
                for listed in blocks:
                    tally.add(str(version.version), listed)
                    yield _batch(listing.data, listed, str(version.version))
            _require_lists(tally, versions)

        yield pa.RecordBatchReader.from_batches(t.RECOMMENDATIONS.schema, batches())


@contextmanager
def _cause_named(tally: _Tally, versions: Sequence[Version]) -> Iterator[None]:
    """Raise the cause of a failed write: delta-rs reports a fault of its reader as its own."""
    try:
        yield
    except DeltaError:
        _require_lists(tally, versions)
        raise


def _require_lists(tally: _Tally, versions: Sequence[Version]) -> None:
    without = int((tally.lists < len(versions)).sum())
    if without:
        numbers = ", ".join(str(version.version) for version in versions)
        raise ModelError(
            f"{without:,} of {len(tally.lists):,} users have no list by at least one of versions "
            f"{numbers}.",
            where=t.RECOMMENDATIONS.name,
            data="No list was written; existing lists stay.",
            remedy="Fix the family that lists no artist for a user who has untaken ones, and run "
            "again.",
        )


def _versions(registry: Registry, as_of: date, listed: Sequence[Family]) -> list[Version]:
    """The newest of each listed family up to the day and those with an alias, by number ascending.

    A refit of the champion's family serves no user before it takes over, so it gets no lists.
    """
    newest = {f: v for f, v in registry.newest(as_of).items() if f in listed}
    if not newest:
        raise ModelError(
            f"No model is registered for as_of {as_of} or before.",
            where="registered model artist-recommender",
            data="No list was written; those of earlier days stay.",
            remedy=f"Materialise the models of that day: `firstchair run --to {as_of}`.",
        )
    champion, *others = aliased_versions(registry, as_of)
    served = newest if champion is None else newest | {champion.family: champion}
    chosen = [*served.values(), *(version for version in others if version is not None)]
    return sorted({version.version: version for version in chosen}.values(), key=_number)


def aliased_versions(registry: Registry, as_of: date) -> list[Version | None]:
    """Champion and challenger; None in place of a missing one or one fitted for a later day."""
    found = [registry.alias(name) for name in (Alias.CHAMPION, Alias.CHALLENGER)]
    return [None if v is None or v.as_of > as_of else v for v in found]


def _number(version: Version) -> int:
    return int(version.version)


def _batch(data: TrainingData, listed: Listed, version: str) -> pa.RecordBatch:
    lists, filled = listed.lists, listed.lists.artists >= 0
    user, slot = np.nonzero(filled)
    count = len(user)
    return pa.RecordBatch.from_arrays(
        [
            pa.array(data.user_keys[listed.rows[user]], pa.string()),
            pa.array([data.as_of] * count, pa.date32()),
            pa.array([version] * count, pa.string()),
            pa.array(slot + 1, pa.int32()),
            pa.array(data.artist_ids[lists.artists[filled]], pa.string()),
            pa.array(lists.scores[filled].astype(np.float64)),
            pa.array(listed.reasons[filled], pa.string()),
        ],
        schema=t.RECOMMENDATIONS.schema,
    )
