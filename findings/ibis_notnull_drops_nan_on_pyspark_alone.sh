#!/usr/bin/env bash
# Ibis 12.0.0: notnull() and drop_null() leave NaN out on Spark and keep it on DuckDB.
#
# The option `pyspark.treat_nan_as_null` is False by default. It rules what a column and a literal
# compile to, but not IsNull and NotNull: for the dialect pyspark these always test for NaN too. So
# the same expression keeps a row with NaN on DuckDB and drops it on Spark, while isnan() tells NaN
# apart on both. Compiling needs no Java.
#
# Seen: "option False; DuckDB keeps [1.0, nan]; pyspark: `t0`.`x` IS NOT NULL AND NOT ISNAN(`t0`.`x`)";
# exit 0. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  "ibis-framework[duckdb]==12.0.0" duckdb==2.0.0 pyspark==4.3.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import math

import ibis
import pyarrow as pa

ibis.pyspark
option = ibis.options.pyspark.treat_nan_as_null
unbound = ibis.table({"x": "float64"}, name="numbers")
known = unbound.drop_null(["x"])
connection = ibis.duckdb.connect()
rows = pa.table({"x": pa.array([1.0, math.nan, None], pa.float64())})
connection.create_table("numbers", rows)

kept = connection.to_pyarrow(known)["x"].to_pylist()
text = " ".join(ibis.to_sql(known, dialect="pyspark").split()).partition("WHERE ")[2]
print(f"option {option}; DuckDB keeps {kept}; pyspark: {text}")
assert option is False
assert kept[0] == 1.0 and math.isnan(kept[1]) and len(kept) == 2
assert "IS NOT NULL AND NOT ISNAN" in text
PYTHON
