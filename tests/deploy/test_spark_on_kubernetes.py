"""Spark's executors as pods: what a run asks of a cluster, and what their template and script give.

The cluster is a server that answers as Kubernetes' API does and runs the command of each pod here.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from firstchair.lake import java_version
from firstchair.settings import Settings
from tests.deploy.containerfile import ROOT, stages
from tests.deploy.test_kubernetes import named

OVERLAY = ROOT / "deploy" / "kubernetes" / "overlays" / "spark"
SCRIPT = ROOT / "deploy" / "spark" / "spark-executor"
NAMESPACE = "music"
Manifest = dict[str, Any]


def read(name: str) -> Any:
    return yaml.safe_load((OVERLAY / name).read_text())


@cache
def rights() -> tuple[Manifest, ...]:
    return tuple(yaml.safe_load_all((OVERLAY / "rights.yaml").read_text()))


def added(path: str) -> Any:
    """What the patch of the drivers puts there."""
    return next(each["value"] for each in read("driver.yaml") if each["path"] == path)


def config() -> dict[str, str]:
    generated = read("kustomization.yaml")["configMapGenerator"]
    literals = next(each["literals"] for each in generated if each["name"] == "firstchair-config")
    return dict(literal.split("=", 1) for literal in literals)


def environment(pod: dict[str, str]) -> dict[str, str]:
    """Variables of a driver's container, as a kubelet expands them; `pod`: its fields by path."""
    known: dict[str, str] = {}
    for each in added("/spec/template/spec/containers/0/env"):
        source = each.get("valueFrom", {})
        if "fieldRef" in source:
            value = pod[source["fieldRef"]["fieldPath"]]
        elif "configMapKeyRef" in source:
            assert source["configMapKeyRef"]["name"] == "firstchair-config"
            value = config()[source["configMapKeyRef"]["key"]]
        else:
            value = re.sub(r"\$\((\w+)\)", lambda found: known[found[1]], each["value"])
        known[each["name"]] = value
    return known


IN_POD = {"status.podIP": "127.0.0.1", "metadata.name": "d", "metadata.namespace": NAMESPACE}


def test_the_options_are_properties_and_the_overlay_names_all_of_its_files() -> None:
    variables = environment(IN_POD)
    given = {key.removeprefix("FIRSTCHAIR_").lower(): value for key, value in variables.items()}
    settings = Settings(
        home=Path("/var/lib/firstchair"),
        lake_url=config()["FIRSTCHAIR_LAKE_URL"],
        **{key: given[key] for key in ("engine", "spark_master", "spark_options")},
    )
    kustomization = read("kustomization.yaml")

    options = dict(settings.spark_properties)
    (image,) = kustomization["images"]
    template = Path(options["spark.kubernetes.executor.podTemplateFile"])
    mount = added("/spec/template/spec/containers/0/volumeMounts/-")
    assert options["spark.kubernetes.container.image"] == f"{image['name']}:{image['newTag']}"
    assert added("/spec/template/spec/containers/0/image") == image["name"]
    assert str(template.parent) == mount["mountPath"]
    named_files = {
        *("driver.yaml", "console.yaml", "rights.yaml", template.name, "kustomization.yaml"),
    }
    assert {path.name for path in OVERLAY.iterdir()} == named_files


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_the_overlay_builds_and_only_pods_of_runs_are_drivers() -> None:
    built = subprocess.run(
        ["kubectl", "kustomize", str(OVERLAY)], capture_output=True, text=True, check=False
    )

    assert built.returncode == 0, built.stderr
    found = [each for each in yaml.safe_load_all(built.stdout) if each["kind"] == "Deployment"]
    drivers = {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]
        for each in found
        if "firstchair-spark" in each["spec"]["template"]["spec"]["containers"][0]["image"]
    }
    assert set(drivers) == {"firstchair-dagster", "firstchair-dagster-daemon"}
    for pod in drivers.values():
        assert pod["automountServiceAccountToken"]
        assert pod["serviceAccountName"] == "firstchair-pipeline"
        assert {"spark", "home"} <= {volume["name"] for volume in pod["volumes"]}
    (api,) = (each for each in found if each["metadata"]["name"] == "firstchair-api")
    api = api["spec"]["template"]["spec"]
    (lake,) = (m for m in api["containers"][0]["volumeMounts"] if m.get("subPath") == "lake")
    assert lake["mountPath"] == config()["FIRSTCHAIR_LAKE_URL"] and lake["readOnly"]
    assert "/claim/lake" in api["initContainers"][0]["command"]
    account = rights()[1]["subjects"][0]
    assert (account["kind"], account["name"]) == ("ServiceAccount", "firstchair-pipeline")


def test_the_image_adds_spark_by_hash_and_ends_as_the_user_of_the_other() -> None:
    build, final = stages("deploy/spark")

    assert final.base == read("kustomization.yaml")["images"][0]["name"].removesuffix("-spark")
    assert final.instructions[-1] == ("USER", stages()[-1].all("USER")[-1])
    (install,) = build.all("RUN")
    assert {"--require-hashes", "--no-deps"} <= set(install.split())
    assert install.endswith("--requirement pyspark.txt")
    copied = [text.split()[-2] for text in build.all("COPY") + final.all("COPY")]
    assert all((SCRIPT.parent / name).is_file() for name in copied if name != "/opt/spark")
    target = install.split("--target ")[1].split()[0]
    assert final.environment["PYTHONPATH"] == target
    assert any(f"--from=build {target} {target}" in text for text in final.all("COPY"))
    assert os.access(SCRIPT, os.X_OK)


def test_executors_are_confined_as_the_pods_of_runs_are() -> None:
    pod = read("executor.yaml")
    driver = named("Deployment", "firstchair-dagster-daemon")["spec"]["template"]["spec"]
    (container,), (of_driver,) = pod["spec"]["containers"], driver["containers"]

    assert pod["spec"]["securityContext"] == driver["securityContext"]
    assert container["securityContext"] == of_driver["securityContext"]
    assert container["command"] == [SCRIPT.name]
    assert not pod["spec"]["automountServiceAccountToken"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    home = {mount["name"]: mount["mountPath"] for mount in of_driver["volumeMounts"]}["home"]
    assert mounts["home"] == home and set(mounts) == {one["name"] for one in pod["spec"]["volumes"]}
    assert not Path(mounts["spark-local-dir-1"]).is_relative_to(home)


def test_executors_reach_only_the_ports_of_a_driver() -> None:
    options = dict(
        option.split("=", 1) for option in environment(IN_POD)["FIRSTCHAIR_SPARK_OPTIONS"].split()
    )
    policies = {each["metadata"]["name"]: each["spec"] for each in rights()[2:]}
    (entry,) = policies["firstchair-spark-driver"]["ingress"]
    (ports,) = entry["ports"]
    (sender,) = entry["from"]

    first, retries = int(options["spark.driver.port"]), int(options["spark.port.maxRetries"])
    assert (ports["port"], ports["endPort"]) == (first, first + retries)
    assert int(options["spark.driver.blockManager.port"]) == first
    labels = read("executor.yaml")["metadata"]["labels"]
    assert sender["podSelector"]["matchLabels"].items() <= labels.items()


class Cluster(ThreadingHTTPServer):
    """Pods by name, each with the process that its container would be, and what was asked."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Pods)
        self.folder = folder
        self.asked: set[tuple[str, str]] = set()
        self.pods: dict[str, Manifest] = {"d": self._of({"metadata": {"name": "d"}})}
        self.made: list[Manifest] = []
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def _of(self, pod: Manifest) -> Manifest:
        pod["metadata"] |= {"uid": pod["metadata"]["name"], "namespace": NAMESPACE}
        pod["metadata"] |= {"resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        return pod | {"kind": "Pod", "apiVersion": "v1", "status": status}

    def create(self, pod: Manifest) -> Manifest:
        """Run the container's command with its variables."""
        name = pod["metadata"]["name"]
        (container,) = pod["spec"]["containers"]
        fields = {"status.podIP": "127.0.0.1", "metadata.name": name}
        variables = {
            each["name"]: fields[each["valueFrom"]["fieldRef"]["fieldPath"]]
            if "valueFrom" in each
            else each.get("value", "")
            for each in container["env"]
        }
        assert container["command"] == [SCRIPT.name]
        bin_of_python = str(Path(sys.executable).parent)
        variables |= {
            "PATH": f"{bin_of_python}:{os.environ['PATH']}",
            "PYTHONPATH": os.environ["PYTHONPATH"],
            "SPARK_LOCAL_DIRS": str(self.folder),  # in place of the pod's own volume
        }
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [str(SCRIPT), *container["args"]], env=variables, stdout=log, stderr=log
            )
        self.made.append(pod)
        self.pods[name] = self._of(pod)
        return self.pods[name]

    def delete(self, name: str) -> None:
        self.pods.pop(name, None)
        if process := self.processes.get(name):
            process.terminate()

    def chosen(self, query: dict[str, list[str]]) -> list[Manifest]:
        """Pods with the labels of a selector, `a=b` or `a!=b`."""
        selector = ",".join(query.get("labelSelector", []))
        wanted = re.findall(r"([^,=!]+)(!?=)([^,]+)", selector)
        return [
            pod
            for pod in list(self.pods.values())
            if all(
                (pod["metadata"].get("labels", {}).get(label) == value) == (sign == "=")
                for label, sign, value in wanted
            )
        ]


class _Pods(BaseHTTPRequestHandler):
    server: Cluster
    protocol_version = "HTTP/1.1"

    def _handle(self) -> None:
        address = urlsplit(self.path)
        query = parse_qs(address.query)
        found = re.fullmatch(rf"/api/v1/namespaces/{NAMESPACE}/(\w+)(?:/([\w.-]+))?", address.path)
        assert found is not None, self.path
        kind, name = found.groups()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        verb = self._verb(name, query)
        self.server.asked.add((kind, verb))
        if verb == "watch":
            self._answer({}, stream=True)
        elif verb == "create":
            self._answer(self.server.create(json.loads(body)), 201)
        elif verb in {"get", "patch"}:
            self._answer(self.server.pods[name])
        elif verb == "list":
            items = self.server.chosen(query)
            self._answer({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})
        else:
            chosen = (
                [name] if name else [one["metadata"]["name"] for one in self.server.chosen(query)]
            )
            for each in chosen:
                self.server.delete(each)
            self._answer({"kind": "Status", "apiVersion": "v1", "status": "Success"})

    do_GET = do_POST = do_PATCH = do_DELETE = _handle

    def _verb(self, name: str | None, query: dict[str, list[str]]) -> str:
        """The verb by which Kubernetes' rights name a request."""
        if self.command == "GET":
            return "watch" if query.get("watch") == ["true"] else "get" if name else "list"
        if self.command == "DELETE":
            return "delete" if name else "deletecollection"
        return {"POST": "create", "PATCH": "patch"}[self.command]

    def _answer(self, document: Manifest, status: int = 200, *, stream: bool = False) -> None:
        body = b"" if stream else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield found
        found.shutdown()
        for process in found.processes.values():
            process.terminate()
            process.wait()


# Small rows are computed before the compiler that costs more time is of use.
SHORT_LIVED = "-XX:TieredStopAtLevel=1"
# What a run does: its own process, because a process has one Spark.
PROGRAM = """
import sys
from pathlib import Path
from firstchair.lake import SparkSettings, open_session
from firstchair.settings import Settings

settings = Settings(home=Path(sys.argv[1]))
session = open_session(SparkSettings.of(settings))
def named(batches):
    import os, pyarrow as pa
    for batch in batches:
        name = os.environ["SPARK_EXECUTOR_POD_NAME"]
        yield pa.RecordBatch.from_pydict({"pod": [name] * batch.num_rows, "id": batch.column(0)})
rows = session.range(0, 40, 1, 4).mapInArrow(named, "pod string, id bigint")
place = f"file://{SparkSettings.of(settings).scratch}/staged-x"
rows.write.parquet(place)
found = session.read.parquet(place).toArrow()
assert sorted(found["id"].to_pylist()) == list(range(40))
print(*sorted(set(found["pod"].to_pylist())))
"""


@pytest.mark.skipif(java_version() is None, reason="Spark needs Java")
def test_a_run_makes_executors_by_the_template_computes_on_them_and_takes_them_away(
    cluster: Cluster, tmp_path: Path
) -> None:
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    variables = environment(IN_POD) | {
        "FIRSTCHAIR_SPARK_MASTER": f"k8s://http://127.0.0.1:{cluster.server_port}",
        "FIRSTCHAIR_LAKE_URL": str(tmp_path / "lake"),
    }
    # Small enough for a test; no fixed port of this machine.
    options = {
        "podTemplateFile=\\S+": f"podTemplateFile={OVERLAY / 'executor.yaml'}",
        "instances=\\d+": "instances=1",
        "memory(Overhead)?=\\d+g": "memory\\1=512m",
        "([pP]ort)=7078": "\\1=0",
        "$": f" spark.driver.extraJavaOptions={SHORT_LIVED} "
        f"spark.executor.extraJavaOptions={SHORT_LIVED}",
    }
    for pattern, replacement in options.items():
        text = variables["FIRSTCHAIR_SPARK_OPTIONS"]
        variables["FIRSTCHAIR_SPARK_OPTIONS"] = re.sub(pattern, replacement, text)

    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "home")],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )

    logs = {path.name: path.read_text()[-2000:] for path in tmp_path.glob("*.log")}
    assert ran.returncode == 0, (ran.stderr, logs)
    assert set(ran.stdout.split()) <= set(cluster.processes) != set()
    assert set(cluster.pods) == {"d"}
    (container,), (of_template,) = (
        pod["spec"]["containers"] for pod in (cluster.made[0], read("executor.yaml"))
    )
    assert container["volumeMounts"] == of_template["volumeMounts"]
    assert cluster.made[0]["metadata"]["ownerReferences"][0]["name"] == "d"
    (rule,) = rights()[0]["rules"]
    assert {kind for kind, _ in cluster.asked} == set(rule["resources"])
    assert {verb for _, verb in cluster.asked} <= set(rule["verbs"])
