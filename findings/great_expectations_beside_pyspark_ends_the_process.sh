#!/usr/bin/env bash
# Great Expectations 1.24.1 beside pyspark 4.3.0: importing it in `python -c` ends the process, code 0.
#
# Great Expectations imports pyspark.sql.connect where pyspark is installed, and expects ImportError
# at most. Where the packages of pyspark's extra `connect` are missing, pyspark takes a process whose
# main module has no spec and no file for a run of its doctests and calls sys.exit(0). `python -c` is
# such a process, and so is a worker of execnet (pytest-xdist). A script that is a file is not.
#
# Seen: "python -c: exit code 0, printed ''" and "a file: exit code 0, printed 'imported'"; exit 0.
# Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  great_expectations==1.24.1 pyspark==4.3.0
cd "$work"
program='import great_expectations; print("imported")'
echo "$program" > program.py
code=0
direct=$("$work/venv/bin/python" -c "$program" 2>/dev/null) || code=$?
echo "python -c: exit code $code, printed '$direct'"
file_code=0
file=$("$work/venv/bin/python" program.py 2>/dev/null) || file_code=$?
echo "a file: exit code $file_code, printed '$file'"
[ "$code" = 0 ] && [ -z "$direct" ] && [ "$file_code" = 0 ] && [ "$file" = imported ]
