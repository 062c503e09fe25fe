"""Board and alert rules ask for series, labels and values that the API gives, and nothing else."""

import json
import re
from collections.abc import Iterator

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from firstchair.http.metrics import exposition
from firstchair.login.logins import LATENCY_BOUNDS, Counts
from tests.deploy.containerfile import ROOT

RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"
BOARD = ROOT / "deploy" / "grafana" / "logins.json"
# A scrape adds it to each series.
OF_THE_SCRAPE = {"job", "instance"}


def given() -> dict[str, set[str]]:
    """Labels of each series that a worker gives."""
    counts = Counts({("champion", "stale"): 1})
    text = exposition(counts, worker="worker", served="version").decode()
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def rules() -> list[dict[str, object]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries() -> Iterator[str]:
    yield from (str(rule["expr"]) for rule in rules())
    for panel in json.loads(BOARD.read_text())["panels"]:
        yield from (target["expr"] for target in panel["targets"])


@pytest.mark.parametrize("query", queries())
def test_every_series_and_label_of_a_query_is_given(query: str) -> None:
    series = given()
    asked = re.findall(r"\bfirstchair_\w+", query)
    grouped = re.findall(r"\b(?:by|ignoring) \(([^)]*)\)", query)
    selected = re.findall(r"(\w+)\s*(?:=~|!=|=)\s*\"", query)

    assert asked and set(asked) <= set(series), query
    labels = set.union(*(series[name] for name in asked)) | OF_THE_SCRAPE
    named = {label.strip() for group in grouped for label in group.split(",")}
    assert named | set(selected) <= labels, query
    assert query.count("(") == query.count(")") and query.count("{") == query.count("}")


def test_a_value_that_is_selected_is_one_that_a_slate_has() -> None:
    fallbacks = set(re.findall(r'fallback="(\w+)"', " ".join(queries())))

    assert fallbacks == {"stale"}


def test_every_rule_waits_has_a_severity_and_says_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]

    assert len(names) == len(set(names)) >= 5
    for rule in rules():
        assert re.fullmatch(r"\d+[mh]", str(rule["for"]))
        assert rule["labels"] in ({"severity": "warning"}, {"severity": "critical"})
        assert set(rule["annotations"]) == {"summary", "description"}  # type: ignore[call-overload]


def expression(alert: str) -> str:
    return next(str(rule["expr"]) for rule in rules() if rule["alert"] == alert)


def test_a_threshold_of_seconds_can_be_passed() -> None:
    # A quantile is never above the largest finite bound of its histogram.
    limits = [
        float(found[1])
        for query in queries()
        if "login_seconds_bucket" in query and (found := re.search(r"> ([\d.]+)$", query))
    ]

    assert limits
    assert all(limit in LATENCY_BOUNDS and limit < LATENCY_BOUNDS[-1] for limit in limits)


def test_what_is_missing_is_not_taken_for_what_is_well() -> None:
    # A comparison of series that are not there finds nothing, so it raises no alert.
    assert expression("FirstchairServesNoLists").endswith("or absent(firstchair_published)")
    before, now = expression("FirstchairNoLogins").split(" unless ")
    assert "offset 1d" in before and "offset" not in now


def test_panels_have_a_meaning_and_do_not_overlap() -> None:
    board = json.loads(BOARD.read_text())
    places = [panel["gridPos"] for panel in board["panels"]]
    cells = [
        (x, y)
        for at in places
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]

    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) == 23
    assert all(panel["description"] for panel in board["panels"])
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
