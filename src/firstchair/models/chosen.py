"""Settings that studies chose, as data: one file a data set, with the study's figures beside them."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from firstchair.errors import ModelError
from firstchair.models.protocol import Family

PLATFORM = "platform"
# Families with settings of their own; those made of parts take the parts'.
TUNED = (Family.ALS, Family.ITEM_ITEM)
MADE_OF_PARTS = (Family.BLEND, Family.XGBOOST)


def chosen_settings(family: Family, *, data: str = PLATFORM) -> dict[str, Any]:
    """What the study on `data` chose for the family, as arguments of its class; {} where nothing is to choose.

    Raises:
        ModelError: There is no study of that data.
    """
    studied = _document(data)["families"]
    return assembled(family, {Family(name): study["settings"] for name, study in studied.items()})


def assembled(family: Family, parts: Mapping[Family, Mapping[str, Any]]) -> dict[str, Any]:
    """Arguments of the family's class from the settings of the tuned families."""
    own = dict(parts.get(family, {}))
    if family in MADE_OF_PARTS:
        return {"als": dict(parts[Family.ALS]), "item_item": dict(parts[Family.ITEM_ITEM]), **own}
    return own


def data_of(fingerprint: str) -> str | None:
    """Name of the data set with that fingerprint of its training data, None where no study knows it."""
    return next(
        (name for name, found in _documents().items() if found["fingerprint"] == fingerprint), None
    )


def alternatives(family: Family) -> tuple[dict[str, Any], ...]:
    """Every setting that some study chose for a tuned family: what is tried on data that no study knows."""
    found = [_document(name)["families"][family]["settings"] for name in sorted(_documents())]
    return tuple(
        settings for number, settings in enumerate(found) if settings not in found[:number]
    )


def _document(data: str) -> dict[str, Any]:
    documents = _documents()
    if data not in documents:
        raise ModelError(
            f"There is no study of {data}; there is one of {', '.join(sorted(documents))}.",
            where="firstchair.models.settings",
            data="No model was fitted.",
            remedy="Name one of these, or add a study.",
        )
    return documents[data]


@cache
def _documents() -> dict[str, dict[str, Any]]:
    folder = files("firstchair.models").joinpath("settings")
    texts = [
        entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".json")
    ]
    return {document["data"]: document for document in map(json.loads, texts)}
