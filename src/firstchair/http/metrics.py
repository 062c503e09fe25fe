"""Metrics of a worker for Prometheus; counters are plain numbers, which cost logins nothing."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from firstchair.login.logins import LATENCY_BOUNDS, Counts


class _Worker(Collector):
    def __init__(
        self, counts: Counts | None, worker: str, served: str | None, unreadable: int
    ) -> None:
        self.counts, self.worker, self.served = counts or Counts(), worker, served
        self.unreadable = unreadable

    def collect(self) -> Iterator[Metric]:
        slates = CounterMetricFamily(
            "firstchair_slates", "Slates shown", labels=["worker", "role", "fallback"]
        )
        for (role, fallback), count in sorted(self.counts.slates.items()):
            slates.add_metric([self.worker, role, fallback], count)
        yield slates
        cumulative, buckets = 0, []
        bounds = [*(str(bound) for bound in LATENCY_BOUNDS), "+Inf"]
        for bound, count in zip(bounds, self.counts.latency, strict=True):
            cumulative += count
            buckets.append((bound, cumulative))
        latency = HistogramMetricFamily(
            "firstchair_login_seconds", "Making an answer", labels=["worker"]
        )
        latency.add_metric([self.worker], buckets, self.counts.seconds)
        yield latency
        ready = GaugeMetricFamily(
            "firstchair_published", "Lists are served", labels=["worker", "version"]
        )
        ready.add_metric([self.worker, self.served or ""], 0 if self.served is None else 1)
        yield ready
        spoilt = GaugeMetricFamily(
            "firstchair_spool_unreadable_bytes",
            "Accepted lines of the spool that cannot be read and are kept aside",
            labels=["worker"],
        )
        spoilt.add_metric([self.worker], self.unreadable)
        yield spoilt


def exposition(
    counts: Counts | None, *, worker: str, served: str | None, unreadable: int = 0
) -> bytes:
    """Prometheus text of one worker.

    Each series has the worker's name as a label, because another worker may answer the next
    request. All workers of a home report the same `unreadable`, bytes of one spool.
    """
    registry = CollectorRegistry()
    registry.register(_Worker(counts, worker, served, unreadable))
    return generate_latest(registry)
