"""A trial of a lake: a table that is written, read by the engine, contended for and removed."""

import secrets
from contextlib import suppress

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError

from firstchair.errors import FirstchairError, LakeError
from firstchair.lake.delta import Lake
from firstchair.lake.stores import LakeFiles, delta_options
from firstchair.lake.tables import Table

# How the names of trial tables begin; they are no part of a lake's content.
TRIAL = "trial-"


def try_lake(lake: Lake) -> None:
    """Do on the store what a run does: write, read by the engine, refuse a second writer, remove.

    Raises:
        LakeError: One of these fails. What the trial wrote is removed if the store lets it.
    """
    table = Table(f"{TRIAL}{secrets.token_hex(8)}", pa.schema([("number", pa.int64())]), None)
    row = pa.table({"number": [1]}, schema=table.schema)
    files = LakeFiles(lake.location(table))
    try:
        lake.append(table, row)
        if lake.read(table) != row:
            raise _unfit(lake, "A row that was written is not what is read")
        _contend(lake, table, row)
        files.remove_all()
        if files.listed():
            raise _unfit(lake, "What was removed is still there")
    except FirstchairError:
        raise
    except Exception as error:  # delta-rs, fsspec and DuckDB raise one class per store
        raise _unfit(lake, f"A trial table cannot be written, read or removed ({error})") from error
    finally:
        with suppress(Exception):  # the fault that is reported came before
            files.remove_all()


def _contend(lake: Lake, table: Table, row: pa.Table) -> None:
    """Have two writers replace the rows of one version; the second one has to fail."""
    location = lake.location(table)
    first, second = (
        DeltaTable(location, storage_options=delta_options(location)) for _ in range(2)
    )
    write_deltalake(first, row, mode="overwrite")
    try:
        write_deltalake(second, row, mode="overwrite")
    except CommitFailedError:
        return
    raise _unfit(lake, "Of two writers of one version, both were let through")


def _unfit(lake: Lake, what: str) -> LakeError:
    return LakeError(
        f"{what}.",
        where=lake.url,
        data="The tables are as they were.",
        remedy=(
            "Check lake_url, the credentials and the right to list, read, write and delete there; "
            "the store has to know conditional writes (`If-None-Match`)."
        ),
    )
