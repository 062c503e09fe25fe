"""Read files of users and items in the usual formats; refuse unknown ones."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from firstchair.errors import EvidenceError

LISTS = "lists: a user, then items"
SEPARATORS = ("::", "\t", ",", "|", ";")
# Names of columns, in lower case and without separators between words.
USER = frozenset({"user", "users", "userid", "uid", "reviewerid", "customerid", "sessionid"})
ITEM = frozenset(
    {"item", "items", "itemid", "itemids", "iid", "movieid", "artistid", "trackid", "songid"}
    | {"businessid", "productid", "asin", "bookid", "isbn", "poiid", "locationid", "artist"}
)
# Ratings are at most 10, in whole or half steps.
RATINGS = frozenset(number / 2 for number in range(21))
NUMBER = re.compile(r"-?\d+(\.\d+)?")
# Seconds or milliseconds since 1970 of the last fifty years, or a date.
TIME = re.compile(r"\d{9,10}(\.\d+)?|\d{12,13}|\d{4}-\d\d-\d\d([T ].*)?")
SEEN_FOR_SEPARATOR = 100

Names = npt.NDArray[np.str_]
Row = list[str]


@dataclass(frozen=True, slots=True)
class Pairs:
    """User and item of each pair in the order of the file, and how the file was read."""

    users: Names
    items: Names
    format: str


@dataclass(frozen=True, slots=True)
class _File:
    """A file as rows of fields; `layouts`: its possible layouts."""

    path: Path
    rows: list[Row]
    user: int
    item: int
    layouts: tuple[str, ...]


def read_pairs(train: Path, test: Path) -> tuple[Pairs, Pairs]:
    """Read the pairs of both files.

    A file holds lists (a user, then items, separated by blanks, tabs or commas) or triples (a user,
    an item, then a rating, a time or both, by position or under a header, as RecBole and MovieLens
    write them). Ratings and times are not read. A file that fits both is read like the other file.

    Raises:
        EvidenceError: A file holds no pair, is not text, or its format cannot be recognised.
    """
    files = [_opened(train, is_train=True), _opened(test, is_train=False)]
    sure = {file.layouts[0] for file in files if len(file.layouts) == 1}
    first, second = (_pairs(file, sure) for file in files)
    return first, second


def _pairs(file: _File, sure: set[str]) -> Pairs:
    layouts = file.layouts or (LISTS,)
    fitting = [layout for layout in layouts if layout in sure] or list(layouts)
    if len(fitting) > 1:
        raise unreadable(
            file.path,
            f"It may hold {' or '.join(fitting)}: each line has {len(file.rows[0])} fields.",
        )
    rows = [row for row in file.rows if len(row) > max(file.user, file.item)]
    if not rows:
        raise unreadable(file.path, f"None of its {len(file.rows)} lines holds a user and an item.")
    if fitting == [LISTS]:
        users = np.repeat([row[0] for row in rows], [len(row) - 1 for row in rows])
        items = [item for row in rows for item in row[1:]]
        return Pairs(users.astype(str), np.array(items, dtype=str), LISTS)
    users = np.array([row[file.user] for row in rows], dtype=str)
    return Pairs(users, np.array([row[file.item] for row in rows], dtype=str), fitting[0])


def _opened(path: Path, *, is_train: bool) -> _File:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(path, f"It cannot be read: {error}.") from error
    lines = [line for line in (line.strip() for line in text.split("\n")) if line]
    if lines and lines[0][0] in "{[":
        raise unreadable(path, "Its lines are JSON.")
    split = _splitting(lines)
    rows = [split(line) for line in lines]
    columns = _columns(rows[0]) if rows else None
    if columns is None:
        return _File(path, rows, 0, 1, _layouts(rows, is_train=is_train))
    named, rows = rows[0], rows[1:]
    user, item = columns
    if item is None:
        raise unreadable(path, f"Its header names no item: {', '.join(named)}.")
    is_list = len({len(row) for row in rows}) > 1
    rest = [name for place, name in enumerate(named) if place not in columns]
    layout = LISTS if is_list else _triples([named[user], named[item], *rest])
    return _File(path, rows, user, item, (layout,))


def _splitting(lines: Sequence[str]) -> Callable[[str], Row]:
    """How lines are split: at a separator that most of the first lines have, else at blanks.

    A user without items stands alone on their line, without any separator.
    """
    seen = lines[:SEEN_FOR_SEPARATOR]
    for separator in SEPARATORS:
        if sum(separator in line for line in seen) > len(seen) / 2:
            return lambda line: [field.strip().strip('"') for field in line.split(separator)]
    return str.split


def _columns(header: Row) -> tuple[int, int | None] | None:
    """Positions of user and item by a header; None without a header.

    RecBole writes `user_id:token`; the type is ignored. A name with a digit is an id (`user1`).
    """
    names = [re.sub(r"[^a-z0-9]", "", name.partition(":")[0].lower()) for name in header]
    user = next((place for place, name in enumerate(names) if name in USER), None)
    if user is None:
        return None
    return user, next((place for place, name in enumerate(names) if name in ITEM), None)


def _layouts(rows: Sequence[Row], *, is_train: bool) -> tuple[str, ...]:
    """The possible layouts of rows without a header.

    Lists have different lengths, one per user. Triples have one width and several lines per user,
    except in a test file with one item per user.
    """
    widths = {len(row) for row in rows}
    if max(widths, default=0) <= 2:
        return ()
    if len(widths) > 1:
        return (LISTS,)
    kinds = list(_kinds(rows))
    is_repeated = len({row[0] for row in rows}) < len(rows)
    triples = _triples(["user", "item", *(kind or "value" for kind in kinds)])
    if kinds == ["rating", "time"] or (is_repeated and None not in kinds):
        return (triples,)
    if is_repeated:
        return (LISTS, triples)
    return (LISTS,) if is_train or None in kinds else (LISTS, triples)


def _kinds(rows: Sequence[Row]) -> Iterator[str | None]:
    """Content of each column after user and item: rating, time, or None if unknown."""
    for place in range(2, len(rows[0])):
        values = {row[place] for row in rows}
        if all(TIME.fullmatch(value) for value in values):
            yield "time"
        elif all(NUMBER.fullmatch(value) and float(value) in RATINGS for value in values):
            yield "rating"
        else:
            yield None


def _triples(names: Sequence[str]) -> str:
    return f"one pair a line: {', '.join(names)}"


def unreadable(path: Path, what: str) -> EvidenceError:
    """The error for a file without pairs, or of an unknown format."""
    return EvidenceError(
        what,
        where=str(path),
        data="No model was fitted.",
        remedy="Write a line a user: their id, then the ids of their items, apart by blanks; or "
        "one pair a line under a header such as `user_id item_id rating`.",
    )
