"""The manifests: existing names, the application's ports and paths, sound bounds, no root."""

import importlib.util
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from firstchair.http.metrics import exposition
from firstchair.login.logins import Counts
from firstchair.settings import Settings
from tests.deploy.containerfile import ROOT, stages

FOLDER = ROOT / "deploy" / "kubernetes"
BASE = FOLDER / "base"
SECRETS = "firstchair-secrets"  # pragma: allowlist secret
Manifest = dict[str, Any]


@cache
def manifests() -> tuple[Manifest, ...]:
    named = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    return tuple(found for name in named for found in yaml.safe_load_all((BASE / name).read_text()))


def of_kind(kind: str) -> list[Manifest]:
    return [found for found in manifests() if found["kind"] == kind]


def named(kind: str, name: str) -> Manifest:
    return next(found for found in of_kind(kind) if found["metadata"]["name"] == name)


def pods() -> dict[str, Manifest]:
    """Template of each workload's pods, by the workload's name."""
    found = {each["metadata"]["name"]: each["spec"]["template"] for each in of_kind("Deployment")}
    jobs = {
        each["metadata"]["name"]: each["spec"]["jobTemplate"]["spec"]["template"]
        for each in of_kind("CronJob")
    }
    return found | jobs


def containers(pod: Manifest) -> list[Manifest]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def config() -> dict[str, str]:
    generated = yaml.safe_load((BASE / "kustomization.yaml").read_text())["configMapGenerator"]
    literals = next(each["literals"] for each in generated if each["name"] == "firstchair-config")
    return dict(literal.split("=", 1) for literal in literals)


def test_each_folder_names_all_of_its_files_and_no_other() -> None:
    for folder in (BASE, FOLDER / "overlays" / "production"):
        kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
        generated = [
            file for each in kustomization["configMapGenerator"] for file in each.get("files", [])
        ]
        mentioned = {
            name for name in kustomization["resources"] if not name.startswith("..")
        } | set(generated)
        assert mentioned == {path.name for path in folder.iterdir() if path.is_file()} - {
            "kustomization.yaml"
        }


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_the_overlay_builds_and_reaches_every_object() -> None:
    overlay = FOLDER / "overlays" / "production"
    built = subprocess.run(
        ["kubectl", "kustomize", str(overlay)], capture_output=True, text=True, check=False
    )

    assert built.returncode == 0, built.stderr
    found = list(yaml.safe_load_all(built.stdout))
    assert {each["metadata"].get("namespace") for each in found if each["kind"] != "Namespace"} == {
        "firstchair"
    }
    assert {each["metadata"]["name"] for each in manifests()} <= {
        each["metadata"]["name"] for each in found
    }
    assert not re.search(r"image: firstchair$", built.stdout, re.MULTILINE)


def test_every_name_that_is_referred_to_exists() -> None:
    generated = yaml.safe_load((BASE / "kustomization.yaml").read_text())["configMapGenerator"]
    maps = {each["name"] for each in generated}
    claims = {each["metadata"]["name"] for each in of_kind("PersistentVolumeClaim")}
    accounts = {each["metadata"]["name"] for each in of_kind("ServiceAccount")} | {"default"}

    for pod in pods().values():
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        assert pod["spec"].get("serviceAccountName", "default") in accounts
        for volume in volumes.values():
            assert volume.get("persistentVolumeClaim", {}).get("claimName") in claims | {None}
            assert volume.get("configMap", {}).get("name") in maps | {None}
        for container in containers(pod):
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= set(volumes)
            for source in container.get("envFrom", []):
                assert source.get("configMapRef", {}).get("name") in maps | {None}
                assert source.get("secretRef", {}).get("name") in {SECRETS, None}


def test_selectors_choose_the_pods_that_are_meant() -> None:
    labels = [pod["metadata"]["labels"] for pod in pods().values()]

    for each in of_kind("Service"):
        chosen = [found for found in labels if each["spec"]["selector"].items() <= found.items()]
        assert len(chosen) == 1
    for each in of_kind("Deployment") + of_kind("PodDisruptionBudget"):
        chosen = [
            found
            for found in labels
            if each["spec"]["selector"]["matchLabels"].items() <= found.items()
        ]
        assert len(chosen) == 1
    (policy,) = of_kind("NetworkPolicy")
    (expression,) = policy["spec"]["podSelector"]["matchExpressions"]
    assert set(expression["values"]) == {
        found["app.kubernetes.io/component"] for found in labels
    } - {"api"}


def test_nobody_is_root_nor_can_become_it() -> None:
    assert len(pods()) == 6
    for pod in pods().values():
        assert (
            pod["spec"]["securityContext"]["runAsNonRoot"],
            pod["spec"]["securityContext"]["runAsUser"],
        ) == (
            True,
            int(stages()[-1].all("USER")[-1].split(":")[0]),
        )
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(pod):
            assert container["image"] == "firstchair"
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert "memory" in container["resources"]["limits"]


def test_no_service_of_the_cluster_overwrites_a_setting() -> None:
    would_be_set = {
        f"{each['metadata']['name'].upper().replace('-', '_')}_PORT" for each in of_kind("Service")
    }

    assert would_be_set & {f"FIRSTCHAIR_{key.upper()}" for key in Settings.model_fields}
    assert all(pod["spec"]["enableServiceLinks"] is False for pod in pods().values())


def test_the_cluster_gives_its_token_to_nobody_but_who_sets_the_floor() -> None:
    trusted = {name for name, pod in pods().items() if pod["spec"]["automountServiceAccountToken"]}

    assert trusted == {"firstchair-floor-up", "firstchair-floor-down"}


def test_settings_are_known_and_every_port_is_the_one_that_is_listened_at() -> None:
    keys = {
        key.removeprefix("FIRSTCHAIR_").lower() for key in config() if key.startswith("FIRSTCHAIR_")
    }
    settings = {key: value for key, value in config().items() if key.endswith("_PORT")}
    commands = {"api": "API", "dagster": "DAGSTER", "mlflow": "MLFLOW"}

    assert keys <= set(Settings.model_fields)
    for each in of_kind("Deployment"):
        (container,) = each["spec"]["template"]["spec"]["containers"]
        *start, service = container["command"]
        assert start == stages()[-1].command[:-1]
        if service in commands:
            ports = {port["name"]: port["containerPort"] for port in container["ports"]}
            assert ports == {"http": int(settings[f"FIRSTCHAIR_{commands[service]}_PORT"])}
            served = named("Service", each["metadata"]["name"])["spec"]["ports"]
            assert [port["targetPort"] for port in served] == ["http"]
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                assert container[probe]["httpGet"]["port"] == "http"


def test_impressions_and_lists_stand_where_the_settings_look_for_them() -> None:
    settings = Settings(home=Path(stages()[-1].environment["FIRSTCHAIR_HOME"]))
    (container,) = pods()["firstchair-api"]["spec"]["containers"]
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pods()["firstchair-api"]["spec"]["volumes"]}

    assert (
        volumes[mounts[str(settings.spool)]["name"]]["persistentVolumeClaim"]["claimName"]
        == "firstchair-spool"
    )
    assert mounts[str(settings.published)]["readOnly"]
    for name in ("firstchair-dagster", "firstchair-dagster-daemon"):
        (pipeline,) = pods()[name]["spec"]["containers"]
        assert str(settings.home) in {mount["mountPath"] for mount in pipeline["volumeMounts"]}
    for claim in of_kind("PersistentVolumeClaim"):
        assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


def place_of(pod: str, path: Path) -> tuple[str, str]:
    """Claim on which a pod has a path, and where on it; no claim: it goes with the pod."""
    spec = pods()[pod]["spec"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    mounts = [
        m for m in spec["containers"][0]["volumeMounts"] if path.is_relative_to(m["mountPath"])
    ]
    nearest = max(mounts, key=lambda mount: len(mount["mountPath"]))
    claim = volumes[nearest["name"]].get("persistentVolumeClaim", {}).get("claimName", "")
    below = path.relative_to(nearest["mountPath"])
    return claim, (Path(nearest.get("subPath", "")) / below).as_posix()


@pytest.mark.parametrize("of", ["published", "spool", "forgotten", "reports", "tokens"])
def test_what_the_api_and_the_pipeline_share_is_on_one_volume(of: str) -> None:
    home = Path(stages()[-1].environment["FIRSTCHAIR_HOME"])
    settings = Settings(home=home, tokens_file=config()["FIRSTCHAIR_TOKENS_FILE"])
    path: Path = getattr(settings, of)

    places = {
        pod: place_of(pod, path)
        for pod in ("firstchair-api", "firstchair-dagster", "firstchair-dagster-daemon")
    }

    assert len(set(places.values())) == 1, places
    assert places["firstchair-api"][0]
    # The folder is there before the claim's part is mounted, and is not root's own.
    claim, there = places["firstchair-api"]
    folder = there.removesuffix("/tokens.json")
    (maker,) = pods()["firstchair-api"]["spec"]["initContainers"]
    assert claim == "firstchair-spool" or f"/claim/{folder}" in maker["command"]


def test_the_autoscaler_has_room_and_the_floor_stays_within_it() -> None:
    scaler = named("HorizontalPodAutoscaler", "firstchair-api")["spec"]
    floors = {
        name: int(pods()[name]["spec"]["containers"][0]["command"][-1])
        for name in pods()
        if "floor" in name
    }
    up, down = (named("CronJob", f"firstchair-floor-{way}")["spec"] for way in ("up", "down"))

    assert named("Deployment", scaler["scaleTargetRef"]["name"])
    assert [metric["type"] for metric in scaler["metrics"]] == ["Pods", "Resource"]
    assert 2 <= scaler["minReplicas"] == floors["firstchair-floor-down"]
    assert scaler["minReplicas"] < floors["firstchair-floor-up"] < scaler["maxReplicas"]
    assert "replicas" not in named("Deployment", "firstchair-api")["spec"]
    assert int(up["schedule"].split()[1]) < int(down["schedule"].split()[1])
    assert up["timeZone"] == down["timeZone"]
    assert pods()["firstchair-floor-up"]["spec"]["containers"][0]["command"][2] == "firstchair-api"


def test_who_sets_the_floor_may_do_nothing_else() -> None:
    (binding,) = of_kind("RoleBinding")

    (rule,) = named("Role", binding["roleRef"]["name"])["rules"]
    assert (rule["resources"], rule["resourceNames"], rule["verbs"]) == (
        ["horizontalpodautoscalers"],
        ["firstchair-api"],
        ["patch"],
    )
    assert [subject["name"] for subject in binding["subjects"]] == ["firstchair-floor"]
    assert pods()["firstchair-floor-up"]["spec"]["serviceAccountName"] == "firstchair-floor"


def test_the_metric_of_the_autoscaler_is_made_from_one_that_is_exposed() -> None:
    (rule,) = yaml.safe_load((FOLDER / "prometheus-adapter.yaml").read_text())["rules"]["custom"]
    wanted = named("HorizontalPodAutoscaler", "firstchair-api")["spec"]["metrics"][0]["pods"][
        "metric"
    ]["name"]
    counts = Counts(slates={("champion", ""): 3})

    exposed = exposition(counts, worker="api-1", served="one").decode()

    assert rule["name"]["as"] == wanted
    assert f"\n{rule['seriesQuery'].split('{')[0]}{{" in exposed


class Cluster(HTTPServer):
    """A server that holds one autoscaler, as the cluster would."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Autoscalers)
        self.seen: list[tuple[str, str | None, str | None]] = []
        self.autoscaler = json.loads(json.dumps(named("HorizontalPodAutoscaler", "firstchair-api")))


class _Autoscalers(BaseHTTPRequestHandler):
    server: Cluster

    def do_PATCH(self) -> None:
        self.server.seen.append(
            (self.path, self.headers["Authorization"], self.headers["Content-Type"])
        )
        patch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.autoscaler["spec"] |= patch["spec"]
        body = json.dumps(self.server.autoscaler).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield found
        found.shutdown()


def test_the_floor_is_set_by_one_patch_with_the_token_of_the_pod(
    cluster: Cluster, tmp_path: Path
) -> None:
    for name, text in {"namespace": "firstchair\n", "token": "a token\n"}.items():
        (tmp_path / name).write_text(text)
    spec = importlib.util.spec_from_file_location("set_floor", BASE / "set_floor.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    now = module.set_floor(f"http://127.0.0.1:{cluster.server_port}", tmp_path, "firstchair-api", 6)

    path = "/apis/autoscaling/v2/namespaces/firstchair/horizontalpodautoscalers/firstchair-api"
    assert cluster.seen == [(path, "Bearer a token", "application/merge-patch+json")]
    assert now == cluster.autoscaler["spec"]["minReplicas"] == 6
    assert cluster.autoscaler["spec"]["maxReplicas"] == 12
