#!/usr/bin/env bash
# pyarrow 25.0.1 with pandas 2.3.3 (PyPI, pinned below): a list or a single value given to Arrow
# imports all of pandas, where pandas is installed.
#
# Valid input: pyarrow.array([1]), pyarrow.scalar("a"), Table.from_pylist, an empty table of a
# schema. None of them has anything to do with pandas; the conversion asks whether it was given one
# of its frames, and that question imports it. What does not ask: batches from an engine or a file,
# Table.from_batches. In a command that reads a few rows, the import may cost more than its work.
#
# Seen (Python 3.11): pandas is imported by array, scalar, from_pylist and empty_table, and not by
# import pyarrow, Table.from_batches and reading a file.
#
# Exits 0 while the packages behave so, 1 with a message when they do not any more.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  pyarrow==25.0.1 pandas==2.3.3 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import subprocess
import sys

BEFORE = "import sys, pyarrow as pa; schema = pa.schema({'a': pa.int64()})\n"
AFTER = "\nprint('pandas' in sys.modules)"
write = """
with pa.OSFile('rows', 'wb') as file, pa.ipc.new_file(file, schema) as writer:
    writer.write_table(pa.table({'a': [1]}))
"""
subprocess.run([sys.executable, "-c", BEFORE + write], check=True)
CASES = {
    "import pyarrow": ("pass", False),
    "Table.from_batches": ("pa.Table.from_batches([], schema=schema)", False),
    "a file": ("pa.ipc.open_file(pa.memory_map('rows')).read_all().column('a').to_pylist()", False),
    "array": ("pa.array([1], pa.int64())", True),
    "scalar": ("pa.scalar('a', pa.string())", True),
    "from_pylist": ("pa.Table.from_pylist([{'a': 1}], schema=schema)", True),
    "empty_table": ("schema.empty_table()", True),
}
changed = False
for name, (code, expected) in CASES.items():
    done = subprocess.run(
        [sys.executable, "-c", BEFORE + code + AFTER], check=True, capture_output=True, text=True
    )
    found = done.stdout.strip() == "True"
    changed |= found != expected
    print(f"{name}: pandas {'imported' if found else 'not imported'}")
if changed:
    sys.exit("pandas is not imported as described any more.")
PYTHON
