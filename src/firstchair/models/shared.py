"""Fits that several families share: each component is fitted once on the same data."""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar, cast

import numpy as np

from firstchair.models.protocol import TrainingData

# Larger models are fitted again: those of one data together must not fill the memory.
LARGEST_BYTES = 32 << 20


class Component(Protocol):
    """A model that depends on its settings, the data without labels, and the seed alone."""

    def fit(self, data: TrainingData, *, seed: int) -> Self:
        """Fit on `data`."""

    def parameters(self) -> dict[str, float | int | str]:
        """The settings it is fitted with."""


C = TypeVar("C", bound=Component)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A fitted model, and the parts of the data that it was fitted on."""

    model: Any
    read: tuple[Any, ...]


def fitted(
    model: type[C], data: TrainingData, *, seed: int, settings: Mapping[str, Any] | None = None
) -> C:
    """Fit a component on `data`, or copy the fit that was made with these settings and this seed.

    Fits live as long as the data. A copy shares the arrays, which no model changes.

    Args:
        model: The component's class.
        data: The training data; its labels are not used.
        seed: Seed of everything random.
        settings: Arguments of the class.
    """
    unfitted = model(**(settings or {}))
    key = (model, seed, *unfitted.parameters().items())
    read = (
        *(data.confidence, data.users, data.artists, data.artist_ids, data.recent),
        *(data.as_of, data.als_on),
    )
    kept: _Kept | None = data.fits.get(key)
    # Data that were made of others by `replace` hold the same fits and may differ in a part.
    if kept is not None and all(a is b for a, b in zip(kept.read, read, strict=True)):
        return cast("C", copy(kept.model))
    found = unfitted.fit(data, seed=seed)
    if _bytes(found) <= LARGEST_BYTES:
        data.fits[key] = _Kept(copy(found), read)
    return found


def _bytes(model: object) -> int:
    """Size of the arrays of a model."""
    held = vars(model)
    arrays = [*held.values(), *held.get("arrays", {}).values()]
    return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))
