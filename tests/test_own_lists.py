"""From an export of each documented form to lists whose artists a person would call sensible."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import pytest

from firstchair.datasets import DATASETS
from firstchair.datasets.composition import Dataset, Request
from firstchair.settings import Settings
from firstchair.world import Store, deliver_day, replace_accounts
from tests.conftest import running
from tests.exports import EXPORTS, FIRST, PEOPLE, unheard
from tests.service import Service

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def composed(dataset: str, folder: Path) -> Dataset:
    """Both sources of the exports of one form."""
    EXPORTS[dataset](folder / "exports")
    scratch = folder / "scratch"
    scratch.mkdir()
    request = Request(folder / "exports", scratch, seed=1, start=FIRST.date(), days=10, now=NOW)
    return DATASETS[dataset](request)


@pytest.fixture(scope="module")
def service(
    new_home: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """One service of the people of all forms, run once: a run of each takes half a minute."""
    home, folder = new_home("own data"), tmp_path_factory.mktemp("forms")
    found = []
    for name in EXPORTS:
        (folder / name).mkdir()
        found.append(composed(name, folder / name))
    with running(home) as databases:
        replace_accounts(
            databases.accounts,
            users=chain.from_iterable(one.users for one in found),
            artists={row[0]: row for one in found for row in one.artists}.values(),
            tracks={row[0]: row for one in found for row in one.tracks}.values(),
            truth=home / "truth",
        )
        store = Store(Settings(home=home).events_url, home / "truth")
        for one in found:
            for day in one.days:
                deliver_day(store, day.day, {one.source: day.lines})
        service = Service(home)
        report = service.json("run")
        assert (report["events"]["quarantined"], report["simulated"]) == ({}, False)
        yield service


@pytest.mark.parametrize("dataset", EXPORTS)
def test_a_list_is_of_the_artists_of_a_persons_taste_that_they_have_not_heard(
    service: Service, dataset: str
) -> None:
    for person in (1, PEOPLE):
        wanted = unheard(dataset, person)

        answer = service.ask("recommend", f"{dataset}-{person}", "-k", len(wanted))

        named = {item["name"] for item in answer["items"]}
        assert len(wanted & named) >= len(wanted) - 1, named  # one may be an exploration
        assert answer["model"]["role"] == "champion"
