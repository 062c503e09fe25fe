"""Where a lake is: a local folder or S3. Its files, and how Delta and the engine get to them.

Whatever is on S3 is reached by the variables that AWS's own tools read (`AWS_ACCESS_KEY_ID`,
`AWS_ENDPOINT_URL`, `AWS_REGION` and so on) or by the rights of the machine; `load_settings` sets
them from the settings `s3_*`. Events are read by the same filesystem.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import local
from typing import IO, Any, cast

import duckdb
import fsspec

S3 = "s3://"
# s3fs would take a file for missing that was written after it had listed the folder.
_UNCACHED = {"use_listings_cache": False}
# The files of Delta are never written again, so what the engine keeps of one stays right.
_NEVER_CHANGED = datetime(2000, 1, 1, tzinfo=UTC)


def is_on_s3(url: str) -> bool:
    """Whether an address is of S3; every other one is of a local disk."""
    return url.startswith(S3)


def delta_options(url: str) -> dict[str, str] | None:
    """What delta-rs is given for a table at `url` beside the environment; None on a local disk.

    A commit is one PUT that S3 refuses where the entry exists (`If-None-Match`), so of two writers
    of a version one fails. The store has to know that condition; `firstchair doctor` tries.
    """
    if not is_on_s3(url):
        return None
    options = {"aws_conditional_put": "etag"}
    # The order of AWS's own tools; delta-rs reads the second one only, and asks for TLS.
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        options["aws_endpoint_url"] = endpoint
        options["allow_http"] = str(endpoint.startswith("http://")).lower()
    return options


@dataclass(frozen=True, slots=True)
class LakeFile:
    """A file under an address.

    name: relative to the address. size: bytes. written_at: UTC. etag: S3's digest of its bytes;
    empty on a local disk.
    """

    name: str
    size: int
    written_at: datetime
    etag: str


class LakeFiles:
    """The files under an address: of a lake, of one of its tables, of published lists."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._files, root = fsspec.core.url_to_fs(url, **_UNCACHED)
        self._root = root.rstrip("/")

    def listed(self, folder: str = "") -> list[LakeFile]:
        """All files in any depth, names ascending; none where the folder is missing."""
        found = self._files.find(self._at(folder) if folder else self._root, detail=True)
        start = len(self._root) + 1
        return [
            LakeFile(path[start:], int(info["size"]), _written_at(info), info.get("ETag", ""))
            for path, info in sorted(found.items())
            if path.startswith(f"{self._root}/")
        ]

    def open(self, name: str) -> IO[bytes]:
        """A file as a stream; the caller closes it."""
        return cast("IO[bytes]", self._files.open(self._at(name), "rb"))

    def read(self, name: str) -> bytes:
        """The content of a small file.

        Raises:
            FileNotFoundError: It is not there.
        """
        return cast("bytes", self._files.cat_file(self._at(name)))

    def get(self, name: str, local: Path) -> None:
        """Write a local copy of a file."""
        self._files.get_file(self._at(name), str(local))

    def swap(self, name: str, content: bytes, *, etag: str) -> None:
        """Write a small file on S3, if nobody else wrote it since.

        Args:
            name: Of the file.
            content: What it holds afterwards.
            etag: That it was listed with; empty where it was not there.

        Raises:
            OSError: It is another one by now; it stays.
        """
        condition = {"IfMatch": etag} if etag else {"mode": "create"}
        self._files.pipe_file(self._at(name), content, **condition)

    def put(self, local: Path, name: str) -> None:
        """Write a copy of a local file."""
        target = self._at(name)
        self._files.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
        self._files.put_file(str(local), target)

    def remove(self, name: str) -> None:
        """Remove a file."""
        self._files.rm_file(self._at(name))

    def remove_all(self) -> None:
        """Remove the folder with all that is in it; nothing happens where it is missing."""
        if self.listed():
            self._files.rm(self._root, recursive=True)

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"


class EngineFiles(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """S3 as DuckDB reads it, without its own extension, which would be downloaded.

    A name that is asked for is taken to be there, so that DuckDB does not look up each file of a
    table before it leaves out those of other days. A file that it opens is looked up once an
    open database, and the bytes that a query needs are read by exact ranges.
    """

    protocol = ("s3",)
    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self._sizes: dict[str, int] = {}

    def glob(self, path: str, **_: Any) -> list[str]:
        """The path itself: only names of the log of Delta are asked for."""
        return [path]

    def open(self, path: str, mode: str = "rb", **_: Any) -> "_EngineFile":
        """A file to read.

        Raises:
            FileNotFoundError: It is gone.
        """
        if path not in self._sizes:
            self._sizes[path] = int(_s3().info(path)["size"])
        return _EngineFile(path)

    def size(self, path: str) -> int:
        """Bytes of a file that was opened."""
        return self._sizes[path]

    def modified(self, path: str) -> datetime:
        """The same for every file, as none is written twice."""
        return _NEVER_CHANGED


class _EngineFile:
    """A file that several threads of DuckDB read at once, each from its own position."""

    closed = False

    def __init__(self, path: str) -> None:
        self._path = path
        self._position = local()

    def seek(self, offset: int, whence: int = 0) -> None:
        self._position.value = offset

    def read(self, size: int) -> bytes:
        start = self._position.value
        return cast("bytes", _s3().cat_file(self._path, start=start, end=start + size))

    def close(self) -> None:
        """Nothing is open between two reads."""


def store_fault(error: BaseException) -> str | None:
    """What is wrong with S3 behind an error of DuckDB, whose text is then a traceback."""
    if type(error) is not duckdb.Error or not str(error).startswith("Traceback"):
        return None
    traceback = str(error).partition("\n\nLINE")[0]
    return traceback.strip().splitlines()[-1]


def _s3() -> Any:
    """The filesystem of this process, which fsspec keeps."""
    return fsspec.filesystem("s3", **_UNCACHED)


def _written_at(info: Mapping[str, Any]) -> datetime:
    """When a file was written, as fsspec tells it of S3 and of a local disk."""
    if isinstance(moment := info.get("LastModified"), datetime):
        return moment
    return datetime.fromtimestamp(float(info["mtime"]), UTC)
