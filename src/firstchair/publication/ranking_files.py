"""Write the files that re-ranking needs: rankers, and the day's data of users and artists."""

import shutil
from collections.abc import Collection, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firstchair.lake import Lake
from firstchair.models import Family, TrainingData, load_training_data
from firstchair.models.ranker import Ranker
from firstchair.models.ranker_features import day_features
from firstchair.models.trending import CELLS
from firstchair.promotion import Registry, Version
from firstchair.publication.folding_files import Files, factor_files, places

# A larger model is not published: each worker holds a copy, and a login would wait for it too long.
MOST_BYTES = 64 << 20


def ranking_versions(roles: Mapping[str, Version], shown: Collection[str]) -> dict[str, Version]:
    """The rankers to publish, by registered number: those whose lists are shown to users.

    Args:
        roles: Version by role.
        shown: Roles that have users.
    """
    of_users = (version for role, version in roles.items() if role in shown)
    return {version.version: version for version in of_users if version.family == Family.XGBOOST}


def write_rankers(
    lake: Lake,
    registry: Registry,
    folder: Path,
    *,
    as_of: date,
    versions: Mapping[str, Version],
    keys: npt.NDArray[np.void],
    artists: npt.NDArray[np.str_],
) -> dict[str, Any]:
    """Write each ranker and its arrays; return their part of the manifest, by number.

    A ranker of more than `MOST_BYTES` is left out; its users keep their published lists.

    Args:
        lake: Holds the tables that the day's features are made of.
        registry: Holds the models.
        folder: Existing folder for the files.
        as_of: Day of the lists.
        versions: As `ranking_versions` gives them.
        keys: V16 (users,), ascending: 16 bytes of key each.
        artists: The catalogue, ascending.
    """
    if not versions:
        return {}
    data = load_training_data(lake, as_of=as_of, labels=False)
    facts: dict[str, Any] = {}
    for number, version in versions.items():
        model = registry.load(version)
        assert isinstance(model, Ranker), f"version {number} is tagged {version.family}"
        model.sources.rename(data.redirects)
        model.sources.models["trending"] = model.sources["trending"].counted(data)
        model.save(folder / f"ranker.{number}")
        if _bytes(folder / f"ranker.{number}") > MOST_BYTES:
            shutil.rmtree(folder / f"ranker.{number}")
            continue
        files, facts[number] = ranker_files(model, data, keys, artists, stem=f"ranker.{number}")
        for name, array in files.items():
            np.save(folder / name, array)
    return facts


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def ranker_files(
    model: Ranker,
    data: TrainingData,
    keys: npt.NDArray[np.void],
    artists: npt.NDArray[np.str_],
    *,
    stem: str,
) -> tuple[Files, dict[str, Any]]:
    """Arrays of a ranker by file name, and their part of the manifest.

    Args:
        model: The fitted model.
        data: The data of the day.
        keys: V16 (users,), the published users.
        artists: The catalogue, ascending.
        stem: Beginning of the names of the files.
    """
    day = day_features(model.sources, data)
    user, known = places(data.user_keys, np.array([key.hex() for key in keys.tolist()], dtype=str))
    column, listed = places(data.artist_ids, artists)
    user, column = np.where(known, user, -1), np.where(listed, column, -1)
    als = model.sources["als"]
    files, facts = factor_files(als, artists, redirects=data.redirects, stem=stem)
    files[f"{stem}.users.npy"] = _padded(day.users, np.nan)[user]
    files[f"{stem}.artists.npy"] = _padded(day.artists, np.nan)[column]
    cells = np.column_stack([cell for cell, _ in day.lifts])
    nowhere = [len(named) for named in day.cells]
    files[f"{stem}.cells.npy"] = np.vstack([cells, nowhere])[user]
    for name, (_, lift) in zip(CELLS, day.lifts, strict=True):
        files[f"{stem}.lift.{name}.npy"] = np.ascontiguousarray(_padded(lift.T, 0)[column].T)
    # Pairs, because the manifest sorts the names of an object.
    return files, {**facts, "cells": list(zip(CELLS, day.cells, strict=True))}


def _padded(rows: npt.NDArray[np.float32], value: float) -> npt.NDArray[np.float32]:
    """The rows and one more, filled with `value`, for users or artists without data of the day."""
    return np.vstack([rows, np.full((1, rows.shape[1]), value, dtype=np.float32)])
