"""Reason codes: each is written somewhere, and each that is written is listed and documented."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from firstchair.definitions.metrics import EVERY_GUARDRAIL, HARMED
from firstchair.promotion import Reason
from firstchair.promotion.experiment.harm import deteriorated
from tests.firstchair.readers import ROOT

PROMOTION = ROOT / "src" / "firstchair" / "promotion"
# What else enters a note in the ledger.
OTHERS = (ROOT / "src" / "firstchair" / "commands" / "rotation.py",)
# They read codes; what stands in them is no proof that anybody writes it.
READERS = {"reasons.py", "stages.py", "experiment/outlook.py"}
# Their codes are put together with the name of their metric.
NOT_PROVEN = {Reason(f"{guardrail.metric}_not_proven") for guardrail in EVERY_GUARDRAIL}


def _sources() -> Iterator[ast.Module]:
    for path in sorted(PROMOTION.rglob("*.py")):
        name = str(path.relative_to(PROMOTION))
        if name not in READERS and not name.startswith(("audition/", "migrations/")):
            yield ast.parse(path.read_text())
    yield from (ast.parse(path.read_text()) for path in OTHERS)


def _written(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "Reason":
                yield str(Reason[node.attr])
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            yield str(node.value.value)


def test_every_reason_code_has_a_writer() -> None:
    written = {code for tree in _sources() for code in _written(tree)} | NOT_PROVEN
    written |= {deteriorated(metric) for metric in HARMED}

    assert {str(reason) for reason in Reason} - written == set()


def test_every_reason_code_is_documented_once() -> None:
    section = Path(ROOT, "docs/gate.md").read_text().split("## Reason codes\n")[1].split("\n## ")[0]
    documented = [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")]

    assert sorted(documented) == sorted(Reason)


def test_no_code_is_written_that_is_not_listed() -> None:
    """Codes that are given as plain text, as in `reason_codes=("by_hand",)`."""
    for tree in _sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == "reason_codes":
                plain = [n.value for n in ast.walk(node.value) if isinstance(n, ast.Constant)]
                assert set(plain) <= set(Reason)
                names = [n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)]
                constants = {_constants(tree).get(name) for name in names} - {None}
                assert constants <= set(Reason)


def _constants(tree: ast.Module) -> dict[str, str]:
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        # Of constants, texts alone can be codes.
        and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_its_code_wherever_it_is_printed(reason: Reason) -> None:
    assert f"{reason}" == str(reason) == reason.value
