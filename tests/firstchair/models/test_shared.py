"""Components shared by several families are fitted once on the same data; the models are equal."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from firstchair import models
from firstchair.models import Family, TrainingData
from firstchair.models.als import ALS
from firstchair.models.item_item import ItemItem
from tests.firstchair.models.toys import checkerboard

WITH_PARTS = (Family.ALS, Family.ITEM_ITEM, Family.BLEND, Family.XGBOOST)


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, object]]:
    """How often each class was fitted, by its settings and the day of the data."""
    counted: Counter[tuple[str, object]] = Counter()

    def counting(model: type) -> Any:
        fit = model.fit

        def counted_fit(self: Any, data: TrainingData, *, seed: int) -> Any:
            counted[model.__name__, (data.as_of, *self.parameters().items())] += 1
            return fit(self, data, seed=seed)

        return counted_fit

    for model in (ALS, ItemItem):
        monkeypatch.setattr(model, "fit", counting(model))
    return counted


def saved(model: models.Recommender, folder: Path) -> dict[str, bytes]:
    model.save(folder)
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.*"))
    }


def test_families_of_a_day_share_their_parts_and_are_as_if_each_were_fitted_alone(
    fits: Counter[tuple[str, object]], tmp_path: Path
) -> None:
    day = checkerboard()
    together = {
        family: saved(models.fit(family, day, seed=1), tmp_path / "together" / family)
        for family in WITH_PARTS
    }
    fitted_together = Counter(fits)

    alone = {
        family: saved(models.fit(family, checkerboard(), seed=1), tmp_path / "alone" / family)
        for family in WITH_PARTS
    }

    assert together == alone
    assert set(fitted_together.values()) == {1}
    assert {name for name, _ in fitted_together} == {"ALS", "ItemItem"}


def test_other_rows_under_the_same_name_are_fitted_anew(tmp_path: Path) -> None:
    day = checkerboard(labelled=False)
    models.fit(Family.ALS, day, seed=1)

    fewer = replace(day, confidence=day.confidence.multiply(day.confidence > 3).tocsr())
    other = saved(models.fit(Family.ALS, fewer, seed=1), tmp_path / "other")

    assert other == saved(models.fit(Family.ALS, replace(fewer, fits={}), seed=1), tmp_path / "new")
    assert other != saved(models.fit(Family.ALS, day, seed=1), tmp_path / "day")


def test_a_changed_copy_changes_no_other(tmp_path: Path) -> None:
    day = checkerboard(labelled=False)
    before = saved(models.fit(Family.ITEM_ITEM, day, seed=1), tmp_path / "before")

    models.fit(Family.ITEM_ITEM, day, seed=1).artist_ids = day.artist_ids[::-1]

    assert saved(models.fit(Family.ITEM_ITEM, day, seed=1), tmp_path / "after") == before
