#!/usr/bin/env bash
# MLflow 3.17.2: a client writes a run's artifacts into the store of another tracking database.
#
# MlflowClient keeps the artifact store of a run by the id of the run alone, for the whole process
# (tracking/_tracking_service/client.py, _get_artifact_repo: utils._artifact_repos_cache). A copy of
# a tracking database has the same run ids. Once a client of the original has written an artifact of
# a run, a client of the copy writes its own into the original, though get_run() of the copy names
# another artifact_uri, and the copy's folder stays without it.
#
# Seen: "the copy says <folder of the copy>, the file is in: original"; exit 0. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check mlflow==3.17.2
cd "$work"
MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true "$work/venv/bin/python" - <<'PYTHON'
import logging
import shutil
import sqlite3
from pathlib import Path

logging.disable(logging.WARNING)
from mlflow import MlflowClient

here = Path.cwd()
original = MlflowClient(f"sqlite:///{here}/original.db")
experiment = original.create_experiment("e", artifact_location=(here / "original").as_uri())
run = original.create_run(experiment).info.run_id
original.log_text(run, "of the original", "first.txt")

shutil.copy("original.db", "copy.db")
shutil.copytree("original", "copy")
with sqlite3.connect("copy.db") as database:
    for table, column in (("runs", "artifact_uri"), ("experiments", "artifact_location")):
        moved = f"replace({column}, '{(here / 'original').as_uri()}', '{(here / 'copy').as_uri()}')"
        database.execute(f"update {table} set {column} = {moved}")

copy = MlflowClient(f"sqlite:///{here}/copy.db")
says = copy.get_run(run).info.artifact_uri
copy.log_text(run, "of the copy", "second.txt")

found = {path.relative_to(here).parts[0] for path in here.rglob("second.txt")}
print(f"the copy says {says.removeprefix(here.as_uri() + '/').split('/')[0]}, "
      f"the file is in: {', '.join(sorted(found))}")
assert says.startswith((here / "copy").as_uri()), says
assert found == {"original"}, found
PYTHON
