"""`execsim run --metrics-* --log-*`: a run that is watched while it goes on, over real sockets, and is the same run."""

from __future__ import annotations

import json
import socket
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import connect

WAIT_S = 20

SCRAPES = """
import urllib.request
from pathlib import Path

async def run(ctx):
    market = ctx.markets[0]
    await ctx.sleep(2_000_000_000)
    order = await ctx.submit(market, "buy", 0.48, 10)
    ctx.place(market, "buy", 0.47, 0.000001)
    ctx.metric("edge", "0.02", market=market)
    await ctx.sleep(100_000_000)
    with urllib.request.urlopen("http://127.0.0.1:PORT/metrics", timeout=20) as answer:
        Path(__file__).with_name("scraped.txt").write_bytes(answer.read())
    await ctx.sleep(2_000_000_000)
"""

LISTENS = """
import threading
from pathlib import Path
from websockets.sync.client import connect

async def run(ctx):
    market = ctx.markets[0]
    await ctx.sleep(2_000_000_000)
    heard, first = [], threading.Event()
    def listen():
        with connect("ws://127.0.0.1:PORT") as client:
            for message in client:
                heard.append(message)
                first.set()
        Path(__file__).with_name("heard.jsonl").write_text("\\n".join(heard))
    threading.Thread(target=listen, name="listener").start()
    assert first.wait(20)
    await ctx.submit(market, "buy", 0.48, 10)
    await ctx.sleep(2_000_000_000)
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def said(done: Any) -> list[str]:
    return [line for line in done.err if "compiling the kernel" not in line]


def test_prometheus_scrapes_a_run_while_it_goes_on(execsim: Any, scene: Any, tapes: Path) -> None:
    port = free_port()
    scene.strategy(SCRAPES.replace("PORT", str(port)))
    done = execsim("run", scene.scenario, "--json", "-q", "--metrics-port", port, "--metrics-every", "0.05")
    assert (done.code, said(done)) == (0, [f"execsim: metrics at http://127.0.0.1:{port}/metrics"])
    families = list(text_string_to_metric_families((scene.folder / "scraped.txt").read_text()))
    samples = {s.name: s for family in families for s in family.samples if "le" not in s.labels}
    order = {"venue": "polymarket", "market": "coin", "side": "buy"}
    assert (samples["exec_orders_placed_total"].labels, samples["exec_orders_placed_total"].value) == (order, 1)
    assert samples["exec_orders_rejected_total"].value == 1
    assert samples["exec_open_orders"].value == 1
    assert samples["strategy_edge"].labels == {"market": "coin", "strategy": "strategy"}
    assert samples["strategy_edge"].value == 0.02
    latency = [s for family in families for s in family.samples if s.name == "exec_latency_ms_bucket"]
    assert {s.labels["stage"] for s in latency} == {"validate", "risk", "throttle", "send_ack", "total"}
    summary = json.loads(done.out)
    total = [s for s in latency if s.labels["stage"] == "total"]
    took = summary["metrics"]["exec.latency_ms"]["max"]
    assert all(s.value == (float(s.labels["le"]) >= took) for s in total)
    assert all(sample.labels.get("market", "coin") == "coin" for family in families for sample in family.samples)


def test_a_websocket_hears_frames_to_the_end_of_the_run(execsim: Any, scene: Any, tapes: Path) -> None:
    port = free_port()
    scene.strategy(LISTENS.replace("PORT", str(port)))
    done = execsim("run", scene.scenario, "--json", "--metrics-ws", port)
    assert (done.code, said(done)) == (0, [f"execsim: metrics at ws://127.0.0.1:{port}"])
    for thread in threading.enumerate():
        if thread.name == "listener":
            thread.join(WAIT_S)
    frames = [json.loads(line) for line in (scene.folder / "heard.jsonl").read_text().splitlines()]
    assert all(list(frame) == ["timestamp", "metric_type", "metric_name", "value", "labels"] for frame in frames)
    summary = json.loads(done.out)
    last = [frame for frame in frames if frame["timestamp"] == frames[-1]["timestamp"]]
    placed = [frame["value"] for frame in last if frame["metric_name"] == "exec.orders_placed"]
    assert sum(placed) == summary["metrics"]["exec.orders_placed"] == 1
    with pytest.raises(ConnectionRefusedError), connect(f"ws://127.0.0.1:{port}"):
        pass


def test_a_file_of_frames_ends_as_the_summary_does(execsim: Any, scene: Any, tapes: Path) -> None:
    path = scene.folder / "metrics.jsonl"
    done = execsim("run", scene.scenario, "--json", "--metrics-file", path, "--metrics-every", "0.5")
    assert (done.code, said(done)) == (0, [])
    frames = [json.loads(line) for line in path.read_text().splitlines()]
    times = sorted({frame["timestamp"] for frame in frames})
    assert {after - before for before, after in pairwise(times[:-1])} == {500}
    metrics = json.loads(done.out)["metrics"]
    last: dict[str, int] = {}
    for frame in frames:
        if frame["timestamp"] == times[-1] and frame["metric_name"] in metrics and frame["metric_type"] == "counter":
            last[frame["metric_name"]] = last.get(frame["metric_name"], 0) + frame["value"]
    assert last == {name: value for name, value in metrics.items() if name != "exec.latency_ms" and value}


def test_who_watches_changes_nothing(execsim: Any, scene: Any, tapes: Path) -> None:
    alone = json.loads(execsim("run", scene.scenario, "--json").out)
    everything = (
        "--metrics-port",
        0,
        "--metrics-ws",
        0,
        "--metrics-file",
        scene.folder / "m",
        "--metrics-every",
        0.02,
    )
    watched = json.loads(execsim("run", scene.scenario, "--json", *everything, "--log-level", "debug").out)
    assert watched["journal_sha256"] == alone["journal_sha256"]
    without = {"wall_s", "events_per_s"}
    assert {k: v for k, v in watched.items() if k not in without} == {
        k: v for k, v in alone.items() if k not in without
    }


def test_the_log_is_asked_for(execsim: Any, scene: Any, tapes: Path) -> None:
    assert said(execsim("run", scene.scenario, "--json")) == []
    done = execsim("run", scene.scenario, "--json", "--log-level", "debug", "--log-format", "json")
    lines = [json.loads(line) for line in said(done)]
    about = [line for line in lines if line["logger"] == "execsim.engine"]
    assert {line["event"] for line in about} >= {"send", "ack", "done"}
    for line in about:
        assert (line["venue"], line["market"]) == ("polymarket", "coin")
        assert line["side"] in ("buy", "sell")
        assert line["order_id"] in line["msg"]
    summary = json.loads(done.out)
    assert sum(line["event"] == "send" for line in about) == summary["orders"]["sent"]
    text = execsim("run", scene.scenario, "--json", "--log-level", "DEBUG")
    assert any(" level=DEBUG logger=execsim.engine " in line for line in said(text))


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("--log-level", "loud"), "log level 'loud' does not exist; one of: DEBUG"),
        (("--log-format", "xml"), "log format 'xml' does not exist; one of: text, json"),
        (("--metrics-file", "no/such/folder/m"), "--metrics-file no/such/folder/m: No such file or directory"),
        (("--metrics-port", 70_000), "Invalid value for '--metrics-port'"),
        (("--metrics-every", 0), "Invalid value for '--metrics-every'"),
        (("--metrics-ws", 0, "--set", "engine.enable_metrics=false"), "metrics are switched off"),
    ],
)
def test_what_cannot_be_watched_is_said_in_one_line(
    execsim: Any, scene: Any, tapes: Path, options: Any, what: str
) -> None:
    done = execsim("run", scene.scenario, *options)
    assert done.code == 2
    assert what in said(done)[-1]
    assert done.out == ""


def test_a_port_in_use_is_said_before_anything_is_replayed(execsim: Any, scene: Any, tapes: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = execsim("run", scene.scenario, "--metrics-port", port, "--out", scene.out)
    assert done.code == 2
    assert done.err == [
        f"execsim: ConfigError: --metrics-port {port}: Address already in use; name another port, or 0 for a free one"
    ]
    assert not scene.out.exists()
