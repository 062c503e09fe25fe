"""Models as plain files: arrays as safetensors, the rest as JSON with a format version."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firstchair.errors import ModelError

# Raise it when the content of the files changes; `read` converts older forms or refuses them.
FORMAT = 2


def write(folder: Path, facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write `model.json` and `arrays.safetensors`; the same content gives the same bytes."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    texts = {name: array for name, array in arrays.items() if array.dtype.kind == "U"}
    numbers = {
        name: np.ascontiguousarray(array) for name, array in arrays.items() if name not in texts
    }
    document = {
        "format": FORMAT,
        **facts,
        "texts": {name: array.tolist() for name, array in texts.items()},
    }
    (folder / "model.json").write_text(json.dumps(document, sort_keys=True, ensure_ascii=False))
    save_file(numbers, folder / "arrays.safetensors")


def read(folder: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Read what `write` wrote: facts and arrays.

    Raises:
        ModelError: A file is missing, or of a format that this version does not know.
    """
    from safetensors.numpy import load_file

    try:
        document = json.loads((folder / "model.json").read_text())
        arrays = load_file(folder / "arrays.safetensors")
    except (OSError, ValueError) as error:
        raise ModelError(
            f"The model cannot be read: {error}.",
            where=str(folder),
            data="Lists already published stay as they are.",
            remedy="Register the model anew: `firstchair run` fits what is missing.",
        ) from error
    if document.get("format") != FORMAT:
        raise ModelError(
            f"The model has format {document.get('format')}; this version reads format {FORMAT}.",
            where=str(folder),
            data="Lists already published stay as they are.",
            remedy="Run the firstchair that wrote it, or fit the model anew.",
        )
    texts = {name: np.array(values, dtype=str) for name, values in document.pop("texts").items()}
    return document, {**arrays, **texts}
