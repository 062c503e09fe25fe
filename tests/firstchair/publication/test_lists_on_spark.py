"""Lists that Spark's executors make are those of one process, to the last bit."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from firstchair import models
from firstchair.lake import Lake, SparkSettings, java_version
from firstchair.lake import tables as t
from firstchair.models import Family, Recommender, load_training_data
from firstchair.publication import add_lists
from firstchair.publication import listing as blockwise
from firstchair.publication.listing import Listed, Listing, Maker, opened_maker
from tests.firstchair.executors import executors, killed_at_work
from tests.firstchair.features.wild import AS_OF, fill
from tests.firstchair.models.toys import USERS, checkerboard

pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
pytestmark = pytest.mark.skipif(java_version() is None, reason="Spark needs Java")

BLOCKS, LENGTH = 3, 8


@contextmanager
def opened(spark: SparkSettings, blocks: int) -> Iterator[tuple[Maker, Maker]]:
    """Makers of this process and of Spark, for the same users in so many blocks."""
    listing = replace(Listing.of(checkerboard(), LENGTH, 0.4), users_at_once=-(-USERS // blocks))
    lakes = Lake("nowhere"), Lake("nowhere", engine="spark", spark=spark)
    with opened_maker(lakes[0], listing) as here, opened_maker(lakes[1], listing) as there:
        yield here, there


@pytest.fixture(scope="module")
def makers(two_workers: SparkSettings) -> Iterator[tuple[Maker, Maker]]:
    with opened(two_workers, BLOCKS) as found:
        yield found


def loader(model: Recommender) -> Callable[[], Recommender]:
    return lambda: model


def assert_same(found: list[Listed], expected: list[Listed]) -> None:
    for one, other in zip(found, expected, strict=True):
        for mine, yours in (
            (one.rows, other.rows),
            (one.lists.artists, other.lists.artists),
            (one.lists.scores, other.lists.scores),
            (one.reasons, other.reasons),
        ):
            assert mine.dtype == yours.dtype
            np.testing.assert_array_equal(mine, yours)


@pytest.mark.parametrize("family", Family)
def test_each_family_gives_the_lists_of_one_process(
    family: Family, fitted: dict[Family, Recommender], makers: tuple[Maker, Maker]
) -> None:
    expected, found = (list(made(loader(fitted[family]))) for made in makers)

    assert_same(found, expected)
    assert [len(block.rows) for block in found] == [USERS / BLOCKS] * BLOCKS
    assert all((block.lists.artists[:, 0] >= 0).all() for block in found)


def test_an_executor_killed_while_it_makes_lists_changes_none(
    fitted: dict[Family, Recommender], two_workers: SparkSettings
) -> None:
    load = loader(fitted[Family.XGBOOST])

    with opened(two_workers, USERS // 3) as (here, there):
        killed, made = killed_at_work(lambda: there(load))
        found, expected = list(made), list(here(load))

    assert killed not in executors()
    assert_same(found, expected)


def test_the_tables_are_those_of_one_process(
    tmp_path: Path, two_workers: SparkSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lakes = Lake(str(tmp_path / "a")), Lake(str(tmp_path / "b"), engine="spark", spark=two_workers)
    monkeypatch.setattr(blockwise, "USERS_AT_ONCE", 4)
    fill(lakes[0])
    data = load_training_data(lakes[0], as_of=AS_OF)
    fitted = {
        str(number): models.fit(family, data, seed=1)
        for number, family in enumerate((Family.ALS, Family.TRENDING), 1)
    }
    versions: Any = [
        SimpleNamespace(version=version, family=model.family) for version, model in fitted.items()
    ]
    registry: Any = SimpleNamespace(load=lambda version: fitted[version.version])
    fill(lakes[1])
    staged = set(two_workers.scratch.glob("staged-*"))

    for lake in lakes:
        add_lists(lake, registry, versions, as_of=AS_OF, list_length=LENGTH)

    for table in (t.RECOMMENDATIONS, t.LIST_EXPOSURE):
        expected, found = (lake.read(table) for lake in lakes)
        order = partial(by_key, table)
        assert order(found).equals(order(expected))
        assert expected.num_rows
        assert lakes[1].version(table) == lakes[0].version(table)
    assert set(two_workers.scratch.glob("staged-*")) == staged


def by_key(table: t.Table, rows: Any) -> Any:
    names = [
        name for name in ("user_key", "model_version", "position") if name in table.schema.names
    ]
    return rows.sort_by([(name, "ascending") for name in names])
