from pathlib import Path

import pytest

from firstchair.errors import SettingsError
from monitoring import load_rules
from monitoring.rules import RULES


def test_the_reviewed_file_can_be_used() -> None:
    rules = load_rules()

    assert rules.triggers.drift.cool_down_days > 0
    assert 0 < rules.drift.alpha < 0.05


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("alpha = 0.005", "alpha = 5.0", "drift.alpha"),
        ("min_records = 200", "min_record = 200", "quality.min_record"),
        ("[triggers.volume]", "[triggers.volumes]", "triggers.volume"),
        ("window_days = 2", "window_days = two", "cannot be read"),
    ],
)
def test_a_rule_that_cannot_be_used_is_named_with_its_place(
    tmp_path: Path, before: str, after: str, told: str
) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(RULES.read_text().replace(before, after, 1))

    with pytest.raises(SettingsError, match=told) as refused:
        load_rules(path)

    assert refused.value.where == str(path)
