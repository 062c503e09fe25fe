"""Yambda's published evaluation: its split by hand, its metrics by hand, and the command."""

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import sparse
from typer.testing import CliRunner

from firstchair.cli import app
from firstchair.errors import EvidenceError
from firstchair.evaluation.yambda import Targets, published_metrics, read_yambda

# 26,000,000 seconds in all, of which the last day is the test, after a gap of half an hour.
TEST, GAP, DAY = 25_913_600, 1_800, 86_400
TRAIN = 1_000


def listens(path: Path, rows: Iterable[Sequence[int]]) -> Path:
    """A file of the flat layout: uid, timestamp, item_id, played_ratio_pct."""
    names = ("uid", "timestamp", "item_id", "played_ratio_pct")
    columns = [pa.array(column, pa.uint32()) for column in zip(*rows, strict=True)]
    pq.write_table(pa.table(columns, names=names), path)
    return path


def test_the_last_day_is_predicted_for_users_that_are_known_half_an_hour_before(
    tmp_path: Path,
) -> None:
    rows = [
        (1, TRAIN, 10, 100),
        (1, TRAIN, 11, 49),  # less than half of it was heard
        (2, TRAIN, 11, 50),
        (1, TEST - GAP - 1, 12, 100),  # also the day that chooses settings
        (1, TEST - GAP, 13, 100),  # in the gap
        (3, TEST - 1, 10, 100),  # in the gap
        (1, TEST, 11, 100),
        (1, TEST + DAY - 1, 11, 100),  # again
        (1, TEST, 14, 100),  # an item that training does not know
        (3, TEST, 10, 100),  # a user whom training does not know
        (2, TEST, 14, 49),
    ]

    split = read_yambda(listens(tmp_path / "listens.parquet", rows))

    assert [int(user) for user in split.train.user_keys] == [1, 2]
    assert [int(item) for item in split.train.artist_ids] == [10, 11, 12]
    assert split.train.confidence.toarray().tolist() == [[1, 0, 1], [0, 1, 0]]
    assert split.test.items.toarray().tolist() == [[0, 1, 0], [0, 0, 0]]
    assert split.test.wanted.tolist() == [3, 0]
    assert split.validation.items.toarray().tolist() == [[0, 0, 1], [0, 0, 0]]
    assert split.events == {"train": 3, "validation": 1, "test": 4}
    labelled = split.train.labelled
    assert labelled is not None
    assert labelled.data.confidence.toarray().tolist() == [[1, 0, 0], [0, 1, 0]]


def test_the_published_metrics_count_repetitions_and_divide_mean_by_mean() -> None:
    lists = np.array([[0, 1, 2], [3, 0, -1], [1, 2, 0]], dtype=np.int32)
    items = sparse.csr_matrix([[1.0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]], dtype=np.float32)
    # The first user wants two items in five events, one of them twice and one unknown.
    targets = Targets(items, np.array([5, 1, 0]))

    found = published_metrics(lists, targets, (2, 3))

    second, third = 1 / math.log2(3), 1 / math.log2(4)
    assert found == pytest.approx(
        {
            "recall_at_2": (1 / 5 + 1) / 2,
            "dcg_at_2": (1 + second) / 2,
            "ndcg_at_2": (1 + second) / (1 + second + 1),
            "coverage_at_2": 4 / 4,
            "recall_at_3": (2 / 5 + 1) / 2,
            "dcg_at_3": (1 + third + second) / 2,
            "ndcg_at_3": (1 + third + second) / (1 + second + third + 1),
            "coverage_at_3": 4 / 4,
        }
    )


def by_taste(path: Path) -> Path:
    """Users of two tastes over 300 items each, who take two new items of theirs on the last day."""
    draw = np.random.default_rng(1)
    rows = [
        (user, at, user % 2 + 2 * int(item), 100)
        for user in range(60)
        for at, count in ((TRAIN, 60), (TEST - GAP - DAY, 2), (TEST, 2))
        for item in draw.choice(300, count, replace=False)
    ]
    return listens(path, rows)


@pytest.mark.parametrize("model", ["item-item", "popularity"])
def test_the_command_prints_the_published_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.setenv("FIRSTCHAIR_HOME", str(tmp_path))
    file = by_taste(tmp_path / "listens.parquet")
    options = ["--protocol", "yambda", "--data", str(file), "--model", model]

    result = CliRunner().invoke(app, ["evaluate", *options, "--json"])
    drawn = CliRunner().invoke(app, ["evaluate", *options])

    assert (result.exit_code, drawn.exit_code) == (0, 0), result.output
    found = json.loads(result.stdout)
    assert (found["protocol"], found["users"], found["train_users"]) == ("yambda", 60, 60)
    chosen = {"item-item": "the day before the test", "popularity": "nothing to choose"}
    assert found["chosen_by"] == chosen[model]
    names = {f"{name}_at_{k}" for name in ("recall", "dcg", "ndcg", "coverage") for k in (10, 100)}
    assert names <= set(found)
    # By taste, 100 items of 300 hold a third of what is wanted; the most popular 100 a sixth.
    assert (found["recall_at_100"] > 0.25) == (model == "item-item")
    assert "by the protocol of" in drawn.stdout


def test_what_a_protocol_cannot_use_is_named(tmp_path: Path) -> None:
    early = listens(tmp_path / "early.parquet", [(1, TRAIN, 10, 100)])
    (tmp_path / "text.parquet").write_text("no parquet")
    pq.write_table(pa.table({"uid": [1]}), tmp_path / "less.parquet")

    with pytest.raises(EvidenceError, match="no event for validation and test"):
        read_yambda(early)
    with pytest.raises(EvidenceError, match=r"text\.parquet is no file of Yambda"):
        read_yambda(tmp_path / "text.parquet")
    with pytest.raises(EvidenceError, match="no column timestamp, item_id"):
        read_yambda(tmp_path / "less.parquet")
    for options in (["--protocol", "yambda"], ["--data", str(early)], []):
        assert CliRunner().invoke(app, ["evaluate", *options]).exit_code == 2
