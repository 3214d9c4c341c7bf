"""Each fault scenario breaks what it says it breaks, and none of what must never break (execsim.testing.audit)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from execsim.core.order import OrderStatus
from execsim.core.units import NS_PER_S
from execsim.exchange.faults import PACKS
from execsim.journal import read, state_of
from execsim.scenario import model
from execsim.scenario.run import Finished, run
from execsim.testing.audit import audit
from execsim.testing.refold import differences

FAULTS = Path(__file__).resolve().parents[2] / "scenarios" / "faults"
NAMES = sorted(path.stem for path in FAULTS.glob("*.toml"))


def play(name: str, out: Path | None = None, *settings: str) -> Finished:
    path = FAULTS / f"{name}.toml"
    return run(model.load(path, None, settings), name, FAULTS, out)


@pytest.fixture(scope="module")
def played(tmp_path_factory: Any) -> dict[str, tuple[Finished, Path]]:
    """Every fault scenario, run once with its trace."""
    found = {}
    for name in NAMES:
        out = tmp_path_factory.mktemp(name)
        found[name] = (play(name, out), out)
    return found


def test_every_pack_has_a_scenario() -> None:
    used = {fault.pack for name in NAMES for fault in model.load(FAULTS / f"{name}.toml").faults}
    assert used == set(PACKS)


@pytest.mark.parametrize("fault", NAMES)
def test_no_order_is_lost_no_fill_is_doubled_and_money_is_conserved(fault: str, played: Any) -> None:
    finished, _ = played[fault]
    wrong = audit(finished.parts.engine, finished.parts.venues)
    assert not wrong, f"{len(wrong)} faults: {wrong[:5]}; replay: uv run execsim run scenarios/faults/{fault}"
    assert finished.parts.engine.blotter.invalid_responses == 0


@pytest.mark.parametrize("fault", NAMES)
def test_the_journal_alone_comes_to_the_same_books(fault: str, played: Any) -> None:
    finished, out = played[fault]
    assert differences(finished.parts.engine, state_of(out / "journal.sqlite")) == []


@pytest.mark.parametrize("fault", [name for name in NAMES if name != "base"])
def test_the_fault_happened_and_made_a_difference(fault: str, played: Any) -> None:
    finished, _ = played[fault]
    counts = finished.parts.venues["polymarket"].exchange.faults.counts
    assert set(counts) == {item.pack for item in model.load(FAULTS / f"{fault}.toml").faults}
    if fault != "duplicate_events":  # hearing a thing twice must make none
        assert finished.summary["journal_sha256"] != played["base"][0].summary["journal_sha256"]
    else:
        assert finished.summary["journal_sha256"] == played["base"][0].summary["journal_sha256"]


def test_the_summary_says_what_was_switched_on(played: Any) -> None:
    summary = played["voided_fill"][0].summary
    assert summary["faults"] == {"polymarket": {"voided_fill": 1}}
    settled = summary["settlement"]["polymarket"]
    assert settled["matched"] == settled["confirmed"] + settled["failed"]
    assert settled["failed"] == summary["fills"]["voided"]
    told = " ".join(summary["assumptions"])
    assert "faults were switched on: voided_fill 1 times" in told
    assert f"{settled['failed']} of {settled['matched']} matches failed on chain" in told
    assert "faults" not in played["base"][0].summary


def bookings(played: Any, name: str) -> list[tuple[float, dict[str, Any]]]:
    """(seconds after the start, what) of every order the venue booked."""
    finished, out = played[name]
    start_ns = finished.record.start_ns
    return [((row.ts_ns - start_ns) / NS_PER_S, row.body) for row in read(out / "trace.sqlite") if row.kind == "booked"]


@pytest.mark.parametrize(
    ("fault", "start_s", "end_s", "post_only"),
    [
        ("engine_restart", 60, 80, False), ("engine_restart", 80, 120, True), ("cancel_only", 60, 120, False),
        ("outage", 90.2, 120, False), ("outage_expire", 90.2, 120, False),
    ],
)  # fmt: skip
def test_nothing_is_booked_while_the_venue_is_halted(
    fault: str, start_s: float, end_s: float, post_only: bool, played: Any
) -> None:
    found = bookings(played, fault)
    inside = [body for at, body in found if start_s <= at < end_s]
    assert all(post_only and body["type"] == "post_only" for body in inside)
    assert bool(inside) == post_only
    assert any(at < start_s for at, _ in found)
    assert any(at > end_s for at, _ in found)


def test_nothing_is_booked_after_a_kill(tmp_path: Path) -> None:
    """A halt of ours: whatever faults do to messages, an order that was not sent before the kill is never booked."""
    strategy = tmp_path / "kills.py"
    code = (FAULTS.parent / "strategies" / "everything.py").read_text()
    kill = "        if turn == 60:\n            ctx._engine.kill('enough')\n"
    strategy.write_text(code.replace("        turn += 1\n", "        turn += 1\n" + kill))
    out = tmp_path / "out"
    finished = play("everything", out, f"strategy.file={strategy}")
    killed = next(row.ts_ns for row in read(out / "journal.sqlite") if row.kind == "kill")
    sent_later = [row for row in read(out / "journal.sqlite") if row.kind == "intent" and row.ts_ns > killed]
    assert not sent_later
    early = {row.order_id for row in read(out / "journal.sqlite") if row.kind == "intent"}
    assert {row.order_id for row in read(out / "trace.sqlite") if row.kind == "booked"} <= early
    assert finished.summary["metrics"]["exec.risk_rejections"] > 50
    assert not audit(finished.parts.engine, finished.parts.venues)


def test_what_each_fault_is_about(played: Any) -> None:
    summaries = {name: finished.summary for name, (finished, _) in played.items()}
    orders = {name: summary["orders"] for name, summary in summaries.items()}
    base = orders["base"]
    assert summaries["voided_fill"]["fills"]["voided"] > 20
    assert orders["early_expiry"]["expired"] > base["expired"]
    assert orders["outage_expire"]["expired"] > base["expired"]
    assert orders["throttle"]["rejected"] > base["rejected"]
    assert orders["balance_lock"]["rejected"] > base["rejected"]
    assert orders["execution_errors"]["rejected"] > base["rejected"] + 20
    ticks = {order.price_i % 100 for order in played["tick_change"][0].record.orders if order.price_i is not None}
    assert ticks == {0} | {price_i for price_i in ticks if price_i % 10 == 0}
    assert len(ticks) > 1
    silent = [order for order in played["lost_ack"][0].record.orders if "no answer" in order.reason]
    assert silent
    late = [row for row in read(played["late_ack"][1] / "trace.sqlite") if row.kind == "answer_late"]
    assert late


def test_the_trace_changes_nothing_and_faults_repeat(played: Any) -> None:
    """Same scenario, same seed, same journal: with the trace and without, whatever goes wrong."""
    assert play("everything").summary["journal_sha256"] == played["everything"][0].summary["journal_sha256"]


def test_a_fault_of_a_name_alone_comes_with_its_own_schedule() -> None:
    finished = play("base", None, "faults=stream_gap, lost_ack")
    counts = finished.parts.venues["polymarket"].exchange.faults.counts
    assert counts["stream_gap"] == 1
    assert counts["lost_ack"] > 20


def test_orders_that_timed_out_are_known_in_the_end(played: Any) -> None:
    """At the end the venue is asked: an order it booked is not left unknown."""
    finished, _ = played["lost_ack"]
    entry = finished.parts.venues["polymarket"].exchange.entry
    unknown = [o for o in finished.record.orders if o.status is OrderStatus.UNKNOWN]
    assert all(entry.find("trader", order.id) is None for order in unknown)
