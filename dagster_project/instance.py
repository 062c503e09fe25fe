"""Dagster's own storage: its home is written from the settings, its state lives in Postgres."""

import os
from functools import cache
from pathlib import Path

import dagster as dg
import yaml

from firstchair.databases import open_databases, to_driver
from firstchair.files import replace_file
from firstchair.settings import Settings

POSTGRES_URL = "FIRSTCHAIR_DAGSTER_POSTGRES_URL"
# Materialisations of all days are recorded in three statements, not in four for each day.
EVENTS_A_STATEMENT = {"DAGSTER_EVENT_BATCH_SIZE": "1000"}
# A connection is kept so long; in the midst of a long step, something between may cut an older one.
KEPT_SECONDS, MORE_AT_ONCE = 60, 20


def prepare_home(settings: Settings) -> Path:
    """Write dagster.yaml and point this process and its children at it; idempotent."""
    home = settings.home / "dagster"
    url = to_driver(open_databases(settings).dagster, "psycopg2").render_as_string(
        hide_password=False
    )
    os.environ.update({"DAGSTER_HOME": str(home), POSTGRES_URL: url, **EVENTS_A_STATEMENT})
    config = {
        "storage": {"postgres": {"postgres_url": {"env": POSTGRES_URL}}},
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
        "concurrency": {"runs": {"max_concurrent_runs": 1}},
        "local_artifact_storage": {
            "module": "dagster._core.storage.root",
            "class": "LocalArtifactStorage",
            "config": {"base_dir": str(home)},
        },
        "compute_logs": {
            "module": "dagster._core.storage.local_compute_log_manager",
            "class": "LocalComputeLogManager",
            "config": {"base_dir": str(home / "logs")},
        },
    }
    path = home / "dagster.yaml"
    text = yaml.safe_dump(config, sort_keys=True)
    if not path.exists() or path.read_text() != text:
        replace_file(path, text.encode())
    return home


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The instance that the webserver, the daemon and `firstchair run` share.

    Without a pool, Dagster opens a connection for each of the hundreds of records of a run. And
    around each step it asks Postgres three or four times whether its tables have the columns of its
    newest form (dagster 1.13.27, `has_asset_key_col`, `has_run_stats_index_cols`), and for each
    materialisation, over a connection of its own, whether a table is there (`has_table`). What was
    made stays, so this process asks once.
    """
    instance = dg.DagsterInstance.from_config(str(prepare_home(settings)))
    instance.optimize_for_webserver(
        statement_timeout=0,
        pool_recycle=KEPT_SECONDS,
        max_overflow=MORE_AT_ONCE,
    )
    for storage, questions in (
        (instance.event_log_storage, ("has_table", "has_asset_key_col")),
        (instance.run_storage, ("has_run_stats_index_cols", "has_backfill_id_column")),
    ):
        for question in questions:
            setattr(storage, question, cache(getattr(storage, question)))
    return instance
