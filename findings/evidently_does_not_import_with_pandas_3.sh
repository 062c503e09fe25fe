#!/usr/bin/env bash
# Evidently 0.7.23 takes pandas 3.1.1 (both from PyPI, pinned below), and cannot be imported with
# it.
#
# Valid input: import evidently. Its metadata asks for pandas>=1.3.5 without an upper bound, so a
# new environment gets pandas 3. Its tests of data integrity, which every import loads, take
# infer_dtype_from_object from pandas.core.dtypes.common, a private module, where pandas 3 has it
# no more. With pandas 2.3.3 the same version imports.
#
# Seen (Python 3.11):
#   pandas 3.1.1: ImportError, infer_dtype_from_object
#   pandas 2.3.3: imported
#
# Exits 0 while the packages behave so, 1 with a message when they do not any more.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip() { "$folder/venv/bin/pip" --quiet --disable-pip-version-check "$@"; }

tried() {
  "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import pandas

try:
    import evidently
except ImportError as error:
    print(f"pandas {pandas.__version__}: ImportError, {error.msg.split(chr(39))[1]}")
else:
    print(f"pandas {pandas.__version__}: imported")
PYTHON
}

export DO_NOT_TRACK=1
pip install evidently==0.7.23 pandas==3.1.1 numpy==2.4.6
new=$(tried)
pip install pandas==2.3.3
old=$(tried)
printf '%s\n' "$new" "$old"
if [ "$new" != "pandas 3.1.1: ImportError, infer_dtype_from_object" ] ||
  [ "$old" != "pandas 2.3.3: imported" ]; then
  echo "Evidently and pandas do not meet as described any more." >&2
  exit 1
fi
