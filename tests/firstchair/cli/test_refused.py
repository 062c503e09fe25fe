"""A user's own files with no accepted record: each command says how many, why, where, what next."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import running
from tests.service import Service

LINES = 300


@pytest.fixture(scope="module")
def service(new_home: Callable[[str], Path]) -> Iterator[Service]:
    home = new_home("own")
    folder = home / "landing" / "events"
    folder.mkdir(parents=True)
    for name, field in (("plays.jsonl", "played_at"), ("more.jsonl", "time")):
        record = {
            "event_id": "1",
            "event_type": "play",
            field: "2026-01-05T10:00:00Z",
            "user_id": "me",
        }
        (folder / name).write_text("\n".join([json.dumps(record)] * LINES))
    (folder / "plays.csv").write_text("user,artist")
    with running(home):  # not started and stopped again by each command
        yield Service(home)


def test_run_status_and_doctor_say_what_was_refused_and_why(service: Service) -> None:
    before = service.run("doctor", "--json", code=1)
    refused = service.run("run", code=1)
    found = service.json("status")
    after = service.run("doctor", "--json", code=1)

    assert f"{2 * LINES} of {2 * LINES} records were refused, in 2 objects" in refused.stderr
    assert "missing_field (first: more.jsonl line 1: " in refused.stderr
    assert "objects with new names" in refused.stderr
    assert len(refused.stderr.strip().splitlines()[-2:]) == 2
    assert found["refused"]["records"] == 2 * LINES
    assert found["refused"]["reasons"][0]["object_url"] == "more.jsonl"
    assert "were refused" in found["alerts"][0]["text"]
    for examined in (before, after):
        events = next(f for f in json.loads(examined.stdout) if f["name"] == "events")
        assert (events["state"], "missing_field" in events["detail"]) == ("fails", True)


def test_the_screen_of_status_says_it_too(service: Service) -> None:
    screen = " ".join(service.run("status").stdout.split())

    assert "records were refused" in screen
    assert "1 object under the events URL is not read because of the name" in screen


def test_a_settings_file_that_is_no_toml_is_told_in_two_lines(tmp_path: Path) -> None:
    service = Service(tmp_path / "home")
    for broken in (b"home = [", b"\xff\xfe", b"home = 'a'\nhome = 'b'"):
        (tmp_path / "firstchair.toml").write_bytes(broken)

        refused = service.run("status", code=1)

        assert len(refused.stderr.strip().splitlines()) == 2
        assert "Traceback" not in refused.stderr
        assert "firstchair.toml" in refused.stderr
