"""The examples in docstrings give what they say."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = {"src/firstchair": ROOT / "src", "dagster_project": ROOT, "monitoring": ROOT}
WITH_EXAMPLES = sorted(
    ".".join(path.relative_to(above).with_suffix("").parts).removesuffix(".__init__")
    for room, above in ROOMS.items()
    for path in (ROOT / room).rglob("*.py")
    if ">>> " in path.read_text()
)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_of_docstrings_hold(name: str) -> None:
    found = doctest.testmod(import_module(name))

    assert found.attempted
    assert not found.failed
