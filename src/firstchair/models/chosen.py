"""Settings that studies chose: a JSON file for each data set, with the figures of its study."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from firstchair.definitions.families import Family
from firstchair.errors import ModelError
from firstchair.models.families import FAMILIES

PLATFORM = "platform"


def chosen_settings(family: Family, *, data: str = PLATFORM) -> dict[str, Any]:
    """Settings that the study on `data` chose for a family, as arguments of its class.

    They are empty for a family that has no settings to choose.

    Raises:
        ModelError: There is no study of that data.
    """
    studied = _document(data)["families"]
    return assembled(family, {Family(name): study["settings"] for name, study in studied.items()})


def assembled(family: Family, parts: Mapping[Family, Mapping[str, Any]]) -> dict[str, Any]:
    """Arguments of the family's class from the settings of the tuned families."""
    of_parts = {part.replace("-", "_"): dict(parts[part]) for part in FAMILIES[family].parts}
    return of_parts | dict(parts.get(family, {}))


def data_of(fingerprint: str) -> str | None:
    """Name of the studied data set with that fingerprint of its training data; None without one."""
    return next(
        (name for name, found in _documents().items() if found["fingerprint"] == fingerprint), None
    )


def alternatives(family: Family) -> tuple[dict[str, Any], ...]:
    """Settings that studies chose for a tuned family, each once: tried on data without a study."""
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
