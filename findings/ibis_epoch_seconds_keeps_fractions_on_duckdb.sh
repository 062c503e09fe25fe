#!/usr/bin/env bash
# Ibis 12.0.0 on DuckDB 2.0.0: epoch_seconds() is declared a whole number and keeps the fraction.
#
# The type of the expression is int32. Of an instant with a fraction, DuckDB's EPOCH gives a float
# with that fraction, which Ibis passes on: what is computed from it differs from Spark, whose
# UNIX_TIMESTAMP gives whole seconds, by a whole day at a border, and fetching the value itself
# fails with ArrowInvalid.
#
# Seen: "declared int32; within DuckDB 1707436800.6; fetched: ArrowInvalid"; exit 0.
# Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  "ibis-framework[duckdb]==12.0.0" duckdb==2.0.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
from datetime import datetime

import duckdb
import ibis
import pyarrow as pa

moments = pa.table({"at": pa.array([datetime(2024, 2, 9, 0, 0, 0, 600_000)], pa.timestamp("us"))})
unbound = ibis.table({"at": "timestamp"}, name="moments")
seconds = unbound.select(s=unbound.at.epoch_seconds())
connection = ibis.duckdb.connect()
connection.create_table("moments", moments)

declared = str(seconds.schema()["s"])
((within,),) = duckdb.sql(ibis.to_sql(seconds, dialect="duckdb")).fetchall()
try:
    fetched = connection.to_pyarrow(seconds)["s"].to_pylist()
except pa.ArrowInvalid as error:
    fetched = type(error).__name__
print(f"declared {declared}; within DuckDB {within}; fetched: {fetched}")
assert (declared, within, fetched) == ("int32", 1707436800.6, "ArrowInvalid")
PYTHON
