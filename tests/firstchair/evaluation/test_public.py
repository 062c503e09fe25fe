"""Public splits: read as written, evaluated by full ranking, never tuned on the test file."""

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

MODELS = ("als", "item-item", "graph-filter", "blend", "xgboost", "random", "popularity")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The checkerboard as two files: even users have even items, the withheld one is the test."""
    folder, liked = tmp_path_factory.mktemp("split"), checkerboard(labelled=False).confidence
    train = [
        f"u{row} " + " ".join(f"i{column}" for column in liked[row].indices)
        for row in range(liked.shape[0])
    ]
    test = [f"u{row} i{withheld(np.array([row]))[0]}" for row in range(liked.shape[0])]
    paths = folder / "train.txt", folder / "test.txt"
    for path, lines in zip(paths, (train, test), strict=True):
        path.write_text("\n".join(lines) + "\n")
    return paths


def test_users_and_items_of_both_files_make_one_matrix(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("7 a b a\n3 c\n\n")
    (tmp_path / "test.txt").write_text("7 c\n9 d\n")

    split = read_public_split(tmp_path / "train.txt", tmp_path / "test.txt", seed=1)

    assert (split.train.user_keys.tolist(), split.train.artist_ids.tolist()) == (
        ["3", "7", "9"],
        ["a", "b", "c", "d"],
    )
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


PAIRS = {("1", "10"), ("1", "11"), ("1", "12"), ("2", "10"), ("2", "13")}
LISTS = "lists: a user, then items"
FORMATS: dict[str, tuple[str, str, str]] = {
    "lists": ("1 10 11 12\n2 10 13\n", "1 14\n2 14 15\n", LISTS),
    "lists behind a byte-order mark": (
        "\ufeff1 10 11 12\n2 10 13\n", "\ufeff1 14\n2 14 15\n", LISTS,
    ),
    "lists with line ends of Windows": ("1 10 11 12\r\n2 10 13\r\n", "1 14\r\n2 14 15\r\n", LISTS),
    "lists under a header": (
        "user_id item_ids\n1 10 11 12\n2 10 13\n", "user items\n1 14\n2 14 15\n", LISTS,
    ),
    "lists apart by commas": ("1,10,11,12\n2,10,13\n", "1,14\n2,14,15\n", LISTS),
    "lists with a user without items": (
        "1,10,11,12\n3\n2,10,13\n", "1,14\n2,14,15\n3\n", LISTS,
    ),
    "pairs": ("1 10\n1 11\n1 12\n2 10\n2 13\n", "1 14\n2 14\n2 15\n", LISTS),
    "MovieLens 100k": (
        "1\t10\t5\t881250949\n1\t11\t3\t891717742\n1\t12\t1\t878887116\n2\t10\t5\t880606923\n"
        "2\t13\t1\t886397596\n",
        "1\t14\t5\t884182806\n2\t14\t3\t881171488\n2\t15\t4\t891628467\n",
        "one pair a line: user, item, rating, time",
    ),
    "MovieLens 1M": (
        "1::10::5::978300760\n1::11::3::978302109\n1::12::4::978301968\n2::10::3::978300275\n"
        "2::13::5::978824291\n",
        "1::14::5::978824268\n2::14::3::978302039\n2::15::5::978302268\n",
        "one pair a line: user, item, rating, time",
    ),
    "MovieLens with names": (
        "userId,movieId,rating,timestamp\n1,10,4.0,964982703\n1,11,4.0,964981247\n1,12,5.0,1\n"
        "2,10,0.5,1\n2,13,3.5,1\n",
        "userId,movieId,rating,timestamp\n1,14,4.0,1\n2,14,4.0,1\n2,15,4.0,1\n",
        "one pair a line: userId, movieId, rating, timestamp",
    ),
    "RecBole": (
        "item_id:token\tuser_id:token\trating:float\n10\t1\t4\n11\t1\t4\n12\t1\t4\n10\t2\t4\n"
        "13\t2\t4\n",
        "item_id:token\tuser_id:token\trating:float\n14\t1\t4\n14\t2\t4\n15\t2\t4\n",
        "one pair a line: user_id:token, item_id:token, rating:float",
    ),
    "triples": (
        "1 10 5\n1 11 3\n1 12 1.5\n2 10 4\n2 13 1\n", "1 14 5\n2 14 3\n2 15 4\n",
        "one pair a line: user, item, rating",
    ),
    "play counts under a header": (
        "userID\tartistID\tweight\n1\t10\t13883\n1\t11\t1\n1\t12\t7\n2\t10\t9\n2\t13\t6\n",
        "userID\tartistID\tweight\n1\t14\t1\n2\t14\t1\n2\t15\t1\n",
        "one pair a line: userID, artistID, weight",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_the_usual_formats_are_the_same_pairs(tmp_path: Path, name: str) -> None:
    train, test, read_as = FORMATS[name]
    (tmp_path / "train").write_bytes(train.encode())
    (tmp_path / "test").write_bytes(test.encode())

    split = read_public_split(tmp_path / "train", tmp_path / "test", seed=1)

    users, items = split.train.user_keys, split.train.artist_ids
    found = [
        {
            (str(users[row]), str(items[column]))
            for row, column in zip(*matrix.nonzero(), strict=True)
        }
        for matrix in (split.train.confidence, split.positives)
    ]
    assert found == [PAIRS, {("1", "14"), ("2", "14"), ("2", "15")}]
    assert set(split.formats) == {read_as}


@pytest.mark.parametrize("separator", [" ", ",", "\t"])
def test_ids_of_a_word_and_a_number_are_no_header(tmp_path: Path, separator: str) -> None:
    train = "user1 item1 item2 item3\nuser2 item2 item4\n".replace(" ", separator)
    (tmp_path / "train").write_text(train)
    (tmp_path / "test").write_text("user1 artist9\nuser2 artist9\n".replace(" ", separator))

    split = read_public_split(tmp_path / "train", tmp_path / "test", seed=1)

    assert split.train.user_keys.tolist() == ["user1", "user2"]
    assert (split.train.confidence.nnz, split.positives.nnz) == (5, 2)


def test_a_test_file_of_one_item_a_user_is_read_as_the_training_file_is(tmp_path: Path) -> None:
    (tmp_path / "train").write_text("1 10 5\n1 11 3\n2 10 4\n")
    (tmp_path / "test").write_text("1 12 5\n2 12 1\n")

    split = read_public_split(tmp_path / "train", tmp_path / "test", seed=1)

    assert split.train.artist_ids.tolist() == ["10", "11", "12"]
    assert split.positives.nnz == 2


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("1 10 250\n1 11 7000\n2 10 33\n", "lists: a user, then items or one pair a line"),
        ('{"user": 1, "item": 2}\n', "JSON"),
        ("user_id,timestamp\n1,2\n", "names no item: user_id, timestamp"),
    ],
)
def test_a_format_that_is_not_recognised_is_refused(
    tmp_path: Path, train: str, message: str
) -> None:
    (tmp_path / "train").write_text(train)
    (tmp_path / "test").write_text("1 12\n")

    with pytest.raises(EvidenceError, match=message):
        read_public_split(tmp_path / "train", tmp_path / "test", seed=1)


@pytest.mark.parametrize("model", MODELS)
def test_every_model_that_two_files_can_feed_is_evaluated(
    files: tuple[Path, Path], model: str
) -> None:
    split = read_public_split(*files, seed=1)

    found = evaluate_public(split, model, k=5, seed=1)

    assert found.users == 60
    assert 0 <= found.ndcg <= found.recall <= 1
    assert (found.recall > 0.9) == (model not in ("random", "popularity"))


def test_what_is_in_the_test_file_does_not_change_the_settings(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "other.txt").write_text("u0 i1\n")
    chosen = [
        evaluate_public(read_public_split(files[0], test, seed=1), "als", k=5, seed=1).settings
        for test in (files[1], tmp_path / "other.txt")
    ]

    assert chosen[0] == chosen[1]


@pytest.mark.parametrize(("model", "needed"), [("content", "genres"), ("trending", "days")])
def test_a_model_that_needs_more_says_what(
    files: tuple[Path, Path], model: str, needed: str
) -> None:
    with pytest.raises(ModelError, match=needed):
        evaluate_public(read_public_split(*files, seed=1), model, k=5, seed=1)


def test_the_command_prints_one_document(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTCHAIR_HOME", str(tmp_path))
    options = [
        "--train",
        str(files[0]),
        "--test",
        str(files[1]),
        "--model",
        "item-item",
        "-k",
        "5",
        "--json",
    ]

    result = CliRunner().invoke(app, ["evaluate", *options])

    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["recall"] > 0.9
    assert {"recall", "ndcg", "users", "fit_seconds", "model", "k", "settings"} <= set(document)
    assert document["formats"] == [LISTS, LISTS]


def test_an_unknown_model_is_bad_usage(files: tuple[Path, Path]) -> None:
    result = CliRunner().invoke(
        app, ["evaluate", "--train", str(files[0]), "--test", str(files[1]), "--model", "svd"]
    )

    assert result.exit_code == 2
