"""The results of a run in one record: events, models, engagement, churn, drift, decisions."""

import resource
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from firstchair import events
from firstchair.commands.run import RunReport
from firstchair.events import Refused
from firstchair.lake import connect, is_simulated
from firstchair.lake import tables as t
from firstchair.memory import engine_limit
from firstchair.platform.platform import Platform
from firstchair.promotion import Entry, evaluation_of, explained

ENGAGEMENT_DAYS = 7

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Memory in bytes: the most this process had at once, and what its DuckDB may hold of it."""

    peak_bytes: int
    limit_bytes: int


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures of a platform after a run; every table is a list of rows.

    simulated: some of the events are simulated, so no figure below is of a real service.
    refused: the most frequent reasons of a refusal, each with an example. changed_objects: written
        again after they were read.
    models: test metrics of each family and of plain popularity, on the same split by time, as of
        the newest day with test users.
    decisions: those of `as_of`, and the one that promoted the champion.
    engagement: the last `ENGAGEMENT_DAYS` days by segment, all model versions together.
    churn: the newest mature labels of each horizon by segment.
    """

    as_of: date
    first_day: date
    last_day: date
    simulated: bool
    events: events.Reconciliation
    refused: Refused | None
    changed_objects: list[str]
    refused_accounts: dict[str, int]
    models: Rows
    engagement: Rows
    churn: Rows
    drift: dict[str, Any]
    decisions: Rows
    run: RunReport
    memory: MemoryUse


def summarise(platform: Platform, report: RunReport) -> Summary:
    """Read the figures of the newest day back from the tables they were written to."""
    import monitoring

    lake, settings = platform.lake, platform.settings
    as_of = report.last + timedelta(days=1)
    window_start = max(
        report.last - timedelta(days=ENGAGEMENT_DAYS - 1), platform.complete_days()[0]
    )
    return Summary(
        as_of=as_of,
        first_day=platform.complete_days()[0],
        last_day=report.last,
        simulated=is_simulated(lake),
        events=events.reconcile(lake),
        refused=events.refused(lake),
        changed_objects=events.changed_objects(lake),
        refused_accounts=_counts(lake.read(t.QUARANTINE_USERS)),
        models=_models(platform, as_of),
        engagement=list(
            monitoring.engagement_summary(
                lake, first=window_start, last=report.last, k_anonymity=settings.k_anonymity
            )
        ),
        churn=_churn(
            lake.read(t.CHURN, f"mature and as_of <= date '{as_of}' and model_version = 'all'")
        ),
        drift=_drift(lake.read(t.DRIFT, f"as_of = date '{as_of}'"), platform.settings.reports),
        decisions=[_decision(entry) for entry in _decisions(platform, as_of)],
        run=report,
        memory=MemoryUse(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, engine_limit()),
    )


def _counts(quarantined: pa.Table) -> dict[str, int]:
    return {
        row["values"]: row["counts"]
        for row in quarantined.column("reason").value_counts().to_pylist()
    }


def _decisions(platform: Platform, as_of: date) -> list[Entry]:
    """The entries of `as_of` and the one that promoted the champion, newest first."""
    entries = platform.ledger.entries()
    promoted = next((e for e in entries if e.champion_after != e.champion_before), None)
    return [entry for entry in entries if entry.as_of == as_of or entry is promoted]


def _models(platform: Platform, as_of: date) -> Rows:
    fitted = [day for day in platform.lake.partitions(t.OFFLINE_EVIDENCE) if day <= as_of]
    as_of = max(fitted, default=as_of)
    evidence = platform.lake.read(t.OFFLINE_EVIDENCE, f"as_of = date '{as_of}'")
    aliases = {
        str(version.version): name
        for name in ("champion", "challenger")
        if (version := platform.registry.alias(name)) is not None
    }
    versions = {version.family: version for version in platform.registry.versions(as_of=as_of)}
    with connect() as connection:
        connection.register("evidence", evidence)
        means = connection.execute(
            "select family, count(*) as test_users, avg(recall_at_20), avg(ndcg_at_10) "
            "from evidence group by family order by avg(ndcg_at_10) desc, family"
        ).fetchall()
    rows = []
    for family, test_users, recall, ndcg in means:
        version = versions.get(family)
        metrics = platform.registry.metrics(version) if version is not None else {}
        rows.append(
            {
                "family": family,
                "version": None if version is None else str(version.version),
                "role": None if version is None else aliases.get(str(version.version)),
                "test_users": test_users,
                "test_recall_at_20": recall,
                "test_ndcg_at_10": ndcg,
                "test_prompted_recall_at_20": metrics.get("test_prompted_recall_at_20"),
                "test_coverage_at_20": metrics.get("test_coverage_at_20"),
                "train_recall_at_20": metrics.get("train_recall_at_20"),
            }
        )
    return rows


def _churn(mature: pa.Table) -> Rows:
    with connect() as connection:
        connection.register("mature", mature)
        newest = connection.execute(
            "select as_of, horizon_days, segment, segment_value, users, churned, churn_rate "
            "from mature qualify as_of = max(as_of) over (partition by horizon_days) "
            "order by horizon_days, segment <> 'all', segment, segment_value"
        )
        names = [column[0] for column in newest.description]
        return [dict(zip(names, row, strict=True)) for row in newest.fetchall()]


def _drift(rows: pa.Table, reports: Path) -> dict[str, Any]:
    found = rows.to_pylist()
    drifted = sorted(row["column"] for row in found if row["drifted"])
    page = next((row["report_path"] for row in found), None)
    report = None if page is None else str(reports / page)
    return {"columns": len(found), "drifted": drifted, "report": report}


def _decision(entry: Entry) -> dict[str, Any]:
    look = evaluation_of(entry)
    return {
        "decision": entry.decision,
        "verdict": asdict(explained(entry)),
        "treatment": None if look.treatment is None else str(look.treatment),
        "control": None if look.control is None else str(look.control),
        "as_of": entry.as_of,
        "champion_before": entry.champion_before,
        "champion_after": entry.champion_after,
        "challenger": entry.challenger,
        "reason_codes": list(entry.reason_codes),
        "reasons": list(entry.reasons),
    }
