"""Every family on a data set through the whole platform, and which of them serves first.

    python -m benchmarks.models.on_platform hetrec-lastfm ../shared/data/hetrec2011-lastfm-2k
    python -m benchmarks.models.on_platform lastfm-1k ../shared/data/lastfm-1k

The set is loaded as a person would, and `firstchair run` fits and measures all families, which all
are contenders. Prints a row a family on the test days of the last day, with the difference of
NDCG@10 from the contender that is named first, paired by user, and what the ledger says of the
first champion. What the loader makes of a set is simulated where the set is silent, so the figures
compare families with each other and say nothing about published ones.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from firstchair.evaluation import paired_bootstrap
from firstchair.lake import connect
from firstchair.lake import tables as t
from firstchair.models import Family
from tests.conftest import running
from tests.service import Service

CONTENDERS = (Family.ALS, *(one for one in Family if one not in {Family.ALS, Family.RANDOM}))
SAMPLES, ALPHA = 1_000, 0.05
METRICS = ("ndcg_at_10", "recall_at_20")


def main() -> None:
    """Load, run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("path", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder, "home"), {"contenders": " ".join(CONTENDERS)})
        with running(service.home):
            service.json("load", asked.dataset, asked.path.resolve())
            service.run("run")
            print(json.dumps({"families": families(service), "decisions": decisions(service)}))


def families(service: Service) -> list[dict[str, Any]]:
    """A row a family: users, means, and the interval of NDCG@10 against the first contender."""
    with connect() as connection:
        evidence = connection.sql(f"""
            select family, user_key, {", ".join(METRICS)}
            from {service.lake.scan(t.OFFLINE_EVIDENCE)}
            qualify as_of = max(as_of) over () order by family, user_key
        """).df()
    usual = evidence[evidence.family == CONTENDERS[0]]
    found = []
    for name, rows in evidence.groupby("family"):
        row = {"family": name, "users": len(rows), **rows[list(METRICS)].mean().round(4)}
        if name != CONTENDERS[0] and usual.ndcg_at_10.mean() > 0:
            assert list(rows.user_key) == list(usual.user_key)
            pair = usual.ndcg_at_10.to_numpy(), rows.ndcg_at_10.to_numpy()
            interval = paired_bootstrap(*pair, samples=SAMPLES, alpha=ALPHA, seed=0)
            row["against_first"] = [interval.relative_difference, interval.lower, interval.upper]
        found.append(row)
    return sorted(found, key=lambda row: -row["ndcg_at_10"])


def decisions(service: Service) -> list[dict[str, Any]]:
    """What the ledger says, entry by entry."""
    entries = service.json("decisions")
    asked = ("kind", "decision", "reason_codes", "reasons", "champion_after")
    return [{name: entry.get(name) for name in asked} for entry in entries]


if __name__ == "__main__":
    main()
