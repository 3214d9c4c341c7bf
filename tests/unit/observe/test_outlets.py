"""Prometheus page, WebSocket and file, each read by somebody else's client over real sockets."""

from __future__ import annotations

import json
import logging
import re
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from execsim.core.errors import ConfigError
from execsim.engine import EngineConfig, ExecutionEngine, Metrics
from execsim.engine.metrics import FILLED, PLACED, Sample
from execsim.observe.jsonlines import FrameFile
from execsim.observe.prometheus import PrometheusPage
from execsim.observe.publish import Publisher
from execsim.observe.snapshot import Snapshot
from execsim.observe.websocket import CLIENTS_MAX, FrameServer
from execsim.runtime import WallRuntime
from execsim.testing import StepRuntime

WAIT_S = 20
SERIES = 8
"""of `filled`"""
NAMES = ["timestamp", "metric_type", "metric_name", "value", "labels"]
QUOTES = 'a "quoted" \\ name\nof two lines, é'


def filled() -> Metrics:
    metrics = Metrics()
    for side, count in (("buy", 2), ("sell", 5)):
        metrics.count(PLACED, ("polymarket", QUOTES, side), count)
    for ms in (1, 2.5, 2.6, 90, 10**6):
        metrics.stage("send_ack", ("polymarket", "rain", "buy"), round(ms * 1e6))
    metrics.gauge("strategy.pnl", ("pUSD",), -1.25)
    metrics.own.record("edge", "0.5", "gauge", {"strategy": "maker"})
    metrics.own.record("edge", "0.7", "gauge", {"strategy": "maker", "market": "rain"})
    metrics.own.record("requotes", 3, "counter", {})
    metrics.own.record("hold_s", 1.5, "histogram", {})
    return metrics


def snapshot(metrics: Metrics | None = None, ts_ns: int = 1_700_000_000_123_456_789) -> Snapshot:
    return Snapshot(ts_ns, tuple((metrics or filled()).samples()))


@pytest.fixture
def page() -> Iterator[PrometheusPage]:
    found = PrometheusPage(0)
    yield found
    found.close()


@pytest.fixture
def server() -> Iterator[FrameServer]:
    found = FrameServer(0)
    yield found
    found.close()


def scrape(page: PrometheusPage) -> dict[str, Any]:
    with urllib.request.urlopen(page.url, timeout=WAIT_S) as answer:
        text = answer.read().decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def test_prometheus_reads_every_series(page: PrometheusPage) -> None:
    assert scrape(page) == {}
    page.publish(snapshot())
    families = scrape(page)
    assert {name: family.type for name, family in families.items()} == {
        "exec_orders_placed": "counter", "exec_latency_ms": "histogram", "strategy_pnl": "gauge", "strategy_edge": "gauge",
        "strategy_requotes": "counter", "strategy_hold_s": "histogram",
    }  # fmt: skip
    placed = families["exec_orders_placed"]
    assert placed.documentation == "orders handed to a venue (orders)"
    assert [(s.name, s.labels, s.value) for s in placed.samples] == [
        ("exec_orders_placed_total", {"venue": "polymarket", "market": QUOTES, "side": side}, count)
        for side, count in (("buy", 2), ("sell", 5))
    ]
    assert [(s.labels, s.value) for s in families["strategy_edge"].samples] == [
        ({"strategy": "maker"}, 0.5), ({"market": "rain", "strategy": "maker"}, 0.7),
    ]  # fmt: skip
    latency = families["exec_latency_ms"].samples
    assert {tuple(sorted(set(s.labels) - {"le"})) for s in latency} == {("market", "side", "stage", "venue")}
    buckets = {float(s.labels["le"]): s.value for s in latency if s.name == "exec_latency_ms_bucket"}
    assert (buckets[0.5], buckets[1.0], buckets[2.5], buckets[5.0], buckets[50.0], buckets[100.0]) == (0, 1, 2, 3, 3, 4)
    assert list(buckets) == sorted(buckets)
    assert (buckets[100_000.0], buckets[float("inf")]) == (4, 5)
    rest = {s.name: s.value for s in latency if s.name != "exec_latency_ms_bucket"}
    assert rest == {"exec_latency_ms_sum": 1_000_096.1, "exec_latency_ms_count": 5}


def test_prometheus_may_ask_for_the_newer_format(page: PrometheusPage) -> None:
    page.publish(snapshot())
    asked = urllib.request.Request(page.url, headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    with urllib.request.urlopen(asked, timeout=WAIT_S) as answer:
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        families = {family.name: family.type for family in open_metrics(answer.read().decode())}
    assert (families["exec_orders_placed"], families["exec_latency_ms"]) == ("counter", "histogram")


def test_a_page_shows_the_newest_snapshot_only(page: PrometheusPage) -> None:
    metrics = Metrics()
    for count in (1, 2):
        metrics.count(FILLED, ("v", "m", "buy"))
        page.publish(snapshot(metrics))
        assert [s.value for s in scrape(page)["exec_orders_filled"].samples] == [count]


@pytest.mark.parametrize(("outlet", "option"), [(PrometheusPage, "--metrics-port"), (FrameServer, "--metrics-ws")])
def test_a_port_in_use_is_a_clear_error(outlet: Any, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"{option} {port}: Address already in use; name another port"):
            outlet(port)
    found = outlet(port)
    assert urlsplit(found.url).port == port
    found.close()


def test_servers_answer_this_machine_only(page: PrometheusPage, server: FrameServer) -> None:
    for url in (page.url, server.url):
        assert urlsplit(url).hostname == "127.0.0.1"


def frames(client: ClientConnection, count: int) -> list[dict[str, Any]]:
    return [json.loads(client.recv(timeout=WAIT_S)) for _ in range(count)]


def test_frames_have_the_shape_that_is_promised(server: FrameServer) -> None:
    server.publish(snapshot())
    with connect(server.url) as client:
        found = frames(client, SERIES)
    assert all(list(frame) == NAMES for frame in found)
    assert found[0] == {
        "timestamp": 1_700_000_000_123,
        "metric_type": "counter",
        "metric_name": "exec.orders_placed",
        "value": 2,
        "labels": {"venue": "polymarket", "market": QUOTES, "side": "buy"},
    }
    latency = next(frame for frame in found if frame["metric_name"] == "exec.latency_ms")
    assert latency["metric_type"] == "histogram"
    assert latency["value"] == {"count": 5, "sum": 1_000_096.1, "p50": 3.0, "p99": 1_000_000.0, "max": 1_000_000.0}


def test_a_client_gets_what_comes_and_at_the_end_the_last(server: FrameServer) -> None:
    metrics = Metrics()
    metrics.count(PLACED, ("v", "m", "buy"))
    server.publish(snapshot(metrics))
    with connect(server.url) as first, connect(server.url) as second:
        assert [frame["value"] for frame in frames(first, 1) + frames(second, 1)] == [1, 1]
        metrics.count(PLACED, ("v", "m", "buy"))
        server.publish(snapshot(metrics))
        assert frames(first, 1)[0]["value"] == 2
        server.publish(snapshot(metrics))
        metrics.count(PLACED, ("v", "m", "buy"))
        server.publish(snapshot(metrics))
        server.close()
        for client in (first, second):
            values = [json.loads(message)["value"] for message in client]
            assert values[-1] == 3
            assert values == sorted(values)


def test_a_client_that_does_not_read_holds_up_nobody() -> None:
    server = FrameServer(0, farewell_s=0.05)
    big = Snapshot(
        1, tuple(Sample("x" * 1000, s.kind, s.labels, s.value) for s in filled().samples() for _ in range(1000))
    )
    server.publish(big)
    with connect(server.url, max_queue=1) as client:
        client.recv(timeout=WAIT_S)
        for _ in range(5):
            server.publish(big)
        server.close()
        assert len(list(_rest(client))) < 5 * len(big.samples)


def _rest(client: ClientConnection) -> Iterator[Any]:
    """What still comes until the connection is closed or cut off."""
    with suppress(ConnectionClosed):
        yield from client


def test_what_a_client_says_is_of_no_interest(server: FrameServer) -> None:
    with connect(server.url) as client:
        client.send("hello")
        server.publish(snapshot())
        assert len(frames(client, SERIES)) == SERIES


def test_too_many_clients_are_turned_away(server: FrameServer) -> None:
    server.publish(snapshot())
    with ExitStack() as stack:
        for _ in range(CLIENTS_MAX):
            stack.enter_context(connect(server.url)).recv(timeout=WAIT_S)
        late = stack.enter_context(connect(server.url))
        with pytest.raises(ConnectionClosed, match=r"1013.*16 clients"):
            late.recv(timeout=WAIT_S)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example"])
def test_pages_of_other_sites_are_refused(server: FrameServer, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refusal, connect(server.url, origin=origin):  # type: ignore[arg-type]
        pass
    assert refusal.value.response.status_code == 403


def test_a_dashboard_on_this_machine_is_welcome(server: FrameServer) -> None:
    server.publish(snapshot())
    with connect(server.url, origin="http://localhost:3000") as client:  # type: ignore[arg-type]
        assert frames(client, 1)


def test_who_speaks_plain_http_is_told(server: FrameServer) -> None:
    plain = HTTPConnection("127.0.0.1", urlsplit(server.url).port or 0, timeout=WAIT_S)
    plain.request("GET", "/")
    assert plain.getresponse().status == 426
    plain.close()


def test_a_file_holds_a_frame_a_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    file = FrameFile(path)
    file.publish(snapshot(ts_ns=10**9))
    assert len(path.read_text().splitlines()) == SERIES
    file.publish(snapshot(ts_ns=2 * 10**9))
    file.close()
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [frame["timestamp"] for frame in lines] == [1_000] * SERIES + [2_000] * SERIES
    assert lines[:SERIES] == list(snapshot(ts_ns=10**9).frames())


def test_a_file_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    for path, why in ((tmp_path, "Is a directory"), (tmp_path / "no" / "where", "No such file or directory")):
        with pytest.raises(ConfigError, match=f"--metrics-file {path}: {why}; name a file"):
            FrameFile(path)


class Shelf:
    """Keeps what it is given; `full` after some."""

    def __init__(self, room: int = 1_000) -> None:
        self.room = room
        self.kept: list[Snapshot] = []

    def publish(self, snapshot: Snapshot) -> None:
        if len(self.kept) == self.room:
            raise OSError(28, "No space left on device")
        self.kept.append(snapshot)

    def close(self) -> None: ...


def engine_of(runtime: StepRuntime, enabled: bool = True) -> ExecutionEngine:
    return ExecutionEngine(EngineConfig(enable_metrics=enabled), runtime)


def test_one_look_a_period_of_run_time() -> None:
    runtime, shelf = StepRuntime(), Shelf()
    engine = engine_of(runtime)
    publisher = Publisher([shelf])
    publisher.publish()
    assert shelf.kept == []
    publisher.start(engine, runtime, default_ns=10)
    runtime.drain(until_ns=35)
    publisher.publish()
    assert [s.ts_ns for s in shelf.kept] == [0, 10, 20, 30, 30]
    faster = Publisher([Shelf(), shelf], period_ns=2)
    faster.start(engine_of(runtime), runtime, default_ns=10)
    runtime.drain(until_ns=33)
    assert [s.ts_ns for s in shelf.kept[5:]] == [30, 32]


def test_it_looks_in_wall_time_too() -> None:
    runtime, shelf = WallRuntime(7), Shelf()
    engine = ExecutionEngine(EngineConfig(), runtime)

    async def main() -> None:
        Publisher([shelf]).start(engine, runtime, default_ns=1_000_000)
        while len(shelf.kept) < 3:
            await runtime.sleep(1_000_000)

    runtime.run(main=main())
    times = [s.ts_ns for s in shelf.kept]
    assert times == sorted(times)
    assert times[2] - times[0] >= 2_000_000


def test_an_outlet_that_fails_is_dropped_and_the_run_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    runtime, full, well = StepRuntime(), Shelf(room=2), Shelf()
    publisher = Publisher([full, well])
    publisher.start(engine_of(runtime), runtime, default_ns=10)
    with caplog.at_level(logging.WARNING):
        runtime.drain(until_ns=45)
    assert (len(full.kept), len(well.kept)) == (2, 5)
    assert [r.message for r in caplog.records] == ["metrics: Shelf gets no more: [Errno 28] No space left on device"]


def test_metrics_that_are_switched_off_cannot_be_shown() -> None:
    runtime = StepRuntime()
    with pytest.raises(ConfigError, match="switched off"):
        Publisher([Shelf()]).start(engine_of(runtime, enabled=False), runtime, 10)


def programs() -> list[str]:
    """Those of docs/metrics.md."""
    page = Path(__file__).resolve().parents[3] / "docs" / "metrics.md"
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


def test_the_client_on_the_page_works(server: FrameServer) -> None:
    [program] = [text for text in programs() if "websockets" in text]
    heard, first = [], threading.Event()

    def note(*words: object) -> None:
        heard.append(words)
        first.set()

    source = program.replace("ws://127.0.0.1:9109", server.url)
    assert source != program
    client = threading.Thread(target=exec, args=(source, {"print": note}))
    client.start()
    server.publish(snapshot())
    assert first.wait(WAIT_S)
    server.close()
    client.join(WAIT_S)
    assert heard == [(1_700_000_000_123, -1.25, "pUSD")]


def test_the_reader_of_a_file_on_the_page_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [program] = [text for text in programs() if "open(" in text]
    monkeypatch.chdir(tmp_path)
    file = FrameFile(Path("metrics.jsonl"))
    file.publish(snapshot())
    file.close()
    scope: dict[str, Any] = {}
    exec(program, scope)
    assert len(scope["last"]) == SERIES
    assert scope["last"]["strategy.pnl", "pUSD"] == -1.25
