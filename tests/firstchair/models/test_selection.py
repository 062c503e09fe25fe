"""Small parts of matrices."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from firstchair.models.selection import block


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(0, 6), columns=st.integers(0, 7))
def test_a_block_holds_the_cells_of_its_rows_and_columns_in_their_order(
    seed: int, rows: int, columns: int
) -> None:
    rng = np.random.default_rng(seed)
    cells = np.where(rng.random((6, 7)) < 0.4, rng.normal(size=(6, 7)), 0).astype(np.float32)
    asked = rng.integers(0, 6, size=rows)
    wanted = rng.permutation(7)[:columns]

    found = block(sparse.csr_matrix(cells), asked, wanted)

    assert found.dtype == np.float32
    assert np.array_equal(found, cells[np.ix_(asked, wanted)])
