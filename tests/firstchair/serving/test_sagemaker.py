"""The endpoint's two pages, in the process that SageMaker starts: `serve` on the lists."""

import gzip
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.firstchair.serving.conftest import KEY

PutOut = Callable[..., Path]
SERVE = Path(__file__).parents[3] / "deploy" / "serve"
LINES = {"content-type": "application/jsonlines"}
PATIENCE_SECONDS = 60


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Callable[[], httpx.Client]]:
    """Starts `serve` over `model/` of a temporary folder, and a client of it once it listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SAGEMAKER_BASE_DIR": str(tmp_path),
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "FIRSTCHAIR_HOME": str(tmp_path / "home"),
        "FIRSTCHAIR_EVENTS_URL": str(tmp_path / "events"),
        "FIRSTCHAIR_PSEUDONYM_KEY": KEY.decode(),
    }
    processes: list[subprocess.Popen[bytes]] = []
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)

    def start() -> httpx.Client:
        processes.append(subprocess.Popen([str(SERVE)], env=environment, cwd=tmp_path))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not _listens(client):
            assert time.monotonic() < deadline, "it does not listen"
            time.sleep(0.1)
        return client

    yield start
    client.close()
    for process in processes:
        process.terminate()
        process.wait()


def _listens(client: httpx.Client) -> bool:
    try:
        client.get("/ping")
    except httpx.TransportError:
        return False
    return True


def _delivered(root: Path) -> list[dict[str, Any]]:
    files = sorted((root / "events").rglob("*.jsonl.gz"))
    return [
        json.loads(line)
        for path in files
        for line in gzip.decompress(path.read_bytes()).splitlines()
    ]


def test_users_get_their_slates_and_the_store_has_the_impressions(
    put_copy: PutOut, endpoint: Callable[[], httpx.Client], tmp_path: Path
) -> None:
    shutil.copytree(put_copy(), tmp_path / "model")
    client = endpoint()

    assert client.get("/ping").status_code == 200
    as_json = client.post("/invocations", json=["user-1", {"user_id": "user-2"}, "nobody"])
    as_object = client.post("/invocations", json={"user_ids": ["user-1"]})
    attributes = {"x-amzn-sagemaker-custom-attributes": "k=3&request=abc"}
    as_lines = client.post(
        "/invocations", content='"user-1"\n\n{"user_id":"ü/2"}\n', headers=LINES | attributes
    )
    retried = client.post(
        "/invocations", content='"user-1"\n{"user_id":"ü/2"}', headers=LINES | attributes
    )

    assert [slate["user_id"] for slate in as_json.json()] == ["user-1", "user-2", "nobody"]
    assert [len(slate["items"]) for slate in as_json.json()] == [10, 10, 10]
    assert as_json.json()[2]["fallback"] == "cold_start"
    assert as_object.json()[0]["items"] == as_json.json()[0]["items"]
    assert as_lines.headers["content-type"] == "application/jsonlines"
    slates = [json.loads(line) for line in as_lines.text.splitlines()]
    assert [(slate["user_id"], len(slate["items"])) for slate in slates] == [
        ("user-1", 3),
        ("ü/2", 3),
    ]
    assert retried.text == as_lines.text
    told = [slate for answer in (as_json, as_object) for slate in answer.json()] + slates
    assert {event["event_id"] for event in _delivered(tmp_path)} == {
        f"{slate['slate_id']}-{item['position']}" for slate in told for item in slate["items"]
    }


def test_what_cannot_be_answered_is_a_problem_document(
    put_copy: PutOut, endpoint: Callable[[], httpx.Client], tmp_path: Path
) -> None:
    client = endpoint()

    assert client.get("/ping").status_code == 503
    asked: list[tuple[dict[str, Any], int]] = [
        ({"json": ["user-1"]}, 503),
        ({"json": []}, 422),
        ({"json": {"users": 7}}, 422),
        ({"json": ["user"] * 1001}, 422),
        ({"content": b"{broken"}, 422),
        ({"content": b'"user-1"\n{broken', "headers": LINES}, 422),
        ({"content": b"[" + b" " * (1 << 20) + b"]"}, 413),
        ({"content": gzip.compress(b'["user-1"]'), "headers": {"content-encoding": "gzip"}}, 415),
        ({"json": ["user-1"], "headers": {"x-amzn-sagemaker-custom-attributes": "k=51"}}, 422),
    ]
    for more, expected in asked:
        answer = client.post("/invocations", **more)
        assert (answer.status_code, answer.headers["content-type"]) == (
            expected,
            "application/problem+json",
        )
        assert answer.json()["status"] == expected
    assert client.get("/invocations").json()["status"] == 405
    assert _delivered(tmp_path) == []
    shutil.copytree(put_copy(), tmp_path / "model")
    assert client.get("/ping").status_code == 200
    (tmp_path / "events").write_text("a file where the folder should be")
    assert (
        client.post("/invocations", json=["user-1"]).json()["type"]
        == "urn:firstchair:source_unavailable"
    )
