"""From an export to lists, one data set after another, by the commands that a person types.

`python -m benchmarks.lists_of_exports` writes exports of people with one of two tastes (see
`tests.exports`) in the form of each data set, loads and runs each in a home of its own, and prints
in how many lists the first artists are those of the person's taste that they have not heard (but
for one, which may be an exploration).
"""

import tempfile
import time
from pathlib import Path

from tests.exports import EXPORTS, FIRST, PEOPLE, unheard
from tests.service import Service


def main() -> None:
    """Print one line for each data set."""
    for dataset in EXPORTS:
        with tempfile.TemporaryDirectory() as folder:
            print(_line(dataset, Path(folder)), flush=True)


def _line(dataset: str, folder: Path) -> str:
    EXPORTS[dataset](folder / "exports")
    service = Service(folder / "home")
    began = time.monotonic()
    service.json("load", dataset, folder / "exports", "--start", FIRST.date())
    loaded = time.monotonic()
    service.json("run")
    ran = time.monotonic()
    right = sum(_is_sensible(service, dataset, person) for person in range(1, PEOPLE + 1))
    return (
        f"{dataset}: {right} of {PEOPLE} lists begin with the artists of the person's taste; "
        f"load {loaded - began:.0f} s, run {ran - loaded:.0f} s"
    )


def _is_sensible(service: Service, dataset: str, person: int) -> bool:
    wanted = unheard(dataset, person)
    answer = service.ask("recommend", f"{dataset}-{person}", "-k", len(wanted))
    # One place may be an exploration.
    return len(wanted & {item["name"] for item in answer["items"]}) >= len(wanted) - 1


if __name__ == "__main__":
    main()
