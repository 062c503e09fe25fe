"""From what each part adds to a score to sentences and their numbers."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse

from firstchair.models.protocol import NAMED, Explanations
from firstchair.models.selection import Floats

Parts = npt.NDArray[np.int32]
Texts = npt.NDArray[np.object_]


def blank(shape: tuple[int, ...], labels: Sequence[str] | Texts) -> Explanations:
    """Nothing said yet of lists of that shape."""
    return Explanations(
        sentences=np.full(shape, "", dtype=object),
        labels=np.asarray(labels, dtype=object),
        parts=np.full((*shape, NAMED), -1, dtype=np.int32),
        amounts=np.zeros((*shape, NAMED), dtype=np.float32),
    )


def strongest(added: Floats) -> tuple[Parts, Floats]:
    """Of what each part adds to each item, the `NAMED` most.

    Args:
        added: float32 (n_parts, n_items).

    Returns:
        Part numbers, most first and of equal ones the first, -1 where nothing above 0 is left; and their
        amounts: int32 and float32 (n_items, NAMED).
    """
    parts = np.full((added.shape[1], NAMED), -1, dtype=np.int32)
    amounts = np.zeros((added.shape[1], NAMED), dtype=np.float32)
    left = np.array(added, dtype=np.float32, copy=True)
    items = np.arange(added.shape[1])
    for place in range(min(NAMED, len(left))):
        number = np.argmax(left, axis=0)
        value = left[number, items]
        helps = value > 0
        parts[helps, place], amounts[helps, place] = number[helps], value[helps]
        left[number, items] = -np.inf
    return parts, amounts


def strongest_in_rows(added: sparse.csr_matrix) -> tuple[Parts, Floats]:
    """As `strongest`, of the stored entries of each row of a CSR matrix (items, parts)."""
    parts = np.full((added.shape[0], NAMED), -1, dtype=np.int32)
    amounts = np.zeros((added.shape[0], NAMED), dtype=np.float32)
    row = np.repeat(np.arange(added.shape[0]), np.diff(added.indptr))
    order = np.lexsort((added.indices, -added.data, row))
    place = np.arange(len(order)) - added.indptr[row[order]]
    kept = order[(place < NAMED) & (added.data[order] > 0)]
    place = place[(place < NAMED) & (added.data[order] > 0)]
    parts[row[kept], place], amounts[row[kept], place] = added.indices[kept], added.data[kept]
    return parts, amounts


def because_of(parts: Parts, names: Texts) -> list[str]:
    """The sentence for each item: parts int32 (n_items, NAMED), numbers of artists that a user has."""
    found = joined(parts, names)
    return [f"Because you listen to {named}" if named else "Liked by listeners like you" for named in found]


def joined(parts: Parts, labels: Texts) -> list[str]:
    """The named parts of each item as "A and B", "A", or nothing: parts int32 (n_items, NAMED)."""
    return [" and ".join(str(labels[part]) for part in row if part >= 0) for row in parts.tolist()]


def combined(base: Explanations, other: Explanations, chosen: npt.NDArray[np.bool_]) -> Explanations:
    """`base`, and where `chosen`, bool (n_users, k), what `other` says."""
    moved = np.where(other.parts >= 0, other.parts + len(base.labels), -1).astype(np.int32)
    return Explanations(
        sentences=np.where(chosen, other.sentences, base.sentences),
        labels=np.concatenate([base.labels, other.labels]),
        parts=np.where(chosen[..., None], moved, base.parts),
        amounts=np.where(chosen[..., None], other.amounts, base.amounts),
    )
