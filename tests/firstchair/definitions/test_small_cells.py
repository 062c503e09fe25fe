"""No sum and no difference of what is published is about a few users."""

from itertools import product

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from firstchair.definitions.segments import ALL, OTHER
from firstchair.definitions.small_cells import published_cells
from firstchair.lake import connect

K = 20
VERSIONS, VALUES = ("1", "2", "3"), ("AR", "BR", "CL", OTHER)
# Users of each value (row) by version (column), who are in one of each.
Users = tuple[tuple[int, ...], ...]
Names = dict[tuple[str, str, str], str | None]


def published(*tables: Users) -> list[Names]:
    """Name by segment, value and version, of each table."""
    segment = "country"
    rows = []
    for day, table in enumerate(tables):
        counts = {
            (segment, value, version): users
            for (value, row) in zip(VALUES, table, strict=False)
            for version, users in zip(VERSIONS, row, strict=False)
            if users
        }
        for (_, value, version), users in list(counts.items()):
            for key in ((segment, value, ALL), (ALL, ALL, version), (ALL, ALL, ALL)):
                counts[key] = counts.get(key, 0) + users
        rows += [(day, *key, users) for key, users in counts.items()]
    names = ("day", "segment", "segment_value", "model_version", "users")
    with connect() as connection:
        connection.register(
            "cells", pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
        )
        query = published_cells("cells", group="day", k_anonymity=K)
        found = connection.execute(f"from {query}").fetchall()
    assert len(found) == len(rows)
    return [
        {(s, value, version): name for of, s, value, version, name in found if of == day}
        for day in range(len(tables))
    ]


def sums(names: Names, table: Users) -> np.ndarray:
    """What is published as sums over the cells of a table, a row each, float (n, cells).

    A cell that is missing where others of its value and version are published is known to be empty.
    """
    cells = list(product(range(len(table)), range(len(table[0]))))
    place = {cell: number for number, cell in enumerate(cells)}
    rows: dict[tuple[str, str, str], set[int]] = {}
    shown = {version for s, _, version in names if s == ALL and names[s, ALL, version]}
    named = {name for (s, _, v), name in names.items() if ALL not in {s, v} and name}
    for row, column in cells:
        value, version = VALUES[row], VERSIONS[column]
        number = place[row, column]
        for v in shown & {version, ALL}:
            rows.setdefault((ALL, ALL, v), set()).add(number)
        if name := names.get(("country", value, ALL)):
            rows.setdefault(("country", name, ALL), set()).add(number)
        if version in shown:
            under = value if value in named and value != OTHER else OTHER
            rows.setdefault(("country", under, version), set()).add(number)
    matrix = np.zeros((len(rows), len(cells)))
    for index, members in enumerate(rows.values()):
        matrix[index, list(members)] = 1
    return matrix


def told(matrix: np.ndarray) -> np.ndarray:
    """Every set of cells whose sum follows from the published sums, bool (n, cells)."""
    cells = matrix.shape[1]
    sets = (np.arange(1, 2**cells)[:, None] >> np.arange(cells)) & 1
    onto = np.linalg.pinv(matrix) @ matrix if len(matrix) else np.zeros((cells, cells))
    return sets[np.abs(sets @ onto - sets).max(axis=1) < 1e-6].astype(bool)


SIZES = st.one_of(st.sampled_from([0, 1, 19, 20, 21]), st.integers(0, 60), st.just(200))
TABLES = st.integers(1, 3).flatmap(
    lambda versions: st.lists(
        st.tuples(*[SIZES] * versions), min_size=1, max_size=4 if versions < 3 else 3
    ).map(tuple)
).filter(lambda table: any(map(any, table)))  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(tables=st.lists(TABLES, min_size=4, max_size=8))
@example(tables=[((200, 3), (100, 0), (30, 20))])
@example(tables=[((60, 25, 3), (60, 19, 0), (60, 40, 0))])
@example(tables=[((25, 0, 3), (25, 25, 0), (0, 3, 25))])
def test_no_published_sum_or_difference_is_about_a_few_users(tables: list[Users]) -> None:
    for table, names in zip(tables, published(*tables), strict=True):
        users = np.array(table).ravel()
        together = told(sums(names, table)) @ users
        assert not ((together > 0) & (together < K)).any()


@pytest.mark.parametrize(
    ("table", "kept"),
    [
        # Everything is large enough.
        (((50, 30), (40, 20)), {"AR": "AR", "BR": "BR"}),
        # The smallest value takes the next one with it, in every version.
        (((50, 30), (40, 25), (30, 5)), {"AR": "AR", "BR": OTHER, "CL": OTHER}),
        # A value that one version does not have at all is no small one.
        (((50, 0), (40, 25)), {"AR": "AR", "BR": "BR"}),
    ],
)
def test_by_version_large_values_keep_their_names(table: Users, kept: dict[str, str]) -> None:
    [names] = published(table)

    by_version = {(v, m): name for (s, v, m), name in names.items() if ALL not in {s, m}}
    assert by_version == {(v, m): kept[v] for v, m in by_version}
    assert all(names["country", value, ALL] == value for value in kept)


def test_a_small_version_is_hidden_with_the_next_larger_one() -> None:
    [names] = published(((100, 30, 3), (100, 30, 2)))

    of_all = {m: names[ALL, ALL, m] for m in (*VERSIONS, ALL)}
    assert of_all == {"1": ALL, "2": None, "3": None, ALL: ALL}
    assert names["country", "AR", "2"] is None
    assert names["country", "AR", "1"] == "AR"


def test_a_few_users_in_all_are_not_published_at_all() -> None:
    [names] = published(((10, 9),))

    assert set(names.values()) == {None}


def test_tiers_and_versions_that_the_same_few_users_saw_are_not_large_together() -> None:
    cells = [
        *(("all", "all", version, 30) for version in ("all", "1")),
        *(("all", "all", version, 12) for version in ("2", "3")),
        *(("follower_tier", tier, "all", 12) for tier in ("<0.1", "1-10", ">10")),
    ]
    names = ("segment", "segment_value", "model_version", "users")
    with connect() as connection:
        columns = dict(zip(names, map(list, zip(*cells, strict=True)), strict=True))
        connection.register("cells", pa.table(columns | {"day": [1] * len(cells)}))
        query = published_cells("cells", group="day", k_anonymity=K)
        found = connection.execute(f"from {query} where published is not null").fetchall()

    assert found == [(1, "all", "all", "all", "all")]
