"""The living world through Dagster until a decision: what the gate said, and what is true.

The models are real ALS and XGBoost.

Run with `python -m benchmarks.living_world [--seeds N] [--users N] [--scenario NAME] [--results
FILE]`. Each run is a process with a home of its own: a history with the seeded policy, fits each
morning until a version passes on test days, then day after day what is published is shown until the
challenger is promoted, rejected or held at the horizon; in `taste-shift` until the promoted one is
rolled back or confirmed. A finished run is one JSON line in the results; runs that stand there are
not repeated. The stages are shorter than the specification's, and each decision says so.

What no decision rests on is not materialised: monitoring, and the families that nobody is shown.
The truth of a row is the relative difference of what both versions' lists would give, were they
shown to all, over the days of the stage. CPU time is that of the run's process, without its
Postgres.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

EXPECTED = {
    "better-challenger": "promoted",
    "no-difference": "never promoted",
    "harms-a-segment": "rejected",
    "click-bait": "rejected",
    "taste-shift": "promoted, then rolled back",
}
# Nothing that is decided or shown rests on these.
SPARED = (
    "engagement_daily",
    "engagement_baselines",
    "churn",
    "data_drift",
    "survival",
    "overfit",
    "monitoring_run",
)
SPARED_MODELS = (
    "item_item_model",
    "graph_filter_model",
    "blend_model",
    "content_model",
    "decayed_popularity_model",
    "random_model",
)
ESTIMATE = ("relative_difference", "lower", "upper", "se")
START = date(2026, 1, 1)
ARTISTS, HISTORY_DAYS = 500, 21
# Up to so many mornings until a challenger passes on test days, two ramps of a day, then up to so
# many days at 50 %.
SHADOW, RAMPS, LONGEST, PROBATION = 4, 2, 14, 14
# Tastes shift when a better challenger has had the time to be promoted, a country's as soon as it
# was fitted.
CHANGE_ON = {"taste-shift": HISTORY_DAYS + SHADOW + RAMPS + 8, "harms-a-segment": HISTORY_DAYS}
SHORTENED = {
    "first_champion": "als",
    "list_length": 20,
    "min_test_users": 500,
    # A person who looked would find no leak: what a version with up to twice the NDCG@10 of ALS
    # lists is worth more in truth (docs/gate.md).
    "leak_alarm": 2.0,
    "stage_min_days": 7,
    "stage_max_days": LONGEST,
    "stage_success_days": 5,
    "stage_harm_days": 3,
    "stage_segment_days": 5,
    "stage_success_users": 500,
    "stage_harm_users": 300,
    "ramp_days_small": 1,
    "probation_min_days": PROBATION,
    "probation_max_days": PROBATION,
    "listen_margin": 0.10,
    "active_margin": 0.10,
}


def main() -> None:
    """Do the runs that are not there yet, then print a row of each."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--users", type=int, default=3_000)
    arguments.add_argument("--scenario", choices=list(EXPECTED), action="append")
    arguments.add_argument("--results", type=Path, default=Path("living-world.jsonl"))
    arguments.add_argument(
        "--one", nargs=2, metavar=("SCENARIO", "SEED"), help="do one run here, print its line"
    )
    asked = arguments.parse_args()
    if asked.one:
        print(json.dumps(live_once(asked.one[0], int(asked.one[1]), asked.users), sort_keys=True))
        return
    scenarios = asked.scenario or list(EXPECTED)
    for seed, name in ((seed, name) for seed in range(1, asked.seeds + 1) for name in scenarios):
        done = {(row["scenario"], row["seed"], row["users"]) for row in finished(asked.results)}
        if (name, seed, asked.users) not in done:
            line = in_a_process(name, seed, asked.users)
            with asked.results.open("a") as file:
                file.write(line)
    print_table(finished(asked.results))


def finished(results: Path) -> list[dict[str, Any]]:
    """Runs that stand in the results."""
    return (
        [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    )


def in_a_process(scenario: str, seed: int, users: int) -> str:
    """The line of one run, in a home that is gone after it."""
    with tempfile.TemporaryDirectory(prefix="lw", dir=os.environ.get("LIVING_WORLD_DIR")) as folder:
        settings = {f"FIRSTCHAIR_{name.upper()}": str(value) for name, value in SHORTENED.items()}
        command = [
            sys.executable,
            "-m",
            "benchmarks.living_world",
            "--users",
            str(users),
            "--one",
            scenario,
            str(seed),
        ]
        # User keys, and with them the arms, are a hash under this key: the same for two runs of a
        # seed.
        own = {
            "FIRSTCHAIR_HOME": f"{folder}/home",
            "FIRSTCHAIR_PSEUDONYM_KEY": f"living world {seed}",
        }
        environment = os.environ | settings | own
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        return done.stdout.splitlines()[-1] + "\n"


def live_once(scenario: str, seed: int, users: int) -> dict[str, Any]:
    """One run to its end, as a row: each evaluation of the challenger with the truth behind it."""
    from firstchair.commands.demo import Demo, live
    from firstchair.platform import Platform, open_platform
    from firstchair.settings import load_settings
    from firstchair.world import WorldSpec

    days = (
        HISTORY_DAYS
        + SHADOW
        + RAMPS
        + LONGEST
        + (1 + PROBATION if scenario == "taste-shift" else 0)
    )
    spec = WorldSpec(users, ARTISTS, days, seed, START, scenario, CHANGE_ON.get(scenario))
    platform = open_platform(load_settings())

    def ended(platform: Platform) -> bool:
        return is_end(platform.ledger.entries(), scenario)

    def tell(days: str, stage: str, _done: int, _total: int) -> None:
        print(f"{scenario} {seed}: {days}, {stage}, {time.process_time():.1f}", file=sys.stderr)

    demo = Demo(spec, HISTORY_DAYS)
    live(platform, demo, until=ended, progress=tell, without=(*SPARED, *SPARED_MODELS))
    truth = pd.read_parquet(platform.settings.home / "truth" / "expected.parquet")
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "scenario": scenario,
        "seed": seed,
        "users": users,
        "cpu_seconds": round(sum(used.ru_utime + used.ru_stime for used in spent)),
        "looks": list(looks(platform, truth)),
    }


def is_end(entries: list[Any], scenario: str) -> bool:
    """Whether nothing more is to come of a run after these entries, newest first."""
    last, shadow = entries[0], [entry for entry in entries if entry.evidence["kind"] == "challenge"]
    if last.evidence["phase"] is None:
        return last.evidence["kind"] == "trial" or len(shadow) >= SHADOW
    return bool(last.decision == "promote" and scenario != "taste-shift")


def looks(platform: Any, truth: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Entries about the challenger, oldest first; a shadow entry has the truth of the next day."""
    known: dict[str, Any] = {}
    for entry in reversed(platform.ledger.entries()):
        if entry.evidence["kind"] not in {"challenge", "trial"}:
            continue
        phase = entry.evidence.get("phase_before")
        offered = {
            "on_trial": entry.challenger,
            "standing": entry.champion_after,
            "first_day": entry.as_of.isoformat(),
        }
        end = entry.as_of if phase else entry.as_of + timedelta(days=1)
        known = true_effect(truth, phase or offered, end) or known
        metrics = {found["name"]: found for found in entry.evidence["metrics"]}
        yield {
            "as_of": entry.as_of.isoformat(),
            "decision": entry.decision,
            "stage": phase["stage"] if phase else "shadow",
            "share": phase["share"] if phase else None,
            "days": entry.evidence.get("days"),
            "codes": entry.reason_codes,
            "families": entry.evidence["families"],
            "metrics": {
                name: [found[part] for part in ESTIMATE] for name, found in metrics.items()
            },
            "detectable": entry.evidence.get("minimum_detectable_effect"),
            "segments": {
                f"{found['segment']} {found['value']}": [found["relative_difference"], found["se"]]
                for found in entry.evidence.get("segments", ())
            },
            "checks": {
                check["name"]: check["detail"]
                for check in entry.evidence["checks"]
                if not check["passes"]
            },
            "truth": known,
        }


def true_effect(truth: pd.DataFrame, phase: Any, as_of: date) -> dict[str, Any]:
    """True worth of both lists to all listeners over a phase: relative differences, by country."""
    days = truth[(truth["day"] >= date.fromisoformat(phase["first_day"])) & (truth["day"] < as_of)]
    if days.empty:
        return {}

    def lift(name: str, part: pd.DataFrame) -> float:
        mean = part.groupby("model_version")[name].mean()
        return float(mean[phase["on_trial"]] / mean[phase["standing"]] - 1)

    everybody = days[days["segment"] == "all"]
    last_days = everybody[everybody["day"] >= everybody["day"].max() - pd.Timedelta(days=2)]
    countries = days[days["segment"] == "country"]
    return {
        **{name: lift(name, everybody) for name in ("clicks_per_100", "ctr", "listen_through")},
        "clicks_per_100_lately": lift("clicks_per_100", last_days),
        "by_country": {
            str(value): lift("clicks_per_100", part)
            for value, part in countries.groupby("segment_value")
        },
    }


def print_table(rows: list[dict[str, Any]]) -> None:
    """One row per run: verdict and reasons, day, estimate and truth, what could have been found."""
    columns = [
        "scenario",
        "users",
        "seed",
        "verdict",
        "reasons",
        "day",
        "clicks",
        "truth",
        "listen-through",
        "truth",
    ]
    columns += ["detectable", "country that fares worst"]
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for row in sorted(
        rows, key=lambda row: (list(EXPECTED).index(row["scenario"]), row["users"], row["seed"])
    ):
        for look in ends(row):
            print("| " + " | ".join(cells(row, look)) + " |")
    wanted = sum(came_out(row) for row in rows)
    spent = sum(row["cpu_seconds"] for row in rows) / 60
    print(f"{wanted} of {len(rows)} runs came out as wanted, {spent:.0f} CPU minutes.")


def came_out(row: dict[str, Any]) -> bool:
    """Whether the decisions of a run are those wanted of its scenario."""
    decisions: list[str] = [look["decision"] for look in row["looks"]]
    return {
        "promoted": decisions[-1] == "promote",
        "never promoted": "promote" not in decisions,
        "rejected": decisions[-1] == "reject",
        "promoted, then rolled back": "promote" in decisions and decisions[-1] == "roll_back",
    }[EXPECTED[row["scenario"]]]


def ends(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The promotion where there was one, and the last look."""
    promotions = [look for look in row["looks"][:-1] if look["decision"] == "promote"]
    return [*promotions, row["looks"][-1]]


def cells(row: dict[str, Any], look: dict[str, Any]) -> Iterator[str]:
    """Of one look."""
    yield from (
        row["scenario"],
        f"{row['users']:,}",
        str(row["seed"]),
        look["decision"],
        ", ".join(look["codes"]),
    )
    yield f"{look['days']} of {look['stage']}" if look["days"] else look["stage"]
    shown = (
        ("ndcg_at_10", None) if look["stage"] == "shadow" else ("clicks_per_100", "listen_through")
    )
    for name, of_truth in zip(shown, ("clicks_per_100", "listen_through"), strict=True):
        found, lower, upper = look["metrics"].get(name, [None] * len(ESTIMATE))[:3]
        told = "" if lower is None else f"{found:+.1%} ({lower:+.1%} to {upper:+.1%})"
        yield f"NDCG@10 {told}" if name == "ndcg_at_10" else told
        lately = (
            f", lately {look['truth']['clicks_per_100_lately']:+.1%}"
            if of_lately(look, name)
            else ""
        )
        yield f"{look['truth'][of_truth]:+.1%}{lately}" if look["truth"] else ""
    yield "" if look["detectable"] is None else f"{look['detectable']:.1%}"
    if look["truth"]:
        country, truth = min(look["truth"]["by_country"].items(), key=lambda pair: float(pair[1]))
        found = look["segments"].get(f"country {country}")
        yield f"{country} {truth:+.1%}" + (
            "" if found is None else f", estimate {found[0]:+.1%} ± {found[1]:.1%}"
        )
    else:
        yield ""


def of_lately(look: dict[str, Any], name: str | None) -> bool:
    """Whether a phase spans two tastes, so that the truth of its last three days is given too."""
    return bool(look["truth"]) and name == "clicks_per_100" and look["stage"] == "probation"


if __name__ == "__main__":
    main()
