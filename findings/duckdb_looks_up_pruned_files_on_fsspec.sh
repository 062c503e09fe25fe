#!/usr/bin/env bash
# DuckDB 2.0.0 with fsspec 2026.9.0: files that a query leaves out are looked up all the same.
#
# A filesystem of fsspec is registered with a connection, and 25 files of 25 days are read with
# hive_partitioning and a filter on one day. Two files are opened, as is right: the first for the
# schema and the one of that day. But each of the 25 names is first expanded by glob(), which asks
# exists() and info(). On S3 that is a request a file, though the names were given whole: the
# cost of a day grows with the history. A filesystem whose glob() gives back the name itself opens
# the same two files and asks for nothing else.
#
# Seen: "as it comes: 25 looked up, 2 opened" and "names as given: 2 looked up, 2 opened"; exit 0.
# Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.0 fsspec==2026.9.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
from pathlib import Path

import duckdb
from fsspec.implementations.local import LocalFileSystem

DAYS = 25


class Counted(LocalFileSystem):
    """A local disk that notes which files are looked up and which are opened."""

    protocol = ("counted",)
    cachable = False

    def __init__(self):
        super().__init__()
        self.looked_up, self.opened = set(), set()

    def info(self, path, **options):
        self.looked_up.add(Path(self._strip_protocol(path)).parent.name)
        return super().info(path, **options)

    def open(self, path, *arguments, **options):
        self.opened.add(Path(self._strip_protocol(path)).parent.name)
        return super().open(path, *arguments, **options)


class AsGiven(Counted):
    """The same, but a name that is asked for is taken to be there."""

    def glob(self, path, **options):
        return [path]


def counts(files):
    connection = duckdb.connect()
    connection.register_filesystem(files)
    names = [f"counted://{Path.cwd()}/day={day}/part.parquet" for day in range(DAYS)]
    query = "select n from read_parquet(?, hive_partitioning = true) where day = 3"
    assert connection.execute(query, [names]).fetchall() == [(3,)]
    return len(files.looked_up), len(files.opened)


for day in range(DAYS):
    Path(f"day={day}").mkdir()
    duckdb.execute(f"copy (select {day} as n) to 'day={day}/part.parquet'")

found = {"as it comes": counts(Counted()), "names as given": counts(AsGiven())}
for which, (looked_up, opened) in found.items():
    print(f"{which}: {looked_up} looked up, {opened} opened")
assert found == {"as it comes": (DAYS, 2), "names as given": (2, 2)}, found
PYTHON
