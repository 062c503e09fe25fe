#!/usr/bin/env bash
# Finding: under pytest 9.2.0, pytest-xdist 3.8.0 ignores --dist loadgroup without a word.
#
# Tests marked with the same `xdist_group` are to run in one process (pytest-xdist, "Running tests across
# multiple CPUs"). xdist carries the group to its scheduler by writing it into `item._nodeid`; pytest 9.2
# no longer reads that attribute, so every test is a group of its own and a fixture of session scope is
# built in every process. With pytest 8.4.2 the same files keep their group.
#
# Exits 0 while that stands, 1 once it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/test_group.py" <<'PY'
import os
import time

import pytest


@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("number", range(8))
def test_where(number, worker_id):
    time.sleep(0.2)
    with open(os.environ["SEEN"], "a") as seen:
        seen.write(worker_id + "\n")
PY
workers() { # how many processes the one group of tests ran in, under this version of pytest
  python3 -m venv "$work/$1"
  "$work/$1/bin/pip" install --quiet "pytest==$1" "pytest-xdist==3.8.0"
  SEEN="$work/seen-$1" "$work/$1/bin/python" -m pytest -q -n 2 --dist loadgroup "$work/test_group.py" >/dev/null
  sort -u "$work/seen-$1" | wc -l
}
old=$(workers 8.4.2)
new=$(workers 9.2.0)
echo "pytest 8.4.2: the group ran in $old process(es)"
echo "pytest 9.2.0: the group ran in $new process(es)"
if [ "$old" = 1 ] && [ "$new" = 2 ]; then
  echo "as found: pytest 9.2.0 with pytest-xdist 3.8.0 splits the group"
else
  echo "changed" && exit 1
fi
