"""The exports under a path: zips, folders or single files, each with the files of one data set."""

import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from firstchair.datasets.tables import unreadable
from firstchair.errors import SourceError

# What zipfile raises, here and there, for a zip that is damaged or encrypted.
UNREADABLE = (
    *(OSError, EOFError, RuntimeError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
)
# What macOS adds to a zip beside each file.
SIDE_FILES = re.compile(r"(^|/)(__MACOSX/|\._)")


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One file of an export. export: what a person calls the export; path, member: where it is."""

    export: str
    path: Path
    member: str = ""

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """Its bytes, unpacked where it is in a zip.

        Raises:
            SourceError: It cannot be read, or not to its end.
        """
        try:
            if not self.member:
                with self.path.open("rb") as stream:
                    yield stream
                return
            with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as stream:
                yield stream
        except UNREADABLE as error:
            name = f"{self.path.name}: {self.member}" if self.member else self.path.name
            raise unreadable(self.path.with_name(name), str(error)) from error


def find_exports(path: Path, layout: "re.Pattern[str]", *, example: str) -> list[ExportFile]:
    """The files under `path` that belong to exports, export by export in the order of their names.

    An export is the folder that the group `root` of the layout names. Without such a group it is
    what stands in `path` itself: a file, a zip, or a folder with all below it.

    Args:
        path: A folder of any depth, a zip or a single file.
        layout: Of a file's path, with `/` between.
        example: A name of that layout, for a person.

    Raises:
        SourceError: No file has that layout, or a zip cannot be read.
    """
    found = [
        (match["root"] if layout.groupindex else match.string.partition("/")[0], place, inner)
        for place, inner in _named(path)
        if (match := layout.search(_below(path, place, inner))) is not None
    ]
    if not found:
        raise SourceError(
            f"No file of this data set is under {path.name}.",
            where=str(path),
            data="Nothing was written; the sources stay as they were.",
            remedy="Point to an export (the zip as it was downloaded, or the folder it unpacks to) "
            f"or to a folder of several; a file of it is named like {example}.",
        )
    files = [ExportFile(root.strip("/") or path.name, place, inner) for root, place, inner in found]
    return sorted(files, key=lambda f: (f.export, _by_number(str(f.path)), _by_number(f.member)))


def _named(path: Path) -> Iterator[tuple[Path, str]]:
    """Every file under the path; of a zip its members."""
    places = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    for place in places:
        if place.suffix.lower() != ".zip":
            yield place, ""
            continue
        try:
            with zipfile.ZipFile(place) as archive:
                names = archive.namelist()
        except UNREADABLE as error:
            raise unreadable(place, str(error)) from error
        yield from ((place, name) for name in names if not name.endswith("/"))


def _below(path: Path, place: Path, inner: str) -> str:
    """The path of a file from where a person pointed to, an empty text for one that is no data."""
    outer = place.name if path.is_file() else place.relative_to(path).as_posix()
    below = f"{outer}/{inner}" if inner else outer
    return "" if SIDE_FILES.search(below) else below


def _by_number(name: str) -> list[str | int]:
    """Key of an order in which 2 stands before 10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]
