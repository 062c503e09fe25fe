"""Write the files that a fold-in needs: ALS factors, rows of the matrix, lengths of tracks."""

from collections.abc import Mapping
from datetime import date
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from firstchair.lake import Lake, connect, redirects_of
from firstchair.lake import tables as t
from firstchair.models import Family
from firstchair.models.als import ALS
from firstchair.models.diversity import Diversity
from firstchair.models.selection import current_ids
from firstchair.promotion import Registry, Version
from firstchair.publication.factors import DIVERSITY, track_key
from firstchair.publication.layout import UNKNOWN_USER

# Arrays by file name.
Files: TypeAlias = dict[str, npt.NDArray[Any]]


def folding_versions(
    registry: Registry, as_of: date, roles: Mapping[str, Version]
) -> dict[str, Version]:
    """The ALS versions to publish factors of, by number; the one for unknown users is first."""
    newest = registry.newest(as_of).get(Family.ALS)
    preferred = [roles["champion"], *([newest] if newest else []), *roles.values()]
    by_als = [version for version in preferred if version.family == Family.ALS]
    shown = [version for version in roles.values() if version.family == Family.ALS]
    return {version.version: version for version in [*by_als[:1], *shown]}


def folding_files(
    lake: Lake,
    registry: Registry,
    *,
    as_of: date,
    versions: Mapping[str, Version],
    keys: npt.NDArray[np.void],
    artists: npt.NDArray[np.str_],
    diversity: float = 0.0,
) -> tuple[Files, dict[str, Any] | None]:
    """Arrays by file name, and their part of the manifest.

    They are empty and None where the day has no model or no matrix: without a row there is nothing
    to add signals to.

    Args:
        lake: Holds gold/interactions.
        registry: Holds the models.
        as_of: Day of the lists.
        versions: As `folding_versions` gives them.
        keys: V16 (users,), ascending: 16 bytes of key each.
        artists: The catalogue, ascending.
        diversity: Weight of unlike genres in the order of lists, 0..1.
    """
    if not versions or as_of not in lake.partitions(t.INTERACTIONS):
        return {}, None
    files = _rows(lake, as_of, keys, artists) | _tracks(lake)
    models: dict[str, dict[str, float]] = {}
    redirects = redirects_of(lake)
    for number, version in versions.items():
        model = registry.load(version)
        assert isinstance(model, ALS), f"version {number} is tagged {version.family}"
        stem = f"als.{number}"
        arrays, models[number] = factor_files(model, artists, redirects=redirects, stem=stem)
        files |= arrays
    facts = {"models": models, UNKNOWN_USER: next(iter(versions))}
    if diversity:
        found = Diversity.of(diversity, _genres(lake, artists))
        files |= {"genre.offsets.npy": found.offsets, "genre.numbers.npy": found.numbers}
        facts |= {DIVERSITY: {"weight": diversity, "genres": found.genres}}
    return files, facts


def _genres(lake: Lake, artists: npt.NDArray[np.str_]) -> list[Any]:
    """The genres of each artist of a catalogue; None for one that silver/artists does not hold."""
    rows = lake.read(t.ARTISTS).select(["artist_id", "genres"])
    known = dict(zip(*(column.to_pylist() for column in rows.columns), strict=True))
    return [known.get(artist) for artist in artists.tolist()]


def factor_files(
    model: ALS, artists: npt.NDArray[np.str_], *, redirects: Mapping[str, str], stem: str
) -> tuple[Files, dict[str, float]]:
    """Arrays by file name of an ALS for all artists of the catalogue; their part of the manifest.

    Args:
        model: The fitted model.
        artists: The catalogue, ascending.
        redirects: Current artist by merged artist.
        stem: Beginning of the names of the files.
    """
    place, kept = places(artists, current_ids(model.artist_ids, redirects))
    vectors = np.zeros((len(artists), model.factors), dtype=np.float32)
    vectors[place[kept]] = model.artist_factors[kept]
    longest = max(float(np.linalg.norm(model.artist_factors, axis=1).max(initial=0)), 1e-12)
    files: Files = {
        f"{stem}.vectors.npy": vectors,
        f"{stem}.gram.npy": model.gram,
        f"{stem}.unknown.npy": np.setdiff1d(np.arange(len(artists)), place[kept]),
    }
    return files, {"alpha": model.alpha, "longest": longest}


def _rows(
    lake: Lake, as_of: date, keys: npt.NDArray[np.void], artists: npt.NDArray[np.str_]
) -> Files:
    """The users' rows as arrays of a CSR matrix."""
    with connect() as connection:
        connection.register(
            "users",
            pa.table({"user_key": [key.hex() for key in keys.tolist()], "n": range(len(keys))}),
        )
        connection.register("artists", pa.table({"artist_id": artists, "n": range(len(artists))}))
        pairs = connection.sql(f"""
            select users.n as user, artists.n as artist,
                   if(preference > 0, confidence, -confidence) as signed
            from (select * from {lake.scan(t.INTERACTIONS)} where as_of = date '{as_of}')
            join users using (user_key) join artists using (artist_id) order by users.n, artists.n
        """).to_arrow_table()
    liked = np.bincount(pairs.column("user").to_numpy(), minlength=len(keys))
    return {
        "row.offsets.npy": np.concatenate([[0], np.cumsum(liked)]).astype(np.int64),
        "row.artists.npy": pairs.column("artist").to_numpy().astype(np.int32),
        "row.confidence.npy": pairs.column("signed").to_numpy().astype(np.float32),
    }


def places(
    labels: npt.NDArray[Any], wanted: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Place of each in ascending `labels`, and whether it is there at all."""
    place = np.searchsorted(labels, wanted)
    found = place < len(labels)
    found[found] = labels[place[found]] == wanted[found]
    return place, found


def _tracks(lake: Lake) -> Files:
    """Lengths of the tracks of the catalogue, by key."""
    with connect() as connection:
        known = connection.sql(
            f"select track_id, max(duration_ms) as ms from {lake.scan(t.TRACKS)} "
            "where duration_ms > 0 group by all"
        ).to_arrow_table()
    track_keys = np.array(
        [track_key(track) for track in known.column("track_id").to_pylist()], dtype=np.uint64
    )
    order = np.argsort(track_keys)
    lengths = known.column("ms").to_numpy().astype(np.int32)
    return {"track.keys.npy": track_keys[order], "track.ms.npy": lengths[order]}
