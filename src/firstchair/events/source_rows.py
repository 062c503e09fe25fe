"""Source tables beside the catalogue, in the lake: rows are valid or quarantined with a reason."""

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import sqlalchemy as sa

from firstchair.definitions.source_tables import SourceTable
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.sources import REPEATS, accounts, whole_table
from firstchair.validation import Failure, validate

# Reason of a row that has the key of another one.
DUPLICATE_KEY = "duplicate_key"


@dataclass(frozen=True, slots=True)
class SourceTableReport:
    """Rows read from a source table, and how many of them were accepted and quarantined."""

    read: int
    rows: int
    quarantined: int


def build_source_table(
    lake: Lake, url: sa.URL, table: SourceTable, *, now: datetime
) -> SourceTableReport:
    """Put a source table's valid rows in place of `silver/<name>`, the others in quarantine.

    Args:
        lake: The tables.
        url: The account database.
        table: One of `OTHER_TABLES`; `expectations/<name>.json` says which rows are valid. Of
            rows with one key one is.
        now: Instant of the reading.

    Raises:
        SourceError: The source cannot be read; the last snapshot stands.
        LakeError: The suite is missing, or the lake cannot be written.
    """
    rows = whole_table(url, accounts.SOURCES[table.name])
    repeated = rows.index[rows.pop(REPEATS)]
    failures = [*validate(rows, table.name).failures] if len(rows) else []
    failures += [Failure(row, DUPLICATE_KEY, "another row counts") for row in repeated]
    first = {failure.row: failure for failure in reversed(failures)}
    refused = [
        {
            "source_table": table.name,
            "key": rows.at[row, table.key],
            "reason": failure.reason,
            "detail": failure.detail,
            "quarantined_at": now,
        }
        for row, failure in sorted(first.items())
    ]
    lake.replace_where(
        t.QUARANTINE_ROWS,
        pa.Table.from_pylist(refused, schema=t.QUARANTINE_ROWS.schema),
        f"source_table = '{table.name}'",
    )
    target = t.SOURCES[table.name]
    valid = rows.drop(index=list(first))
    lake.overwrite(target, pa.Table.from_pandas(valid, schema=target.schema, preserve_index=False))
    return SourceTableReport(read=len(rows), rows=len(valid), quarantined=len(refused))
