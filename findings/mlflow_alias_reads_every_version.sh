#!/usr/bin/env bash
# mlflow 3.17.2 (PyPI, pinned below): to move one alias, MlflowClient reads every version that the
# model has; ModelRegistryClient, the client below it, reads a constant number of rows.
#
# Valid input: a registered model with 5 and with 300 versions in a SQLite store, and
# set_registered_model_alias(name, "champion", "1").
# Cause: mlflow/tracking/client.py, MlflowClient._raise_if_prompt asks get_registered_model before
# most calls, to see a tag of the model; the SQL store answers with the latest version of each
# stage, for which mlflow/store/model_registry/dbmodels/models.py walks over all versions.
#
# Seen (Python 3.11), rows fetched for one alias:
#   MlflowClient:        9 with 5 versions, 304 with 300
#   ModelRegistryClient: 2 with 5 versions, 2 with 300
# A registry to which a daily pipeline adds versions pays for its whole history at each call.
#
# Exits 0 while the package behaves so, 1 with a message when it does not any more.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mlflow==3.17.2

cd "$folder"
MLFLOW_DISABLE_TELEMETRY=true "$folder/venv/bin/python" - <<'PYTHON'
import logging
import sqlite3
import sys
from importlib.metadata import version

import sqlalchemy as sa

logging.disable(logging.WARNING)
from mlflow import MlflowClient
from mlflow.tracking.client import ModelRegistryClient


def rows_for_an_alias(client, engine, path):
    """Rows that the queries for one move of an alias bring."""
    asked = []

    def note(connection, cursor, statement, parameters, context, many):
        if statement.lstrip().upper().startswith("SELECT"):
            asked.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", note)
    client.set_registered_model_alias("recommender", "champion", "1")
    sa.event.remove(engine, "before_cursor_execute", note)
    with sqlite3.connect(path) as again:
        return sum(len(again.execute(*one).fetchall()) for one in asked)


print(f"mlflow {version('mlflow')}")
seen = {}
for versions in (5, 300):
    path = f"registry-{versions}.db"
    uri = f"sqlite:///{path}"
    below = ModelRegistryClient(uri, uri)
    below.create_registered_model("recommender")
    for _ in range(versions):
        below.create_model_version("recommender", "file:///nowhere")
    for client in (MlflowClient(uri, uri), below):
        name = type(client).__name__
        seen[name, versions] = rows_for_an_alias(client, below.store.engine, path)
        print(f"{name}, {versions} versions: {seen[name, versions]} rows read to move one alias")

grows = seen["MlflowClient", 300] - seen["MlflowClient", 5] >= 295
constant = seen["ModelRegistryClient", 300] == seen["ModelRegistryClient", 5]
if not (grows and constant):
    sys.exit("Moving an alias costs what it did not cost before: look at this finding again.")
PYTHON
