"""The largest inner products of each user with all artists: exact, in tiles that fit the cache."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from firstchair.models.protocol import Lists
from firstchair.models.selection import Floats

Doubles = npt.NDArray[np.float64]

# Users and artists of a tile: 256 x 4,096 products in float32 are 4 MB.
USERS_AT_ONCE, TILE = 256, 4_096
# Products that are first compared by their maximum: columns as far apart as there are groups.
GROUP = 32
GROUPS = TILE // GROUP


@dataclass(frozen=True, slots=True)
class Artists:
    """Artists' vectors as `best_products` reads them, longest first.

    vectors: float32 (artists, dimensions), of length 1 at most. columns: int64 (artists,), the
    column that each has in the lists. longest: float32 (tiles,), length of the first of each tile.
    """

    vectors: Floats
    columns: npt.NDArray[np.int64]
    longest: Floats

    @classmethod
    def of(cls, vectors: Floats, columns: npt.NDArray[np.int64]) -> "Artists":
        """Put them in order; a negative column leaves its artist out."""
        kept = np.flatnonzero(columns >= 0)
        lengths = np.linalg.norm(vectors[kept], axis=1)
        order = kept[np.argsort(-lengths, kind="stable")]
        longest = np.sort(lengths)[::-1][::TILE]
        return cls(np.ascontiguousarray(vectors[order]), columns[order], longest)


def best_products(
    users: Floats, artists: Artists, taken: sparse.csr_matrix, k: int, *, decimals: int
) -> Lists:
    """The `k` largest u.v of each user, rounded, what the user has taken left out.

    Tiles are multiplied in float32, the longest artists first. What could be among the best is kept
    by a bound of each user that rises from tile to tile, and users whom no artist of a tile can
    reach (u.v <= |u||v|) do not take part in it. What is kept is multiplied again in float64, so
    lists and scores do not depend on which users are asked for together.

    Args:
        users: float32 (n, dimensions), of length 1 at most.
        artists: All that can be listed.
        taken: CSR (n, columns), what is left out.
        k: Length of the lists; shorter ones are filled with -1.
        decimals: To which products are rounded; equal ones stand in column order.

    Returns:
        Lists with products in -1..1, descending.
    """
    lists = Lists(
        np.full((len(users), k), -1, dtype=np.int32), np.zeros((len(users), k), dtype=np.float32)
    )
    for start in range(0, len(users), USERS_AT_ONCE):
        part = slice(start, start + USERS_AT_ONCE)
        row, number = _worth_computing(users[part], artists, taken[part], k, decimals)
        lists.artists[part], lists.scores[part] = _ordered(
            users[part], artists, row, number, k, decimals
        )
    return lists


def _worth_computing(
    users: Floats, artists: Artists, taken: sparse.csr_matrix, k: int, decimals: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """User and artist of each product that may be among the best: a superset, little larger."""
    lengths = np.linalg.norm(users, axis=1)
    # Float32 products are within this of the exact ones (Higham 2002, section 3.1), and products
    # that differ by less than the last decimal are equal.
    slack = 2 * (users.shape[1] * np.finfo(np.float32).eps + 10.0**-decimals)
    bounds = np.full(len(users), -np.inf, dtype=np.float32)
    maxima = np.full((len(users), k), -np.inf, dtype=np.float32)
    is_taken = _Taken(artists, taken)
    found: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]] = []
    buffer = np.empty((len(users), TILE), dtype=np.float32)
    for tile, longest in enumerate(artists.longest):
        asked = np.flatnonzero(longest * lengths * (1 + slack) >= bounds)
        if not len(asked):
            break
        vectors = artists.vectors[tile * TILE : (tile + 1) * TILE]
        products = buffer[: len(asked)]
        np.matmul(users[asked], vectors.T, out=products[:, : len(vectors)])
        products[:, len(vectors) :] = -np.inf
        is_taken.leave_out(products, asked, tile)
        grouped = products.reshape(len(asked), GROUP, GROUPS)
        largest = grouped.max(axis=1)
        maxima[asked] = np.partition(np.hstack([maxima[asked], largest]), GROUPS, axis=1)[:, -k:]
        bounds[asked] = maxima[asked].min(axis=1) - slack
        near, group = np.nonzero(largest >= bounds[asked][:, None])
        inside = grouped[near, :, group]
        place, member = np.nonzero((inside >= bounds[asked][near][:, None]) & (inside > -np.inf))
        number = tile * TILE + member * GROUPS + group[place]
        found.append((asked[near[place]], number, inside[place, member]))
    row, number, product = (np.concatenate(parts) for parts in zip(*found, strict=True))
    kept = product >= bounds[row]
    return row[kept], number[kept]


class _Taken:
    """What users have taken, by tile."""

    def __init__(self, artists: Artists, taken: sparse.csr_matrix) -> None:
        numbers = np.full(max(taken.shape[1], artists.columns.max(initial=-1) + 1), -1)
        numbers[artists.columns] = np.arange(len(artists.columns))
        row = np.repeat(np.arange(taken.shape[0]), np.diff(taken.indptr))
        number = numbers[taken.indices]
        order = np.argsort(number, kind="stable")
        order = order[np.searchsorted(number[order], 0) :]
        self.row, self.number, self.users = row[order], number[order], taken.shape[0]

    def leave_out(self, products: Floats, asked: npt.NDArray[np.int64], tile: int) -> None:
        """Put -inf in place of what the `asked` users have taken of the tile."""
        first, end = np.searchsorted(self.number, [tile * TILE, (tile + 1) * TILE])
        place = np.full(self.users, -1)
        place[asked] = np.arange(len(asked))
        row = place[self.row[first:end]]
        number = self.number[first:end] - tile * TILE
        products[row[row >= 0], number[row >= 0]] = -np.inf


def _ordered(
    users: Floats,
    artists: Artists,
    row: npt.NDArray[np.int64],
    number: npt.NDArray[np.int64],
    k: int,
    decimals: int,
) -> tuple[npt.NDArray[np.int32], Floats]:
    """The `k` best of each user by their exact products."""
    left, right = users[row].astype(np.float64), artists.vectors[number].astype(np.float64)
    exact = np.clip(np.round(np.einsum("ij,ij->i", left, right), decimals), -1, 1)
    product, column = exact.astype(np.float32), artists.columns[number]
    order = np.lexsort((column, -product, row))
    row, column, product = row[order], column[order], product[order]
    slot = np.arange(len(row)) - np.searchsorted(row, np.arange(len(users)))[row]
    kept = slot < k
    listed = np.full((len(users), k), -1, dtype=np.int32)
    products = np.zeros((len(users), k), dtype=np.float32)
    listed[row[kept], slot[kept]] = column[kept]
    products[row[kept], slot[kept]] = product[kept]
    return listed, products
