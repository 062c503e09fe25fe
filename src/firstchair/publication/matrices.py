"""Write the lists of a day as matrices on disk, in batches, so that few are in memory at once."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from firstchair.lake import Lake, connect, redirects_of
from firstchair.lake import tables as t
from firstchair.publication.layout import NOBODY, REDIRECTS, SCORE_UNITS, UNKNOWN_USER

ROWS_AT_ONCE = 1 << 20

KINDS = {"artists": (np.int32, NOBODY), "scores": (np.int16, 0), "reasons": (np.int32, 0)}


def write_matrices(
    lake: Lake,
    folder: Path,
    *,
    as_of: date,
    versions: Mapping[str, str],
    unknown_user_list: pa.Table,
    length: int,
) -> npt.NDArray[np.void]:
    """Write catalogue, redirects, reasons and the matrices of each role; return the users' keys.

    The matrices of a role are artists, scores and reasons, (users, length) each.

    Args:
        lake: Holds gold/recommendations and the catalogue.
        folder: Existing folder for the files.
        as_of: Day of the lists.
        versions: Registered version by role.
        unknown_user_list: Columns position, artist_id, score, reason: what unknown users are shown.
        length: Columns of a matrix; longer lists are cut.

    Returns:
        V16 (users,), ascending: 16 bytes of key each, in the order of the rows.
    """
    with connect() as connection:
        connection.register("unknown_user_list", unknown_user_list)
        connection.execute(_numbered(lake, as_of, list(versions.values()), length))
        _write_catalogue(connection, folder)
        (folder / REDIRECTS).write_bytes(orjson.dumps(redirects_of(lake)))
        _write_reasons(connection, folder)
        keys = (
            connection.sql("select user_key from users order by n")
            .to_arrow_table()
            .column("user_key")
        )
        for role, version in versions.items():
            _fill(
                connection,
                folder,
                role,
                (len(keys), length),
                f"listed where model_version = '{version}'",
            )
        rows = "(select *, null as user_key from unknown_user_list)"
        _fill(connection, folder, UNKNOWN_USER, (1, length), f"{rows} where position <= {length}")
    return np.frombuffer(bytes.fromhex("".join(keys.to_pylist())), dtype="V16")


def _numbered(lake: Lake, as_of: date, versions: list[str], length: int) -> str:
    """SQL of views `listed` and `named`, and of tables that number users, artists and reasons.

    Numbers begin at 0 and follow the ascending order of keys, ids and texts.
    """
    wanted = ", ".join(f"'{version}'" for version in versions)
    return f"""
        create temp view listed as
        select user_key, model_version, position, artist_id, score, reason
        from {lake.scan(t.RECOMMENDATIONS)}
        where as_of = date '{as_of}' and model_version in ({wanted}) and position <= {length};
        create temp view named as select artist_id, name from {lake.scan(t.ARTISTS)};
        create temp table users as select user_key, row_number() over (order by user_key) - 1 as n
        from (select distinct user_key from listed);
        create temp table artists as
        select artist_id, name, row_number() over (order by artist_id) - 1 as n
        from (
            select artist_id from named
            union select artist_id from listed
            union select artist_id from unknown_user_list
        )
        left join named using (artist_id);
        create temp table reasons as select reason, row_number() over (order by reason) - 1 as n
        from (select reason from listed union select reason from unknown_user_list);
    """


def _write_catalogue(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    rows = connection.execute("select artist_id, name from artists order by n").fetchall()
    (folder / "catalogue.json").write_bytes(orjson.dumps(rows))


def _write_reasons(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Write each text once as JSON, one after another, and the offsets where they begin and end."""
    lengths = []
    with (folder / "reasons.json").open("wb") as file:
        for batch in connection.sql("select reason from reasons order by n").to_arrow_reader(
            ROWS_AT_ONCE
        ):
            texts = [orjson.dumps(text) for text in batch.column(0).to_pylist()]
            lengths.append(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)))
            file.write(b"".join(texts))
    offsets = np.cumsum(np.concatenate([np.zeros(1, dtype=np.int64), *lengths]))
    np.save(folder / "reason_offsets.npy", offsets)


def _fill(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    role: str,
    shape: tuple[int, int],
    source: str,
) -> None:
    matrices = {
        name: np.lib.format.open_memmap(
            folder / f"{role}.{name}.npy", mode="w+", dtype=kind, shape=shape
        )
        for name, (kind, _) in KINDS.items()
    }
    for name, (_, empty) in KINDS.items():
        matrices[name][:] = empty
    reader = connection.sql(f"""
        select coalesce(users.n, 0) as row, position - 1 as slot, artists.n as artists,
               round(score * {SCORE_UNITS})::smallint as scores, reasons.n as reasons
        from (select * from {source}) left join users using (user_key)
        join artists using (artist_id) join reasons using (reason)
    """).to_arrow_reader(ROWS_AT_ONCE)
    for batch in reader:
        place = batch.column("row").to_numpy(), batch.column("slot").to_numpy()
        for name, matrix in matrices.items():
            matrix[place] = batch.column(name).to_numpy()
    for matrix in matrices.values():
        matrix.flush()
