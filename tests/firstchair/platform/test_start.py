"""The mark of a home's first start, also where it lost its content with the machine's power."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from firstchair.platform.start import MARK, first_start, note_first_start, settled_at
from firstchair.settings import Settings


def platform_of(home: Path) -> Any:
    """What the mark needs of a platform."""
    return SimpleNamespace(settings=Settings(home=home), now=datetime.now(UTC))


def test_the_first_start_is_kept_and_the_home_settles_after_it(tmp_path: Path) -> None:
    platform = platform_of(tmp_path)
    assert (first_start(platform), settled_at(platform)) == (None, None)

    first, second = note_first_start(platform), note_first_start(platform)

    assert first == second == first_start(platform)
    platform.now = first
    assert settled_at(platform) == first + timedelta(minutes=platform.settings.settle_minutes)


@pytest.mark.parametrize("left", ["", "\0\0\0", "2026-1"])
def test_a_mark_that_cannot_be_read_is_none_and_is_replaced(tmp_path: Path, left: str) -> None:
    platform = platform_of(tmp_path)
    (tmp_path / MARK).write_text(left)
    assert (first_start(platform), settled_at(platform)) == (None, None)

    noted = note_first_start(platform)

    assert first_start(platform) == noted
