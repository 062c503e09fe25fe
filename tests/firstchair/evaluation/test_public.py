"""Public splits: read as they are written, evaluated by full ranking, settings never chosen on the test file."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from firstchair.cli import app
from firstchair.errors import EvidenceError, ModelError
from firstchair.evaluation.public import held_out, read_public_split
from firstchair.evaluation.public_models import evaluate_public
from tests.firstchair.models.toys import checkerboard, withheld

MODELS = ("als", "item-item", "blend", "xgboost", "random", "popularity")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The checkerboard as two files: even users have even items, the withheld one is the test."""
    folder, liked = tmp_path_factory.mktemp("split"), checkerboard(labelled=False).confidence
    train = [f"u{row} " + " ".join(f"i{column}" for column in liked[row].indices) for row in range(liked.shape[0])]
    test = [f"u{row} i{withheld(np.array([row]))[0]}" for row in range(liked.shape[0])]
    paths = folder / "train.txt", folder / "test.txt"
    for path, lines in zip(paths, (train, test), strict=True):
        path.write_text("\n".join(lines) + "\n")
    return paths


def test_users_and_items_of_both_files_make_one_matrix(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("7 a b a\n3 c\n\n")
    (tmp_path / "test.txt").write_text("7 c\n9 d\n")

    split = read_public_split(tmp_path / "train.txt", tmp_path / "test.txt", seed=1)

    assert (split.train.user_keys.tolist(), split.train.artist_ids.tolist()) == (["3", "7", "9"], ["a", "b", "c", "d"])
    assert split.train.confidence.toarray().tolist() == [[0, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
    assert split.positives.toarray().tolist() == [[0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


def test_a_share_of_each_users_items_is_held_out_and_nothing_is_lost() -> None:
    whole = checkerboard(labelled=False).confidence

    kept, held = held_out(whole, seed=3, share=0.2)

    assert np.diff(held.indptr).tolist() == np.round(0.2 * np.diff(whole.indptr)).tolist()
    assert ((kept > 0) + (held > 0)).toarray().tolist() == (whole > 0).toarray().tolist()
    assert kept.nnz + held.nnz == whole.nnz


def test_another_seed_holds_out_other_items() -> None:
    whole = checkerboard(labelled=False).confidence
    one, again, other = (held_out(whole, seed=seed, share=0.2)[1] for seed in (3, 3, 4))

    assert (one != again).nnz == 0
    assert (one != other).nnz > 0


@pytest.mark.parametrize("content", [b"", b"7\n8\n", b"\xff\xfe\x00"])
def test_a_file_without_pairs_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "train.txt").write_bytes(content)
    (tmp_path / "test.txt").write_text("7 c\n")

    with pytest.raises(EvidenceError) as caught:
        read_public_split(tmp_path / "train.txt", tmp_path / "test.txt", seed=1)
    assert caught.value.where.endswith("train.txt")


@pytest.mark.parametrize("model", MODELS)
def test_every_model_that_two_files_can_feed_is_evaluated(files: tuple[Path, Path], model: str) -> None:
    split = read_public_split(*files, seed=1)

    found = evaluate_public(split, model, k=5, seed=1)

    assert found.users == 60
    assert 0 <= found.ndcg <= found.recall <= 1
    assert (found.recall > 0.9) == (model not in ("random", "popularity"))


def test_what_is_in_the_test_file_does_not_change_the_settings(files: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("u0 i1\n")
    chosen = [
        evaluate_public(read_public_split(files[0], test, seed=1), "als", k=5, seed=1).settings
        for test in (files[1], tmp_path / "other.txt")
    ]

    assert chosen[0] == chosen[1]


@pytest.mark.parametrize(("model", "needed"), [("content", "genres"), ("trending", "days")])
def test_a_model_that_needs_more_says_what(files: tuple[Path, Path], model: str, needed: str) -> None:
    with pytest.raises(ModelError, match=needed):
        evaluate_public(read_public_split(*files, seed=1), model, k=5, seed=1)


def test_the_command_prints_one_document(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTCHAIR_HOME", str(tmp_path))
    options = ["--train", str(files[0]), "--test", str(files[1]), "--model", "item-item", "-k", "5", "--json"]

    result = CliRunner().invoke(app, ["evaluate", *options])

    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["recall"] > 0.9
    assert {"recall", "ndcg", "users", "fit_seconds", "model", "k", "settings"} <= set(document)


def test_an_unknown_model_is_bad_usage(files: tuple[Path, Path]) -> None:
    result = CliRunner().invoke(app, ["evaluate", "--train", str(files[0]), "--test", str(files[1]), "--model", "svd"])

    assert result.exit_code == 2
