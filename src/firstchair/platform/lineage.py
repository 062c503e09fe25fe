"""OpenLineage events of the steps of a run: what each read and wrote, by tables of the lake.

Nothing of a record or of a user is in an event: names of datasets and columns, times, the name of
an error's class. https://openlineage.io/docs/spec/object-model
"""

import logging
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

import duckdb
import sqlalchemy as sa

import firstchair
from firstchair.errors import FirstchairError, SettingsError
from firstchair.lake import Lake, Table, is_simulated
from firstchair.lake import tables as t
from firstchair.models import Family, model_name
from firstchair.platform.assets import ACCOUNTS
from firstchair.settings import Settings

LOG = logging.getLogger("firstchair.lineage")
NAMESPACE = "firstchair"
PRODUCER = f"urn:firstchair:{firstchair.__version__}"
TIMEOUT_SECONDS, RETRIES = 5, 1
MODELS = tuple(model_name(family) for family in Family)

# The tables of the lake that an asset writes; a test holds the names against Dagster's graph.
WRITES: Mapping[str, tuple[Table, ...]] = {
    "landed_events": (t.BRONZE_EVENTS, t.OBJECTS, t.QUARANTINE_EVENTS),
    "users": (t.USERS, t.FORMER_USERS, t.QUARANTINE_USERS),
    "catalogue": (
        *(t.ARTISTS, t.ARTIST_REDIRECTS, t.TRACKS),
        *(t.FORMER_ARTISTS, t.FORMER_TRACKS),
    ),
    **{name: (table,) for name, table in t.SOURCES.items()},
    "silver_events": (t.EVENTS, t.QUARANTINE_EVENTS),
    "user_features": (t.USER_FEATURES,),
    "interactions": (t.INTERACTIONS,),
    "recommendations": (t.RECOMMENDATIONS,),
    "engagement_daily": (t.ENGAGEMENT_DAILY,),
    "engagement_baselines": (t.BASELINES,),
    "churn": (t.CHURN,),
    "survival": (t.SURVIVAL,),
    "data_quality": (t.DATA_QUALITY,),
    "data_drift": (t.DRIFT,),
    "overfit": (t.OVERFIT,),
    "evidence": (t.EVIDENCE,),
}
# The assets that an asset reads; likewise.
READS: Mapping[str, tuple[str, ...]] = {
    "catalogue": ("landed_events",),
    "silver_events": ("catalogue", "landed_events", "users"),
    **dict.fromkeys(
        (
            *("user_features", "interactions", "survival", "churn"),
            *("engagement_daily", "engagement_baselines", "data_quality"),
        ),
        ("silver_events",),
    ),
    "evidence": ("data_quality", "silver_events"),
    **dict.fromkeys((*MODELS, "popularity_reference"), ("interactions", "user_features")),
    "recommendations": MODELS,
    "overfit": MODELS,
    "promotion_decision": (*MODELS, "evidence", "popularity_reference"),
    "published_lists": ("promotion_decision", "recommendations"),
    "data_drift": ("recommendations", "silver_events"),
    "monitoring_run": (
        *("churn", "data_drift", "data_quality", "engagement_baselines", "engagement_daily"),
        *("overfit", "survival"),
    ),
    "lake_upkeep": ("monitoring_run",),
}


class State(StrEnum):
    """What is told of a step."""

    START = "START"
    COMPLETE = "COMPLETE"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a run. day: its partition, None without one. error: class of a failure's error."""

    run_id: str
    job: str
    asset: str
    day: str | None
    at: datetime
    error: str = ""


class Lineage:
    """Sends events of steps to where the settings say.

    Args:
        settings: The address (`openlineage_url`), and where lake and sources are.
        accounts: Account database.

    Raises:
        SettingsError: openlineage-python is not installed.
    """

    def __init__(self, settings: Settings, accounts: sa.URL) -> None:
        self._settings, self._accounts = settings, accounts
        self._client, self._lake = _client(settings), Lake(settings.lake_url)

    def tell(self, state: State, step: Step) -> None:
        """Send one event; an address that does not take it is logged, and stops no run."""
        try:
            self._client.emit(self._event(state, step))
        except (OSError, RuntimeError, FirstchairError, duckdb.Error) as error:
            LOG.warning("%s of %s was not sent: %s", state, step.asset, error)

    def _event(self, state: State, step: Step) -> Any:
        from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent
        from openlineage.client.event_v2 import RunState as States

        run = Run(str(uuid.uuid5(uuid.UUID(step.run_id), step.asset)), self._facets(step))
        read, written = self._read(step.asset), self._written(step.asset)
        return RunEvent(
            eventTime=step.at.isoformat(),
            eventType=States[state.value],
            producer=PRODUCER,
            run=run,
            job=Job(NAMESPACE, step.asset),
            inputs=[InputDataset(*name, facets=facets) for name, facets in read],
            outputs=[OutputDataset(*name, facets=facets) for name, facets in written],
        )

    def _facets(self, step: Step) -> dict[str, Any]:
        from openlineage.client.facet_v2 import error_message_run, parent_run, tags_run

        tags = {"simulated": str(self._simulated).lower(), "partition": step.day}
        told = [tags_run.TagsRunFacetFields(k, v, "firstchair") for k, v in tags.items() if v]
        parent = parent_run.ParentRunFacet(
            parent_run.Run(step.run_id), parent_run.Job(NAMESPACE, step.job), producer=PRODUCER
        )
        failed = error_message_run.ErrorMessageRunFacet(step.error, "python", producer=PRODUCER)
        return {
            "parent": parent,
            "tags": tags_run.TagsRunFacet(told, producer=PRODUCER),
            **({"errorMessage": failed} if step.error else {}),
        }

    @property
    def _simulated(self) -> bool:
        """Asked at each event: the run itself may write the first simulated ones."""
        return is_simulated(self._lake)

    def _read(self, asset: str) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
        if asset == "landed_events":
            yield _place(self._settings.events_url), {}
        if asset in ACCOUNTS:
            host = f"postgres://{self._accounts.host or 'localhost'}:{self._accounts.port or 5432}"
            yield (host, f"{self._accounts.database}.public"), {}
        for upstream in READS.get(asset, ()):
            yield from self._written(upstream)

    def _written(self, asset: str) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
        namespace, root = _place(self._settings.lake_url)
        for table in WRITES.get(asset, ()):
            yield (namespace, f"{root}/{table.name}"), {"schema": _schema(table)}
        if asset in MODELS:
            yield ("mlflow", asset), {}


def _client(settings: Settings) -> Any:
    try:
        from openlineage.client import OpenLineageClient
        from openlineage.client.transport.file import FileConfig, FileTransport
        from openlineage.client.transport.http import (
            ApiKeyTokenProvider,
            HttpConfig,
            HttpTransport,
            TokenProvider,
        )
    except ImportError as error:
        raise SettingsError(
            "openlineage_url is set, and openlineage-python is not installed.",
            where="openlineage_url",
            data="Nothing was run.",
            remedy="Install firstchair[lineage], or leave the setting empty.",
        ) from error
    url = settings.openlineage_url
    if not url.startswith("http"):
        return OpenLineageClient(transport=FileTransport(FileConfig(url, append=True)))
    key = settings.openlineage_api_key.get_secret_value()
    auth = ApiKeyTokenProvider({"apiKey": key}) if key else TokenProvider({})
    retry = {"total": RETRIES, "allowed_methods": ["POST"]}
    config = HttpConfig(url, timeout=TIMEOUT_SECONDS, auth=auth, retry=retry)
    return OpenLineageClient(transport=HttpTransport(config))


def _place(url: str) -> tuple[str, str]:
    """Namespace and name of a place, as the specification names datasets.

    >>> _place("s3://bucket/a/b/"), _place("/srv/lake")
    (('s3://bucket', 'a/b'), ('file', '/srv/lake'))
    """
    parts = urlsplit(url)
    if parts.scheme in {"", "file"}:
        return "file", parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.hostname or ''}", parts.path.strip("/")


def _schema(table: Table) -> Any:
    from openlineage.client.facet_v2 import schema_dataset

    fields = [
        schema_dataset.SchemaDatasetFacetFields(field.name, str(field.type))
        for field in table.schema
    ]
    return schema_dataset.SchemaDatasetFacet(fields, producer=PRODUCER)
