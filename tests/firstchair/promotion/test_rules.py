"""The rules of the gate: checked, recorded, restored, read, and documented as they are."""

import ast
import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstchair.definitions.metrics import EVERY_GUARDRAIL
from firstchair.errors import LedgerError, SettingsError
from firstchair.promotion import GateRules, LiveRules, OfflineRules
from firstchair.settings import Settings
from tests.firstchair.readers import ROOT, modules, read_from

PARTS = {"offline": OfflineRules, "live": LiveRules}
NAMES = [(part, field.name) for part, rules in PARTS.items() for field in fields(rules)]
shares = st.floats(0.001, 0.499)
some_rules = st.builds(
    GateRules,
    offline=st.builds(
        OfflineRules,
        alpha=shares,
        leak_alarm=st.floats(1e-9, 1e9),
        veto_days=st.integers(1, 10**6),
        refresh_needs_canary=st.booleans(),
    ),
    live=st.builds(
        LiveRules,
        min_days=st.integers(1, 35),
        wanted_effect=st.none() | shares,
        sample_ratio_e=st.floats(1.001, 1e6) | st.integers(2, 1_000).map(float),
        blind_needs_person=st.booleans(),
    ),
)


@given(rules=some_rules)
def test_rules_come_back_from_their_record_as_they_were(rules: GateRules) -> None:
    # Postgres gives whole floats back as whole numbers.
    record = json.loads(json.dumps(rules.record()), parse_float=_as_postgres)

    found = GateRules.from_record(record)

    assert found == rules
    assert found.record() == rules.record()
    assert {type(found.live.sample_ratio_e), type(found.live.listen_margin)} == {float}


def _as_postgres(text: str) -> float | int:
    value = float(text)
    return int(value) if value.is_integer() else value


def test_rules_that_a_record_lacks_or_should_not_have_are_named() -> None:
    record = GateRules().record()
    del record["live"]["power"]
    record["offline"]["plan_day"] = 14

    with pytest.raises(LedgerError, match=r"unknown in offline: plan_day.*missing in live: power"):
        GateRules.from_record(record)


@pytest.mark.parametrize("record", [{}, {"offline": None, "live": 5}, {"offline": [], "live": {}}])
def test_a_record_without_rules_is_refused(record: dict[str, Any]) -> None:
    with pytest.raises(LedgerError, match="missing in live: active_margin"):
        GateRules.from_record(record)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [("live", "alpha", 0.5), ("live", "min_days", 2.5), ("offline", "veto_share", "0.05")],
)
def test_a_recorded_rule_out_of_its_range_is_named(part: str, name: str, value: object) -> None:
    record = GateRules().record()
    record[part][name] = value

    with pytest.raises(LedgerError, match=f"{name}: Input should be .*found {value!r}"):
        GateRules.from_record(record)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("harm_days", 0, "greater than or equal to 1"),
        ("alpha", 0.5, "less than 0.5"),
        ("twyman_limit", float("inf"), "finite"),
        ("planned_cv", float("nan"), "finite"),
        ("blind_needs_person", 1, "boolean"),
        ("min_days", 36, "min_days 36 exceeds max_days 35"),
        ("probation_max_days", 27, "probation_min_days 28 exceeds probation_max_days 27"),
    ],
)
def test_a_value_out_of_its_range_is_refused_with_the_range(
    name: str,
    value: Any,
    told: str,
) -> None:
    with pytest.raises(ValueError, match=name) as fault:
        LiveRules(**{name: value})

    assert told in str(fault.value)


def test_a_rule_cannot_be_changed_in_place_and_a_changed_copy_is_checked() -> None:
    rules = LiveRules()

    with pytest.raises(AttributeError):
        rules.alpha = 0.1  # type: ignore[misc]
    with pytest.raises(ValueError, match="alpha"):
        replace(rules, alpha=0.9)


def test_without_settings_the_rules_are_the_defaults_but_for_the_seed() -> None:
    rules = GateRules.of(Settings())

    assert replace(rules, offline=replace(rules.offline, seed=0)) == GateRules()


@pytest.mark.parametrize(("days", "looks"), [(28, 30), (42, 30), (43, 41), (90, 88)])
def test_a_longer_probation_spends_its_error_over_more_evaluations(days: int, looks: int) -> None:
    assert GateRules.of(Settings(probation_max_days=days)).live.looks == looks


def test_settings_that_fit_no_rules_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings().model_copy(update={"stage_min_days": 40})

    with pytest.raises(SettingsError, match="min_days 40 exceeds max_days 35"):
        GateRules.of(settings)


def test_every_rule_is_documented_with_its_default_and_its_setting() -> None:
    defaults, known = GateRules.of(Settings()).record(), _settings_by_rule()
    table = {(part, name): row for part in PARTS for name, row in _rule_table(part).items()}

    assert set(table) == set(NAMES)
    for (part, name), (default, setting) in table.items():
        assert json.loads(default.replace("none", "null")) == defaults[part][name], name
        assert setting == known.get((part, name), ""), name
    undocumented = [
        name
        for rules in PARTS.values()
        for name, field in rules.__pydantic_fields__.items()  # type: ignore[attr-defined]
        if not field.description
    ]
    assert not undocumented


def _rule_table(part: str) -> dict[str, tuple[str, str]]:
    """Default and setting by rule, of the table of a part in docs/gate.md."""
    text = Path(ROOT, "docs/gate.md").read_text()
    section = text.split(f"(`{part}`):\n\n")[1].split("\n\n")[0]
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in section.splitlines()]
    return {name: (default, setting) for name, default, setting, _ in rows[2:]}


# Other values of settings that are no plain numbers.
OTHERS = {
    "wanted_effect": 0.05,
    "exposure_margin": 0.1,
    "contenders": "als blend",
    "first_champion": "xgboost",
}


def _settings_by_rule() -> dict[tuple[str, str], str]:
    """Which setting each rule is built from, seen by what changes with it."""
    usual, found = Settings(), {}
    for name in Settings.model_fields:
        value = getattr(usual, name)
        if isinstance(value, bool):
            other: Any = not value
        elif isinstance(value, int | float):
            other = value * 1.001 if isinstance(value, float) else value + 1
        elif name in OTHERS:
            other = OTHERS[name]
        else:
            continue
        changed = GateRules.of(usual.model_copy(update={name: other})).record()
        before = GateRules.of(usual).record()
        moved = [(part, rule) for part, rule in NAMES if changed[part][rule] != before[part][rule]]
        found |= dict.fromkeys(moved, name)
    return found


def test_every_rule_has_a_reader() -> None:
    owners = frozenset({"rules", "_rules", "offline", "live"})
    trees = modules(("src/firstchair/promotion",), without="src/firstchair/promotion/rules.py")
    read = set().union(*(read_from(tree, owners) for tree in trees), _read_by_rules_themselves())
    read |= {guardrail.margin for guardrail in EVERY_GUARDRAIL}

    assert {name for _, name in NAMES} - read == set()


def _read_by_rules_themselves() -> set[str]:
    """What the estimator's assumptions and the lists of families take from the rules."""
    tree = ast.parse(Path(ROOT, "src/firstchair/promotion/rules.py").read_text())
    methods = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    names = {"assumptions", "contending_families", "first_families"}
    own = [read_from(method, frozenset({"self"})) for method in methods if method.name in names]
    return set().union(*own)
