"""Reading the files of a public data set, with the file and line named where one cannot be read."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from firstchair.errors import SourceError


def read_tsv(path: Path, columns: Sequence[str], *, encoding: str = "utf-8") -> pd.DataFrame:
    """A tab-separated file with a header, as text columns; empty cells are empty texts.

    Raises:
        SourceError: The file is missing, not in that encoding, or has a line of another width.
    """
    try:
        frame: pd.DataFrame = pd.read_csv(
            path,
            sep="\t",
            header=0,
            dtype=str,
            encoding=encoding,
            keep_default_na=False,
            quoting=csv.QUOTE_NONE,
        )
        frame = frame.set_axis([name.lstrip("#") for name in frame.columns], axis=1)
        return frame[list(columns)]
    except FileNotFoundError as error:
        raise unreadable(path, "it is not there") from error
    except (pd.errors.ParserError, UnicodeDecodeError, KeyError) as error:
        raise unreadable(path, str(error).strip()) from error


def whole_numbers(
    frame: pd.DataFrame, name: str, path: Path
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """A column as int64.

    Raises:
        SourceError: A cell is no whole number; names its line.
    """
    numbers = pd.to_numeric(frame[name], errors="coerce")
    bad = np.flatnonzero(numbers.isna().to_numpy())
    if len(bad):
        cell = frame[name].iloc[int(bad[0])]
        raise unreadable(
            path, f"line {int(bad[0]) + 2}, column {name}: {cell!r} is no whole number"
        )
    return np.asarray(numbers, dtype=np.int64)


def unreadable(path: Path, why: str) -> SourceError:
    """The fault of a file of a data set that cannot be read."""
    return SourceError(
        f"{path.name} cannot be read: {why}.",
        where=str(path),
        data="Nothing was written; the sources stay as they were.",
        remedy="Point to the unpacked data set, with all its files as published.",
    )
