"""Days entered by hand, with evidence of a known outcome."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from firstchair.databases import to_driver
from firstchair.lake import Lake, Table
from firstchair.lake import tables as t
from firstchair.models import POPULARITY, Family, Recommender
from firstchair.promotion import Deciding, GateRules, Ledger, OfflineRules, Registry, decide

AS_OF = date(2026, 2, 1)
NEXT_DAY = AS_OF + timedelta(days=1)
NOW = datetime(2026, 2, 1, 6, tzinfo=UTC)
USERS = 400
SALT, HOLDOUT_SHARE = "first", 0.01
HISTORY_DAYS = 28
# Mean NDCG@10 of each family; the one that `decide` compares with is popularity's or the
# champion's.
LEVELS = {
    "als": 0.20,
    "xgboost": 0.20,
    "item-item": 0.15,
    "graph-filter": 0.15,
    "decayed-popularity": 0.10,
    "blend": 0.15,
    "content": 0.05,
    "trending": 0.10,
    "random": 0.01,
    POPULARITY: 0.10,
}


@dataclass
class Audition:
    """A platform's promotion with days entered by hand, each with the levels that the test wants.

    registered: days whose versions are in the registry already, each fitted on `data_of` the day.
    """

    lake: Lake
    registry: Registry
    ledger: Ledger
    fitted: dict[Family, Recommender]
    rules: GateRules
    registered: frozenset[date] = frozenset()

    def enter(
        self,
        as_of: date = AS_OF,
        *,
        fingerprint: str = "",
        apart: str = "",
        noise: float = 0.05,
        **levels: float,
    ) -> None:
        """Versions of every family for a day, and evidence with mean `levels` (NDCG, recall).

        The family `apart` was fitted on other data than the rest.
        """
        self.register(as_of, fingerprint=fingerprint, apart=apart)
        rng = np.random.default_rng(as_of.toordinal())
        values = {}
        for family, level in {**LEVELS, **levels}.items():
            spread = noise * rng.standard_normal(USERS)
            values[family] = level + spread - spread.mean()
        self._put(t.OFFLINE_EVIDENCE, as_of, range(USERS), values)

    def register(self, as_of: date, *, fingerprint: str = "", apart: str = "") -> None:
        """Versions of every family for a day; `apart` was fitted on other data than the rest."""
        for model in self.fitted.values():
            data = fingerprint or data_of(as_of)
            if as_of in self.registered and data == data_of(as_of) and model.family != apart:
                continue
            data += ", changed" if model.family == apart else ""
            self.registry.register(
                model, as_of=as_of, data_fingerprint=data, metrics={}, seed=1, simulated=False
            )

    def remember(self, as_of: date = AS_OF, **levels: float) -> None:
        """What families remember of their training days, as a mean NDCG per user."""
        users = range(USERS // 2, USERS // 2 + USERS)
        spread = 0.05 * np.random.default_rng(as_of.toordinal()).standard_normal(USERS)
        values = {family: level + spread for family, level in levels.items()}
        self._put(t.TRAINING_EVIDENCE, as_of, users, values)

    def led_to(self, as_of: date = AS_OF, **levels: float) -> None:
        """What families find of what slates led half of the users to, as a value of each user."""
        users = range(USERS // 2)
        values = {family: np.full(len(users), level) for family, level in levels.items()}
        self._put(t.PROMPTED_EVIDENCE, as_of, users, values)

    def _put(self, table: Table, as_of: date, users: range, values: dict[str, Any]) -> None:
        """A value of each user by family, for every metric, in place of what stood there."""
        count = len(users) * len(values)
        value = np.concatenate([*values.values()])
        rows = {
            "as_of": [as_of] * count,
            "family": [family for family in values for _ in users],
            "user_key": [f"u{number:05d}" for number in users] * len(values),
            **dict.fromkeys(("recall_at_20", "ndcg_at_10", "ndcg_at_20"), value),
        }
        families = ", ".join(f"'{family}'" for family in values)
        where = f"as_of = '{as_of}' and family in ({families})"
        self.lake.replace_where(table, pa.table(rows, schema=table.schema), where)

    def enter_without_test_users(self, as_of: date = AS_OF) -> None:
        """Versions of every family for a day that has training evidence alone."""
        self.enter(as_of)
        self.remember(as_of, **LEVELS)
        nobody = t.OFFLINE_EVIDENCE.schema.empty_table()
        self.lake.replace_where(t.OFFLINE_EVIDENCE, nobody, f"as_of = '{as_of}'")

    def decide(self, as_of: date = AS_OF) -> Deciding:
        return decide(
            self.lake,
            self.registry,
            self.ledger,
            as_of=as_of,
            now=NOW,
            rules=self.rules,
            salt=SALT,
            holdout_share=HOLDOUT_SHARE,
        )

    def number(self, family: str, as_of: date = AS_OF) -> str:
        return self.registry.versions(as_of=as_of, family=family)[-1].version

    def aliases(self) -> dict[str, str | None]:
        found = {name: self.registry.alias(name) for name in ("champion", "challenger", "previous")}
        return {
            name: None if version is None else version.version for name, version in found.items()
        }


def data_of(as_of: date) -> str:
    """Fingerprint of the data before a day."""
    return f"data of {as_of}"


def logins(first: date, days: int) -> pa.Table:
    """One login a day, so that there is a history to be split."""
    day = [first + timedelta(days=number) for number in range(days)]
    columns = {
        name: pa.nulls(days, t.EVENTS.schema.field(name).type) for name in t.EVENTS.schema.names
    }
    known = {
        "event_id": [f"login {number}" for number in range(days)],
        "event_type": ["login"] * days,
        "event_date": day,
        "occurred_at": [datetime.combine(when, time(12), tzinfo=UTC) for when in day],
        "user_key": ["u00000"] * days,
    }
    return pa.table(columns | known).cast(t.EVENTS.schema)


def registry_at(url: sa.URL, artifacts: Path) -> Registry:
    """The registry whose MLflow keeps its tables in that database."""
    tracking = to_driver(url, "psycopg2").render_as_string(hide_password=False)
    return Registry(tracking, artifacts)


class Copies:
    """Makes auditions that continue another, each with a lake, registry and ledger of its own."""

    def __init__(self, new_database: Callable[[str], sa.URL], folder: Path) -> None:
        self._new_database, self._folder, self._made = new_database, folder, count()

    def __call__(self, a: Audition) -> Audition:
        lake = Lake(str(self._folder / f"audition-{next(self._made)}" / "lake"))
        shutil.copytree(a.lake.url, lake.url)
        ledger, mlflow = a.ledger.url.database, sa.make_url(a.registry.tracking_uri).database
        return replace(
            a,
            lake=lake,
            registry=registry_at(self._new_database(str(mlflow)), a.registry.artifact_root),
            ledger=Ledger(self._new_database(str(ledger))),
        )


def rules(**changed: Any) -> GateRules:
    """Rules for the few users of these tests, in which ALS serves first."""
    few = {"min_test_users": 100, "bootstrap_samples": 200, "first_champion": "als"}
    return GateRules(offline=OfflineRules(**few | changed))
