"""What a fold-in needs beside the lists, written and mapped: ALS factors, rows of the matrix, lengths of tracks."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firstchair.lake import Lake, connect
from firstchair.lake import tables as t
from firstchair.models import Family
from firstchair.models.als import ALS
from firstchair.promotion import Registry, Version

Floats = npt.NDArray[np.float32]
# Length of a track that the catalogue does not know.
NO_LENGTH = 0


@dataclass(frozen=True, slots=True)
class Factors:
    """One ALS version over the catalogue.

    vectors: float32 (artists, factors), zeros for an artist that the model does not know. unknown: int64, numbers of
    those. gram: float32 (factors, factors), the model's own V'V + regularization I. longest: the largest |v|.
    """

    version: str
    alpha: float
    longest: float
    vectors: Floats
    gram: Floats
    unknown: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Row:
    """A user's row of the matrix: artists int32 (n,), ascending; confidence float32 (n,), < 0 where preference is 0."""

    artists: npt.NDArray[np.int32]
    confidence: Floats


@dataclass(frozen=True, slots=True)
class Folding:
    """Everything for fold-ins of one published version, mapped.

    models: by registered version, those whose lists a role shows and that of `stranger`. stranger: registered
    version that makes the list of a listener without one: the champion where it is of ALS, else the ALS of the day.
    offsets, artists, confidence: the users' rows as CSR. track_keys: uint64, ascending; track_ms: int32, their lengths.
    """

    models: dict[str, Factors]
    stranger: str
    offsets: npt.NDArray[np.int64]
    artists: npt.NDArray[np.int32]
    confidence: Floats
    track_keys: memoryview
    track_ms: memoryview

    def row(self, number: int) -> Row:
        """Row of the user of that number; an empty one for a negative number."""
        start, end = (self.offsets[number], self.offsets[number + 1]) if number >= 0 else (0, 0)
        return Row(self.artists[start:end], self.confidence[start:end])

    def length_ms(self, track_id: str) -> int:
        """Length of a track; `NO_LENGTH` where it is not known."""
        key = _track_key(track_id)
        place = bisect_left(self.track_keys, key)
        found = place < len(self.track_keys) and self.track_keys[place] == key
        return int(self.track_ms[place]) if found else NO_LENGTH


def folding_versions(registry: Registry, as_of: date, roles: Mapping[str, Version]) -> dict[str, Version]:
    """The ALS versions to publish factors of, by registered number, that for strangers first."""
    of_the_day = registry.versions(as_of=as_of, family=Family.ALS)
    preferred = [roles["champion"], *of_the_day[-1:], *roles.values()]
    by_als = [version for version in preferred if version.family == Family.ALS]
    shown = [version for version in roles.values() if version.family == Family.ALS]
    return {version.version: version for version in [*by_als[:1], *shown]}


def folding_files(
    lake: Lake,
    registry: Registry,
    *,
    as_of: date,
    versions: Mapping[str, Version],
    keys: npt.NDArray[Any],
    artists: npt.NDArray[np.str_],
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any] | None]:
    """Arrays by file name and what the manifest says of them.

    Nothing and None where no model or no matrix of the day is there: a row that is not known cannot be added to.

    Args:
        lake: Holds gold/interactions.
        registry: Holds the models.
        as_of: Day of the lists.
        versions: As `folding_versions` gives them.
        keys: S16 (users,), ascending: the users' keys.
        artists: The catalogue, ascending.
    """
    if not versions or as_of not in lake.partitions(t.INTERACTIONS):
        return {}, None
    files = _rows(lake, as_of, keys, artists) | _tracks(lake)
    models: dict[str, dict[str, float]] = {}
    for number, version in versions.items():
        model = registry.load(version)
        assert isinstance(model, ALS), f"version {number} is tagged {version.family}"
        place, kept = _places(artists, model.artist_ids)
        vectors = np.zeros((len(artists), model.factors), dtype=np.float32)
        vectors[place[kept]] = model.artist_factors[kept]
        longest = max(float(np.linalg.norm(model.artist_factors, axis=1).max(initial=0)), 1e-12)
        files |= {
            f"als.{number}.vectors.npy": vectors,
            f"als.{number}.gram.npy": gram_of(model.artist_factors, model.regularization),
            f"als.{number}.unknown.npy": np.setdiff1d(np.arange(len(artists)), place[kept]),
        }
        models[number] = {"alpha": model.alpha, "longest": longest}
    return files, {"models": models, "stranger": next(iter(versions))}


def gram_of(vectors: Floats, regularization: float) -> Floats:
    """V'V + regularization I, with which every listener's solve begins: float32 (factors, factors)."""
    ridge = regularization * np.eye(vectors.shape[1], dtype=np.float32)
    return np.asarray(vectors.T @ vectors + ridge, dtype=np.float32)


def _rows(
    lake: Lake, as_of: date, keys: npt.NDArray[Any], artists: npt.NDArray[np.str_]
) -> dict[str, npt.NDArray[Any]]:
    """The users' rows as CSR."""
    with connect() as connection:
        pairs = connection.sql(
            "select user_key, artist_id, if(preference > 0, confidence, -confidence) as signed "
            f"from {lake.scan(t.INTERACTIONS)} where as_of = date '{as_of}' order by user_key, artist_id"
        ).to_arrow_table()
    own = np.frombuffer(bytes.fromhex("".join(pairs.column("user_key").to_pylist())), dtype="S16")
    user, known_user = _places(keys, own)
    artist, known_artist = _places(artists, np.asarray(pairs.column("artist_id").to_pylist(), dtype=str))
    known = known_user & known_artist
    offsets = np.concatenate([[0], np.cumsum(np.bincount(user[known], minlength=len(keys)))])
    return {
        "row.offsets.npy": offsets.astype(np.int64),
        "row.artists.npy": artist[known].astype(np.int32),
        "row.confidence.npy": pairs.column("signed").to_numpy()[known].astype(np.float32),
    }


def _places(labels: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Place of each in ascending `labels`, and whether it is there at all."""
    place = np.searchsorted(labels, wanted)
    found = place < len(labels)
    found[found] = labels[place[found]] == wanted[found]
    return place, found


def _tracks(lake: Lake) -> dict[str, npt.NDArray[Any]]:
    """Lengths of the tracks of the catalogue, by key."""
    with connect() as connection:
        known = connection.sql(
            f"select track_id, max(duration_ms) as ms from {lake.scan(t.TRACKS)} where duration_ms > 0 group by all"
        ).to_arrow_table()
    track_keys = np.array([_track_key(track) for track in known.column("track_id").to_pylist()], dtype=np.uint64)
    order = np.argsort(track_keys)
    lengths = known.column("ms").to_numpy().astype(np.int32)
    return {"track.keys.npy": track_keys[order], "track.ms.npy": lengths[order]}


def _track_key(track_id: str) -> int:
    return int.from_bytes(blake2b(track_id.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def open_folding(folder: Path, told: Mapping[str, Any] | None) -> Folding | None:
    """Map what `folding_files` gave, from its folder and the manifest's words; None where there was nothing."""
    if told is None:
        return None
    models = {
        version: Factors(
            version,
            facts["alpha"],
            facts["longest"],
            *(_mapped(folder / f"als.{version}.{name}.npy") for name in ("vectors", "gram", "unknown")),
        )
        for version, facts in told["models"].items()
    }
    return Folding(
        models,
        told["stranger"],
        offsets=_mapped(folder / "row.offsets.npy"),
        artists=_mapped(folder / "row.artists.npy"),
        confidence=_mapped(folder / "row.confidence.npy"),
        track_keys=_mapped(folder / "track.keys.npy").data,
        track_ms=_mapped(folder / "track.ms.npy").data,
    )


def _mapped(path: Path) -> npt.NDArray[Any]:
    """An array on disk; its pages are shared by all who map it."""
    return np.asarray(np.load(path, mmap_mode="r"))
