"""Read files of evidence: CSV, gzipped CSV, Parquet, or a folder of Parquet parts."""

from pathlib import Path

import pyarrow as pa

from firstchair.promotion.experiment.evidence import (
    BEFORE,
    LABELS,
    MEASURES,
    SEGMENTS,
    Evidence,
    refused,
)
from firstchair.promotion.experiment.table import as_evidence

CSV = (".csv", ".csv.gz")
PARTS = "*.parquet"


def read_evidence(path: Path, *, most_days: int | None = None) -> Evidence:
    """Read the evidence in a file or in a folder of Parquet parts.

    Args:
        path: A CSV file (`.csv`, `.csv.gz`), a Parquet file of any other name, or a folder, in
            which every `*.parquet` in any depth is a part and a folder `name=value` gives its rows
            a column.
        most_days: As in `as_evidence`.

    Raises:
        BadEvidenceError: The file cannot be read, or its rows are not evidence; nothing was
        decided.
    """
    try:
        table = _table(path)
    except (pa.ArrowException, OSError) as error:
        raise refused(
            f"{path.name} cannot be read: {' '.join(str(error).split())}.", str(path)
        ) from error
    return as_evidence(table, where=str(path), most_days=most_days)


def _table(path: Path) -> pa.Table:
    import pyarrow.parquet

    if path.is_dir():
        return _parts(path)
    if path.name.lower().endswith(CSV):
        return _csv(path)
    return _plain(pyarrow.parquet.read_table(path))


def _csv(path: Path) -> pa.Table:
    import pyarrow.csv

    # Types of a CSV file are guessed by its first block, which may hold no label and whole numbers
    # alone.
    types = dict.fromkeys(("user_key", *SEGMENTS), pa.string())
    types |= dict.fromkeys((*MEASURES, *LABELS, *BEFORE), pa.float64())
    return pyarrow.csv.read_csv(
        path, convert_options=pyarrow.csv.ConvertOptions(column_types=types)
    )


def _parts(folder: Path) -> pa.Table:
    import pyarrow.dataset

    parts = sorted(folder.rglob(PARTS))
    if not parts:
        raise refused(f"{folder.name} holds no Parquet part ({PARTS}).", str(folder))
    tables = [
        pyarrow.dataset.dataset(
            part, format="parquet", partitioning="hive", partition_base_dir=str(folder)
        ).to_table()
        for part in parts
    ]
    # A column without any value in a part has another type there.
    return pa.concat_tables(map(_plain, tables), promote_options="permissive")


def _plain(table: pa.Table) -> pa.Table:
    """The same columns as plain text, where a writer or a folder's name gave a dictionary."""
    fields = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))
