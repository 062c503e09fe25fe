#!/usr/bin/env bash
# Ibis 12.0.0, PySpark 4.3.0: to_sql(dialect="pyspark") fails on a fraction until ibis.pyspark is named.
#
# `ibis.to_sql` compiles an expression without a connection. With the dialect pyspark, one that holds
# a literal with a fraction ends in AttributeError: the compiler reads options.pyspark, which is None
# until the backend's module is imported. An expression without such a literal compiles, so a program
# may work for long. After `ibis.pyspark` was named once, all compile. No Java is needed for it.
#
# Seen: "at first: AttributeError: 'NoneType' object has no attribute 'treat_nan_as_null'" and "after
# ibis.pyspark: compiled"; exit 0. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  "ibis-framework[duckdb]==12.0.0" pyspark==4.3.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import ibis

table = ibis.table({"a": "float64"}, name="numbers")
half = table.select(half=table.a * 0.5)
ibis.to_sql(table.select(same=table.a + 1), dialect="pyspark")
try:
    first = ibis.to_sql(half, dialect="pyspark")
except AttributeError as error:
    first = f"AttributeError: {error}"
print(f"at first: {first}")
ibis.pyspark
after = "compiled" if "0.5" in ibis.to_sql(half, dialect="pyspark") else "not compiled"
print(f"after ibis.pyspark: {after}")
assert first == "AttributeError: 'NoneType' object has no attribute 'treat_nan_as_null'", first
assert after == "compiled"
PYTHON
