"""What five extensions do, in a copy of the source with the diffs of docs/extending.md applied.

`python -m tests.extended FOLDER` prints it as one JSON document. FOLDER holds the copy.
"""

import json
import os
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

OURS = {"firstchair", "dagster_project", "monitoring"}
DAY = date(2026, 3, 1)
NOW = datetime(2026, 3, 2, 6, tzinfo=UTC)


def from_copy(folder: Path) -> None:
    """Have every module of ours imported from the copy, whatever this process imported before."""
    for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
        del sys.modules[name]
    sys.path[:0] = [str(folder), str(folder / "src")]


def family(folder: Path) -> dict[str, Any]:
    """Lists of the new family, fitted and after a round trip to disk."""
    import numpy as np

    from firstchair import models
    from tests.firstchair.models.toys import checkerboard

    data = checkerboard(labelled=False)
    data.artists.loc[["a007", "a004"], "followers"] = 9_000, 8_000
    models.fit("followers", data, seed=1).save(folder / "saved")
    model = models.load("followers", folder / "saved")
    lists = model.recommend(data, np.array([0, 1]), 2)
    told = model.explain(data, np.array([0, 1]), lists)
    return {
        "lists": [[str(data.artist_ids[n]) for n in row] for row in lists.artists],
        "reasons": sorted(set(told.sentences.ravel())),
    }


def segment(folder: Path) -> dict[str, Any]:
    """Values of the new segment in engagement and in evidence."""
    import monitoring
    from firstchair.lake import Lake
    from firstchair.lake import tables as t
    from firstchair.promotion.experiment import as_evidence
    from firstchair.promotion.exposure import Span, build_evidence
    from firstchair.promotion.stages import Phase, Stage
    from tests.monitoring.conftest import Story

    story = Story(Lake(str(folder / "lake")))
    for number in range(16):
        key = f"{number * 16 + 5:02x}" * 16
        story.user(key, created_at=datetime(2024 + number % 2, 5, 1, tzinfo=UTC))
        story.shown(key, f"{DAY}T12:00", f"s{number}", "xy")
    lake = story.told()
    monitoring.build_engagement(lake, first=DAY, last=DAY, k_anonymity=1)
    phase = Phase(Stage.CANARY, "2", "1", 0.5, "salt", DAY, DAY)
    build_evidence(
        lake,
        [Span(phase, None)],
        first=DAY,
        last=DAY,
        salt="salt",
        holdout_share=0.0,
        known_until=DAY + timedelta(days=1),
    )
    cells = lake.read(t.ENGAGEMENT_DAILY, "segment = 'cohort'").column("segment_value")
    return {
        "engagement": sorted(set(cells.to_pylist())),
        "evidence": as_evidence(lake.read(t.EVIDENCE)).segments["cohort"].values,
    }


def guardrail() -> dict[str, Any]:
    """Decisions on a challenger with a quarter of the champion's follows, and on its equal."""
    import numpy as np
    import pyarrow as pa

    from firstchair.promotion import LiveRules, Reason
    from firstchair.promotion.experiment import COLUMNS, as_evidence, decide

    users, days = 2_400, 6
    user = np.tile(np.arange(users), days)
    rng = np.random.default_rng(1)
    columns = {name: np.zeros(len(user)) for name in COLUMNS}
    columns |= dict.fromkeys(("lifecycle", "country", "age_group", "gender", "cohort"), "x")
    columns |= {
        "day": np.repeat([DAY + timedelta(days=n) for n in range(days)], users),
        "user_key": [f"u{number}" for number in user],
        "arm": np.where(user % 2, "challenger", "champion"),
        "impressions": 10.0,
        "clicks": rng.binomial(10, 0.1, len(user)),
        "active": 1.0,
        "churned_7": np.nan,
        "churned_14": np.nan,
        "pre_impressions": 280.0,
        "pre_clicks": 28.0,
        "pre_active_days": 28.0,
    }
    columns = {
        name: np.full(len(user), value) if isinstance(value, str | float) else value
        for name, value in columns.items()
    }

    def decided(chances: tuple[float, float]) -> Any:
        followed = rng.binomial(1, np.where(user % 2, chances[1], chances[0])).astype(float)
        rows = pa.table({name: columns[name] for name in COLUMNS} | {"followed": followed})
        return decide(as_evidence(rows), LiveRules())

    worse, equal = decided((0.4, 0.1)), decided((0.4, 0.4))
    metric = next(found for found in worse.metrics if found.name == "follows_per_100")
    return {
        "worse": [str(worse.decision), *map(str, worse.reason_codes)],
        "equal": str(equal.decision),
        "asked": [check.name for check in equal.checks if check.name.startswith("follows")],
        "role": [metric.role, metric.margin],
        "codes": sorted(Reason),
    }


def source_table(folder: Path, url: str) -> dict[str, Any]:
    """Rows of the new table in the lake and in quarantine, and its asset."""
    import sqlalchemy as sa

    from dagster_project.definitions import defs
    from firstchair import events
    from firstchair.definitions.source_tables import OTHER_TABLES
    from firstchair.lake import Lake
    from firstchair.lake import tables as t
    from firstchair.sources import accounts

    engine = sa.create_engine(url)
    rows = [("a", "Blue", 1939), ("b", None, 1990), ("c", "Stax", 1957), ("d", "Late", 3000)]
    rows += [("a", "Blue", 1941)]
    accounts.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("alter table labels drop constraint labels_pkey"))
        for row in rows:
            values = dict(zip(("label_id", "name", "founded"), row, strict=True))
            connection.execute(accounts.SOURCES["labels"].insert(), values)
    engine.dispose()
    lake = Lake(str(folder / "lake"))
    for _ in range(2):
        report = events.build_source_table(lake, sa.make_url(url), OTHER_TABLES[0], now=NOW)
    return {
        "report": [report.read, report.rows, report.quarantined],
        "kept": sorted(lake.read(t.SOURCES["labels"]).column("name").to_pylist()),
        "refused": sorted(
            (row["key"], row["reason"]) for row in lake.read(t.QUARANTINE_ROWS).to_pylist()
        ),
        "assets": {
            spec.key.to_user_string(): spec.group_name for spec in defs().resolve_all_asset_specs()
        },
    }


def trigger(folder: Path, url: str) -> list[list[str]]:
    """Job and causes of the runs that the sensor asks for."""
    import dagster as dg
    import pyarrow as pa
    import sqlalchemy as sa

    from dagster_project.definitions import defs
    from dagster_project.resources import PlatformResource
    from firstchair.lake import Lake
    from firstchair.lake import tables as t
    from firstchair.platform.journal import Journal
    from firstchair.settings import Settings

    lake = Lake(str(folder / "lake"))
    for table in (t.USER_FEATURES, t.INTERACTIONS):
        row = dict.fromkeys(table.schema.names) | {"user_key": "u", "as_of": DAY}
        lake.replace_partition(table, pa.Table.from_pylist([row], schema=table.schema), DAY)
    artists = [
        dict.fromkeys(t.ARTISTS.schema.names) | {"artist_id": f"a{n}", "first_active_on": first}
        for n, first in enumerate((date(1990, 1, 1), DAY - timedelta(days=3)))
    ]
    lake.overwrite(t.ARTISTS, pa.Table.from_pylist(artists, schema=t.ARTISTS.schema))
    journal = Journal(sa.make_url(url))
    journal.migrate()
    opened = SimpleNamespace(
        lake=lake,
        journal=journal,
        registry=SimpleNamespace(versions=lambda **_: []),
        settings=Settings(home=folder),
        now=NOW,
    )

    class Opened(PlatformResource):
        def open(self) -> Any:
            return opened

    with dg.build_sensor_context(
        instance=dg.DagsterInstance.ephemeral(),
        resources={"platform": Opened()},
        definitions=defs(),
    ) as context:
        tick = defs().get_sensor_def("retraining_sensor").evaluate_tick(context)
    return [
        [str(request.job_name), *request.tags["firstchair/causes"].split(",")]
        for request in tick.run_requests or []
    ]


def main(folder: Path) -> None:
    """Print what every extension does."""
    from_copy(folder)
    url = os.environ["FIRSTCHAIR_TESTS_DATABASE"]
    found = {
        "family": family(folder),
        "segment": segment(folder / "segment"),
        "guardrail": guardrail(),
        "source_table": source_table(folder / "source_table", url),
        "trigger": trigger(folder / "trigger", url),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
