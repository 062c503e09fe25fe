"""OpenTelemetry: the tracer that the settings ask for; without an address there is none."""

from typing import TYPE_CHECKING, Any

from firstchair.errors import SettingsError
from firstchair.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

TRACER = "firstchair"


def open_tracing(settings: Settings, *, service: str) -> "TracerProvider | None":
    """What makes spans and sends them to `traces_url`; None where that is empty.

    It is not the provider of the process, which libraries such as MLflow would send to as well.

    Args:
        settings: Address and share.
        service: Which of our processes it is, as `service.name`.

    Raises:
        SettingsError: The libraries are not installed.
    """
    if not settings.traces_url:
        return None
    exporter = _exporter(settings.traces_url)
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(settings.traces_share)),
        resource=Resource({SERVICE_NAME: f"firstchair-{service}"}),
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _exporter(url: str) -> Any:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise SettingsError(
            "traces_url is set, and the exporter of OpenTelemetry is not installed.",
            where="traces_url",
            data="Nothing was started.",
            remedy="Install firstchair[traces], or leave the setting empty.",
        ) from error
    return OTLPSpanExporter(endpoint=url)
