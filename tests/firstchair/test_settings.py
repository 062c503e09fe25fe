"""The configuration: environment over file over defaults, and secrets kept."""

import ast
import os
import stat
from pathlib import Path

import pytest

from firstchair.errors import SettingsError
from firstchair.settings import Settings, load_settings
from tests.firstchair.readers import ROOT, modules, read_from


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_everything_defaults_to_a_place_under_home(elsewhere: Path) -> None:
    settings = load_settings()

    assert settings.home == elsewhere / ".firstchair"
    assert settings.events_url == str(settings.home / "landing" / "events")
    assert settings.lake_url == str(settings.home / "lake")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ('a"b', "'\"'"),
        ("a$b", "'$'"),
        ("a`b", "'`'"),
        ("a\\b", "'\\\\'"),
        ("a\nb", "'\\n'"),
        ("a\udcffb", "udcff"),
        ("a::b", "'::'"),
        ("as_of=x", "'='"),
        ("[a]", "'[', ']'"),
        ("a^b|c", "'^', '|'"),
        ("50%25", "'%25'"),
        ("long/" * 40, "at most 138"),
        ("東京" * 12, "at most 138"),
    ],
)
def test_a_home_that_could_not_be_used_is_refused_before_anything_is_written(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, name: str, told: str
) -> None:
    monkeypatch.setenv("FIRSTCHAIR_HOME", name)

    with pytest.raises(SettingsError, match="1 setting") as fault:
        load_settings()

    assert told in fault.value.what
    assert "FIRSTCHAIR_HOME" in fault.value.where
    assert list(elsewhere.iterdir()) == []


def test_a_lake_in_a_folder_that_could_not_be_read_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FIRSTCHAIR_LAKE_URL", "/data/team=ml/lake")

    with pytest.raises(SettingsError, match=r"lake_url: .* holds '='"):
        load_settings()


def test_the_environment_wins_over_the_file(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_a_misspelt_variable_is_refused_with_the_nearest_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FIRSTCHAIR_STAGE_MIN_DAY", "4")

    with pytest.raises(SettingsError, match="FIRSTCHAIR_STAGE_MIN_DAY is no setting") as fault:
        load_settings()

    assert fault.value.remedy.startswith("Rename it to FIRSTCHAIR_STAGE_MIN_DAYS, or unset it;")


@pytest.mark.parametrize(
    "name",
    [
        "SERVICE_HOST",
        "PORT",
        "API_SERVICE_PORT_HTTP",
        "API_PORT_8000_TCP",
        "API_PORT_8000_TCP_ADDR",
        "DAGSTER_POSTGRES_URL",
        "TESTS_DATABASE",
    ],
)
def test_variables_of_a_cluster_and_of_other_parts_are_no_misspelt_settings(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"FIRSTCHAIR_{name}", "tcp://10.0.0.1:8000")

    assert load_settings().stage_min_days == Settings.model_fields["stage_min_days"].default


def test_a_fault_of_two_settings_together_names_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTCHAIR_S3_ACCESS_KEY_ID", "s3_region")

    with pytest.raises(SettingsError) as fault:
        load_settings()

    assert fault.value.where == (
        "FIRSTCHAIR_S3_ACCESS_KEY_ID and FIRSTCHAIR_S3_SECRET_ACCESS_KEY or s3_access_key_id and "
        "s3_secret_access_key in firstchair.toml"
    )


def test_a_secret_is_made_once_and_readable_by_its_owner_alone() -> None:
    settings = load_settings()

    first, second = settings.secret_pseudonym_key(), load_settings().secret_pseudonym_key()

    assert first == second
    assert stat.S_IMODE((settings.home / "pseudonym_key").stat().st_mode) == 0o600


def test_a_secret_is_on_the_disk_before_anything_is_made_under_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings, synced = load_settings(), []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(os.fstat(number).st_ino))

    settings.secret_pseudonym_key()

    kept = settings.home / "pseudonym_key"
    assert synced == [kept.stat().st_ino, settings.home.stat().st_ino]


@pytest.mark.parametrize("name", ["pseudonym_key", "tombstone_key", "api_token"])
@pytest.mark.parametrize("left", ["", "\n", "\0" * 64])
def test_a_secret_that_lost_its_content_is_refused(name: str, left: str) -> None:
    settings = load_settings()
    settings.home.mkdir()
    (settings.home / name).write_text(left)

    with pytest.raises(SettingsError, match=f"{name} is empty") as fault:
        getattr(settings, f"secret_{name}")()

    assert fault.value.where == str(settings.home / name)
    assert "backup" in fault.value.remedy


def test_secrets_are_hidden_where_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTCHAIR_API_TOKEN", "open-sesame")

    assert "open-sesame" not in repr(load_settings())
    assert load_settings().secret_api_token() == "open-sesame"


@pytest.mark.parametrize("value", ["0", "0.1", "0.2", "0.95"])
def test_the_stage_that_decides_has_a_larger_share_than_the_ramp(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("FIRSTCHAIR_CANARY_SHARE", value)

    with pytest.raises(SettingsError, match="canary_share"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "days", "most"),
    [
        ("stage_min_days", 36, "stage_max_days 35"),
        ("ramp_days", 36, "stage_max_days 35"),
        ("ramp_days_small", 36, "stage_max_days 35"),
        ("stage_success_days", 36, "stage_max_days 35"),
        ("stage_harm_days", 36, "stage_max_days 35"),
        ("stage_segment_days", 36, "stage_max_days 35"),
        ("stage_harm_days", 29, "probation_min_days 28"),
        ("probation_min_days", 43, "probation_max_days 42"),
    ],
)
def test_days_that_come_after_the_end_of_their_stage_are_refused(
    name: str, days: int, most: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"FIRSTCHAIR_{name.upper()}", str(days))

    with pytest.raises(SettingsError, match=f"{name} {days} exceeds {most}"):
        load_settings()


def test_days_that_nobody_set_follow_a_shorter_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, days in (("MIN", 2), ("MAX", 2)):
        monkeypatch.setenv(f"FIRSTCHAIR_STAGE_{name}_DAYS", str(days))
    monkeypatch.setenv("FIRSTCHAIR_PROBATION_MIN_DAYS", "1")

    found = load_settings()

    assert (found.ramp_days, found.ramp_days_small) == (2, 2)
    assert (found.stage_success_days, found.stage_segment_days) == (2, 2)
    assert found.stage_harm_days == 1


@pytest.mark.parametrize("value", ["0", "1", "-0.1", "much"])
def test_a_wanted_effect_is_a_share_between_nothing_and_all(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    assert load_settings().wanted_effect is None
    monkeypatch.setenv("FIRSTCHAIR_WANTED_EFFECT", value)

    with pytest.raises(SettingsError, match="wanted_effect"):
        load_settings()


def test_the_share_of_the_holdout_is_read_under_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().holdout_share == 0.01
    monkeypatch.setenv("FIRSTCHAIR_HOLDOUT_SHARE", "0.05")

    assert load_settings().holdout_share == 0.05


@pytest.mark.parametrize(
    "where", ["FIRSTCHAIR_HOLDBACK_SHARE", "firstchair_holdback_share", "firstchair.toml"]
)
def test_a_setting_under_its_former_name_is_refused_with_the_present_one(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    if where == "firstchair.toml":
        (elsewhere / where).write_text("holdback_share = 0.05\n")
    else:
        monkeypatch.setenv(where, "0.05")

    with pytest.raises(SettingsError) as fault:
        load_settings()

    assert "holdback_share is named holdout_share now" in fault.value.what
    assert "FIRSTCHAIR_HOLDOUT_SHARE" in fault.value.remedy


def test_every_setting_has_a_reader() -> None:
    owners = frozenset({"settings", "_settings", "load_settings"})
    read = set().union(
        *(read_from(tree, owners) for tree in modules(without="src/firstchair/settings.py"))
    )
    own = ast.parse(Path(ROOT, "src/firstchair/settings.py").read_text())
    read |= read_from(own, owners)
    for method in (node for node in ast.walk(own) if isinstance(node, ast.FunctionDef)):
        if method.name in read:
            read |= read_from(method, frozenset({"self"}))

    assert set(Settings.model_fields) - read == set()


def test_every_setting_is_documented_with_its_default() -> None:
    text = Path(ROOT, "docs/operating.md").read_text().split("## Settings\n")[1].split("\n## ")[0]
    documented: dict[str, str] = {}
    for line in (line for line in text.splitlines() if line.startswith("| `")):
        keys, defaults = (cell.replace("`", "").split(",") for cell in line.split("|")[1:3])
        names, values = [[cell.strip() for cell in cells] for cells in (keys, defaults)]
        documented |= zip(names, values if len(values) == len(names) else names, strict=True)

    plain = {
        name: field.default
        for name, field in Settings.model_fields.items()
        if isinstance(field.default, bool | int | float | str) and field.default != ""
    }
    assert set(documented) == set(Settings.model_fields)
    assert {name: documented[name] for name in plain} == {
        name: str(default).lower() if isinstance(default, bool) else str(default)
        for name, default in plain.items()
    }


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("gs://bucket/lake", "neither a folder"),
        ("s3://bucket/a b", "choose s3://bucket/prefix"),
        ("s3://bucket/team=ml", "choose s3://bucket/prefix"),
        ("s3://", "choose s3://bucket/prefix"),
    ],
)
def test_a_store_that_no_table_can_be_on_is_refused(
    monkeypatch: pytest.MonkeyPatch, url: str, why: str
) -> None:
    monkeypatch.setenv("FIRSTCHAIR_LAKE_URL", url)

    with pytest.raises(SettingsError, match=why):
        load_settings()


def test_the_settings_of_s3_are_what_events_and_lake_are_reached_by(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (
        "ENDPOINT_URL", "ENDPOINT_URL_S3", "REGION", "DEFAULT_REGION", "ACCESS_KEY_ID",
        "SECRET_ACCESS_KEY", "SESSION_TOKEN",
    ):  # fmt: skip
        monkeypatch.setenv(f"AWS_{name}", "before")
    monkeypatch.setenv("FIRSTCHAIR_S3_ENDPOINT_URL", "https://objects.example.org")
    monkeypatch.setenv("FIRSTCHAIR_S3_REGION", "eu-west-1")

    load_settings()

    endpoints = {os.environ[f"AWS_ENDPOINT_URL{which}"] for which in ("", "_S3")}
    assert endpoints == {"https://objects.example.org"}
    assert os.environ["AWS_REGION"] == os.environ["AWS_DEFAULT_REGION"] == "eu-west-1"
    assert os.environ["AWS_ACCESS_KEY_ID"] == os.environ["AWS_SESSION_TOKEN"] == "before"

    monkeypatch.setenv("FIRSTCHAIR_S3_ACCESS_KEY_ID", "a key without its secret")
    with pytest.raises(SettingsError, match="set together"):
        load_settings()

    monkeypatch.setenv("FIRSTCHAIR_S3_SECRET_ACCESS_KEY", "its secret")
    load_settings()
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "its secret"  # pragma: allowlist secret
    assert "AWS_SESSION_TOKEN" not in os.environ


WHOLE_PROVIDER = {
    "oidc_issuer": "https://id.example",
    "oidc_client_id": "console",
    "oidc_client_secret": "a secret",  # pragma: allowlist secret
    "oidc_viewers": "staff",
}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"oidc_issuer": "http://id.example"}, "https://"),
        ({"oidc_client_secret": ""}, "oidc_client_secret"),
        ({"oidc_viewers": ""}, "oidc_operators or oidc_viewers"),
        ({"oidc_scopes": "profile"}, "openid"),
    ],
)
def test_an_identity_provider_of_which_something_is_missing_is_refused(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], named: str
) -> None:
    for name, value in (WHOLE_PROVIDER | changed).items():
        monkeypatch.setenv(f"FIRSTCHAIR_{name.upper()}", value)

    with pytest.raises(SettingsError, match=named):
        load_settings()


def test_contenders_are_names_of_families_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTCHAIR_CONTENDERS", "graph-filter, als graph-filter")

    settings = load_settings()

    assert settings.contenders == "graph-filter als"
    assert settings.contending_families == ("graph-filter", "als")


@pytest.mark.parametrize(
    ("contenders", "first", "told"),
    [
        ("als svd", "", "svd: no model family; choose from als, item-item, graph-filter, blend"),
        (" ", "", "no model family is named; choose from als"),
        ("als blend", "xgboost", "xgboost is none of the contenders; choose from als, blend"),
    ],
)
def test_what_is_no_contender_is_refused_with_the_choice(
    monkeypatch: pytest.MonkeyPatch, contenders: str, first: str, told: str
) -> None:
    monkeypatch.setenv("FIRSTCHAIR_CONTENDERS", contenders)
    monkeypatch.setenv("FIRSTCHAIR_FIRST_CHAMPION", first)

    with pytest.raises(SettingsError, match=told):
        load_settings()
