"""The short form of `benchmarks.random_kills`: kills at random instants change no outcome."""

import random

import pytest

from tests.faults.deeds import DEEDS
from tests.faults.kills import LONG, Killer, place_of


@pytest.mark.parametrize("deed", [name for name in DEEDS if name not in LONG])
def test_a_deed_killed_at_random_ends_as_if_it_had_never_been(killer: Killer, deed: str) -> None:
    found = killer.kill(deed, random.Random(deed), kills=1)

    assert found.places
    assert found.different == ()


def test_a_stack_is_told_by_its_innermost_function_of_ours() -> None:
    stack = """
Timeout (0:00:00.100000)!
Thread 0x1 (most recent call first):
  File "/a/src/firstchair/lake/delta.py", line 5 in write
Thread 0x2 (most recent call first):
  File "/a/lib/python3.11/site-packages/deltalake/writer.py", line 9 in write_deltalake
  File "/a/src/firstchair/lake/delta.py", line 5 in append
  File "/a/src/firstchair/events/ingestion.py", line 3 in ingest
  File "<string>", line 4 in <module>
""".strip()

    assert place_of(stack.splitlines()) == "lake/delta:append"
