"""Traces: a login and a run as spans, of no user; nothing of it where it is off."""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, time
from pathlib import Path

import dagster as dg
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from dagster_project.tracing import spans_of
from firstchair.errors import SettingsError
from firstchair.hosts.diskless import Parcels
from firstchair.http.worker import traced
from firstchair.login.logins import Logins
from firstchair.login.traced import TracedLogins
from firstchair.platform.tracing import open_tracing
from firstchair.publication.published import open_published
from firstchair.settings import Settings
from tests.firstchair.serving.conftest import AS_OF, KEY


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> TracerProvider:
    made = TracerProvider()
    made.add_span_processor(SimpleSpanProcessor(exporter))
    return made


def test_a_traced_login_answers_as_any_and_its_span_names_no_user(
    put_copy: Callable[..., Path], provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    published = open_published(put_copy())
    now = datetime.combine(AS_OF, time(12), UTC).timestamp()
    plain = Logins(published, Parcels("w"), pseudonym_key=KEY, seed=1)
    tracer = provider.get_tracer("firstchair")
    logins = TracedLogins(published, Parcels("w"), pseudonym_key=KEY, seed=1, tracer=tracer)

    expected, found = (json.loads(one.login("user-3", 5, now)) for one in (plain, logins))

    (span,) = exporter.get_finished_spans()
    assert found | {"slate_id": ""} == expected | {"slate_id": ""}
    assert span.name == "login"
    assert dict(span.attributes or {}) == {
        "firstchair.k": 5,
        "firstchair.published": published.version,
        "firstchair.role": found["model"]["role"],
        "firstchair.model": f"{found['model']['name']} {found['model']['version']}",
        "firstchair.fallback": found["fallback"] or "",
        "firstchair.items": 5,
        "firstchair.explores": len({item["propensity"] for item in found["items"]}) > 1,
    }
    assert "user-3" not in span.to_json()


def test_the_steps_of_a_run_are_spans_within_it(
    provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    @dg.resource
    def traces(context: dg.InitResourceContext):  # type: ignore[no-untyped-def]
        assert context.run is not None and context.instance is not None
        with spans_of(context.instance, context.run, provider):
            yield

    @dg.asset(required_resource_keys={"traces"})
    def users() -> None: ...

    @dg.asset(required_resource_keys={"traces"}, deps=[users])
    def catalogue() -> None:
        raise ValueError("of ann@example.org")

    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize(
            [users, catalogue],
            instance=instance,
            resources={"traces": traces},
            raise_on_error=False,
        )

    spans: dict[str, ReadableSpan] = {span.name: span for span in exporter.get_finished_spans()}
    assert set(spans) == {"users", "catalogue", "run"}
    whole = spans["run"]
    for name in ("users", "catalogue"):
        parent = spans[name].parent
        assert parent is not None and parent.span_id == whole.context.span_id
    assert spans["users"].status.status_code is StatusCode.UNSET
    assert spans["catalogue"].status.status_code is StatusCode.ERROR
    assert not any("ann@example" in span.to_json() for span in spans.values())


def test_without_an_address_logins_are_the_plain_ones(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)

    assert traced(settings) is Logins
    assert open_tracing(settings, service="run") is None


def test_without_the_libraries_the_setting_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)

    with pytest.raises(SettingsError, match="exporter of OpenTelemetry is not installed"):
        open_tracing(Settings(home=tmp_path, traces_url="http://127.0.0.1:9"), service="run")
