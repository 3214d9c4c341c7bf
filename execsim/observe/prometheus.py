"""Metrics for a Prometheus server to scrape: http://127.0.0.1:PORT/metrics, the newest snapshot of the run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

from execsim.core.errors import ConfigError
from execsim.engine.histogram import Distribution
from execsim.engine.metrics import CATALOGUE, MetricKind, Sample
from execsim.observe.snapshot import Snapshot

if TYPE_CHECKING:
    from prometheus_client import Metric

HOST: Final = "127.0.0.1"
"""Positions and profit are nobody else's business: who wants them on another machine puts a proxy in front."""
POLL_S: Final = 0.05
"""How long the end of a run waits for the page's thread to notice it."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that breaks off is no news."""


class PrometheusPage:
    """Served by a thread of its own, which sees snapshots and nothing else of the run. Port 0 picks a free one.

    Errors: ConfigError for a port that is taken, and without the extra `metrics`.
    """

    def __init__(self, port: int) -> None:
        try:
            from prometheus_client import CollectorRegistry, MetricsHandler
        except ImportError:
            raise ConfigError("--metrics-port needs prometheus-client", "pip install 'execsim[metrics]'") from None
        self._newest = Snapshot(0, ())
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)  # it asks for `collect` only
        try:
            self._server = _Server((HOST, port), MetricsHandler.factory(registry))
        except OSError as error:
            raise ConfigError(
                f"--metrics-port {port}: {error.strerror}", "name another port, or 0 for a free one"
            ) from None
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(POLL_S,), name="metrics-page", daemon=True
        )
        self._thread.start()
        self.url = f"http://{HOST}:{self._server.server_port}/metrics"

    def publish(self, snapshot: Snapshot) -> None:
        # one assignment: the page's thread sees the old one or the new one
        self._newest = snapshot

    def collect(self) -> Iterator[Metric]:
        """For prometheus_client, in its thread: the newest snapshot as families."""
        from prometheus_client import Metric

        families: dict[str, Any] = {}
        for sample in self._newest.samples:
            family = families.get(sample.name)
            if family is None:
                known = CATALOGUE.get(sample.name)
                about = f"{known.about} ({known.unit})" if known is not None else "a strategy's own"
                family = families[sample.name] = Metric(exposed(sample.name), about, sample.kind.value)
            _add(family, sample)
        yield from families.values()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def exposed(name: str) -> str:
    """exec.latency_ms -> exec_latency_ms."""
    return name.replace(".", "_")


def _add(family: Any, sample: Sample) -> None:
    name, labels, value = family.name, sample.labels, sample.value
    if isinstance(value, Distribution):
        for bound, count in value.cumulative():
            family.add_sample(f"{name}_bucket", {**labels, "le": f"{bound:.12g}"}, count)
        family.add_sample(f"{name}_bucket", {**labels, "le": "+Inf"}, value.count)
        family.add_sample(f"{name}_sum", labels, value.sum)
        family.add_sample(f"{name}_count", labels, value.count)
    else:
        family.add_sample(f"{name}_total" if sample.kind is MetricKind.COUNTER else name, labels, value)
