"""The configuration: environment over file over defaults, and secrets kept."""

import stat
from pathlib import Path

import pytest

from firstchair.errors import SettingsError
from firstchair.settings import load_settings


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_everything_defaults_to_a_place_under_home(elsewhere: Path) -> None:
    settings = load_settings()

    assert settings.home == elsewhere / ".firstchair"
    assert settings.events_url == str(settings.home / "landing" / "events")
    assert settings.lake_url == str(settings.home / "lake")


def test_the_environment_wins_over_the_file(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (elsewhere / "firstchair.toml").write_text('k_anonymity = 30\nlake_url = "file-lake"\n')
    monkeypatch.setenv("FIRSTCHAIR_LAKE_URL", "env-lake")

    settings = load_settings()

    assert (settings.k_anonymity, settings.lake_url) == (30, "env-lake")


def test_an_unknown_key_names_itself_and_the_choices(elsewhere: Path) -> None:
    (elsewhere / "firstchair.toml").write_text("k_anonimity = 30\n")

    with pytest.raises(SettingsError) as fault:
        load_settings()

    assert "k_anonimity" in fault.value.what
    assert "k_anonymity" in fault.value.remedy


def test_a_secret_is_made_once_and_readable_by_its_owner_alone() -> None:
    settings = load_settings()

    first, second = settings.secret_pseudonym_key(), load_settings().secret_pseudonym_key()

    assert first == second
    assert stat.S_IMODE((settings.home / "pseudonym_key").stat().st_mode) == 0o600


def test_secrets_are_hidden_where_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTCHAIR_API_TOKEN", "open-sesame")

    assert "open-sesame" not in repr(load_settings())
    assert load_settings().secret_api_token() == "open-sesame"


@pytest.mark.parametrize("value", ["0", "1", "-0.1", "much"])
def test_a_wanted_effect_is_a_share_between_nothing_and_all(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    assert load_settings().wanted_effect is None
    monkeypatch.setenv("FIRSTCHAIR_WANTED_EFFECT", value)

    with pytest.raises(SettingsError, match="wanted_effect"):
        load_settings()
