"""What `doctor` finds where something is not well."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

from firstchair.commands.doctor import Finding, examine
from firstchair.definitions.checks import CheckState
from firstchair.settings import Settings
from tests.service import Lived, Service

POLLED_SECONDS = 0.01


def found(settings: Settings) -> dict[str, Finding]:
    return {finding.name: finding for finding in examine(settings)}


def test_a_platform_that_ran_is_well(lived: Lived) -> None:
    findings = lived.service.ask("doctor")

    # No artist of this service was ever merged.
    states = {finding["name"]: finding["state"] for finding in findings}
    assert states.pop("catalogue") == "not_applicable"
    assert set(states.values()) == {"passes"}


def test_an_empty_home_wants_events_and_says_how_to_get_some(tmp_path: Path) -> None:
    refused = Service(tmp_path / "home").run("doctor", "--json", code=1)

    findings = {finding["name"]: finding for finding in json.loads(refused.stdout)}
    assert findings["events"]["state"] == "fails"
    assert "firstchair simulate" in findings["events"]["remedy"]
    unknown = {name: found["missing"] for name, found in findings.items() if found["missing"]}
    assert unknown == {"lake": "the first run", "models": "the first decision"}
    assert {findings[name]["state"] for name in unknown} == {"not_enough_data"}


def test_objects_that_are_not_read_for_their_names_are_told(tmp_path: Path) -> None:
    (tmp_path / "landing" / "events").mkdir(parents=True)
    (tmp_path / "landing" / "events" / "plays.csv").write_text("user,artist")

    finding = found(Settings(home=tmp_path))["events"]

    assert finding.state is CheckState.FAILS
    assert "1 object under the events URL is not read because of the name" in finding.detail
    assert "1 ending in .csv (first: plays.csv)" in finding.detail


@contextmanager
def answering(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """Port of a server of this machine that answers by `handler`; without methods: 501."""
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, args=[POLLED_SECONDS], daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_a_taken_port_and_a_database_out_of_reach_are_each_told(tmp_path: Path) -> None:
    with answering(BaseHTTPRequestHandler) as port:
        findings = found(
            Settings(
                home=tmp_path,
                dagster_port=port,
                database_url="postgresql://nobody@127.0.0.1:9/x",
                source_database_url="postgresql://nobody@127.0.0.1:9/x",
            )
        )

    assert str(port) in findings["ports"].detail
    assert findings["databases"].state is CheckState.FAILS
    assert "FIRSTCHAIR_DATABASE_URL" in findings["databases"].remedy
    assert findings["packages"].state is CheckState.PASSES


def test_ports_on_which_the_platform_itself_answers_are_well(tmp_path: Path) -> None:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"status":"ok"}')

        def log_message(self, *_: object) -> None:
            pass

    with answering(Answers) as port:
        findings = found(Settings(home=tmp_path, api_port=port))

    assert f"in use by something else: {port}" not in findings["ports"].detail
