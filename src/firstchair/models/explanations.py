"""Explanations: the parts that add most to a score, as sentences and numbers."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse

from firstchair.models.folding import NAMED, Floats, Parts, Texts
from firstchair.models.protocol import Explanations


def blank(shape: tuple[int, ...], labels: Sequence[str] | Texts) -> Explanations:
    """Empty explanations of lists of that shape."""
    return Explanations(
        sentences=np.full(shape, "", dtype=object),
        labels=np.asarray(labels, dtype=object),
        parts=np.full((*shape, NAMED), -1, dtype=np.int32),
        amounts=np.zeros((*shape, NAMED), dtype=np.float32),
    )


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


def combined(
    base: Explanations, other: Explanations, chosen: npt.NDArray[np.bool_]
) -> Explanations:
    """`base`, replaced by `other` for the items in `chosen`, bool (n_users, k)."""
    moved = np.where(other.parts >= 0, other.parts + len(base.labels), -1).astype(np.int32)
    return Explanations(
        sentences=np.where(chosen, other.sentences, base.sentences),
        labels=np.concatenate([base.labels, other.labels]),
        parts=np.where(chosen[..., None], moved, base.parts),
        amounts=np.where(chosen[..., None], other.amounts, base.amounts),
    )
