"""NativeVenue over lost connections: what happened meanwhile is told, once, whoever placed the orders."""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native_worlds import Memory
from venue_session import GTD, IOC, SELL, SHARE, STEP, quiet
from worlds import START_NS

from execsim.core.errors import (
    ExecError,
    ExecTimeout,
)
from execsim.core.events import (
    MarketResolved,
    OrderFilled,
    OrderGone,
    TickChanged,
    VenueEvent,
)
from execsim.core.order import (
    OrderId,
    OrderStatus,
)
from execsim.exchange.loopback import Loopback
from execsim.ports import Request
from execsim.tape.schema import Kind
from execsim_native import NativeDialect, wire
from execsim_native.codec import plain
from tests.unit.native.clients import SECOND, deaf_world, heard, order, play, world


def away(w: Memory, from_step: float, to_step: float) -> None:
    """No connection between two instants."""
    loopback = w.transport
    assert isinstance(loopback, Loopback)

    def dark(off: bool) -> None:
        loopback.refusing = off
        if off:
            loopback.cut()

    w.runtime.call_at(START_NS + int(from_step * STEP), dark, True)
    w.runtime.call_at(START_NS + int(to_step * STEP), dark, False)


def test_what_happened_while_the_connection_was_lost_is_told_once() -> None:
    tape = quiet().trade(3 * STEP, -1, 4800, 106 * SHARE).level(3 * STEP, 1, 4800, 0)
    tape.add(5 * STEP, Kind.TICK, price=10).trade(40 * STEP, -1, 4800, 4 * SHARE)

    async def script(w: Memory) -> None:
        events = heard(w)
        back: list[int] = []
        w.adapter.watch_reconnects(lambda: back.append(w.runtime.now_ns()))
        away(w, 2, 6)
        await w.adapter.place_order(order(w, "fills"))
        expire_ns = START_NS + 4 * STEP
        await w.adapter.place_order(order(w, "dies", price="0.30", tif=GTD, expire_ns=expire_ns))
        await w.adapter.place_order(order(w, "stays", price="0.20"))
        await w.runtime.sleep_until(START_NS + 5 * STEP)
        assert events == []
        await w.runtime.sleep_until(START_NS + 30 * STEP)
        kinds = [type(event).__name__ for event in events]
        assert kinds == ["OrderFilled", "OrderGone", "TickChanged"]
        assert len(back) == 2  # the account's events and the market data
        assert min(back) > START_NS + 6 * STEP
        filled, gone, _ = events
        assert isinstance(filled, OrderFilled)
        assert (filled.fill.order_id, filled.fill.lots, filled.done) == ("fills", 6 * SHARE, False)
        assert isinstance(gone, OrderGone)
        assert (gone.order_id, gone.lapsed) == ("dies", True)
        await w.runtime.sleep_until(START_NS + 42 * STEP)
        last = events[-1]
        assert isinstance(last, OrderFilled)
        assert (last.fill.order_id, last.fill.lots, last.done) == ("fills", 4 * SHARE, True)

    play(world(tape), script)


def test_a_tick_and_a_resolution_that_were_missed() -> None:
    async def script(w: Memory) -> None:
        events = heard(w)
        away(w, 2, 6)
        await w.adapter.place_order(order(w, "ends"))
        w.runtime.call_at(START_NS + 3 * STEP, w.exchange.refine_ticks, 10)
        await w.runtime.sleep_until(START_NS + 12 * STEP)
        assert {type(event) for event in events} == {OrderGone, TickChanged, MarketResolved}
        assert next(e for e in events if isinstance(e, TickChanged)).tick_i == 10
        resolved = next(e for e in events if isinstance(e, MarketResolved))
        assert (resolved.payoff_i, resolved.paid) == (10_000, True)

    play(world(quiet().add(4 * STEP, Kind.RESOLVE, price=10_000)), script)


def test_orders_from_before_a_restart_end_in_an_outage_and_are_told() -> None:
    """One of a client that was killed and one of this client expire unseen."""

    async def script(w: Memory) -> None:
        expire_ns = START_NS + 4 * STEP
        await w.adapter.place_order(order(w, "left", price="0.30", tif=GTD, expire_ns=expire_ns))
        await w.adapter.aclose()
        again = w.client(w.transport)
        events: list[VenueEvent] = []
        again.events(events.append)
        await again.start()
        await again.place_order(order(w, "mine", price="0.31", tif=GTD, expire_ns=expire_ns))
        away(w, 2, 6)
        await w.runtime.sleep_until(START_NS + 12 * STEP)
        ends = sorted((e.order_id, e.reason, e.lapsed) for e in events if isinstance(e, OrderGone))
        assert ends == [("left", "while we were away", True), ("mine", "while we were away", True)]
        assert len(events) == len(ends)
        await again.aclose()

    play(world(), script)


def test_an_order_whose_ack_was_lost_ends_in_an_outage_and_is_told() -> None:
    """A question about its status is how we know of it."""

    async def script(w: Memory) -> None:
        transport.deaf.add("place")
        with pytest.raises(ExecTimeout):
            await w.adapter.place_order(order(w, "a"))
        transport.deaf.clear()
        expire_ns = START_NS + 4 * STEP
        body = wire.dump(plain(wire.NewOrder.of(order(w, "a", price="0.30", tif=GTD, expire_ns=expire_ns))))
        await transport.request(Request("place", "sim", {"account": "bob"}, body))  # it arrives behind our back
        events = heard(w)
        assert (await w.adapter.get_order_status(OrderId("a"))).status is OrderStatus.WORKING
        away(w, 2, 6)
        await w.runtime.sleep_until(START_NS + 12 * STEP)
        assert [(e.order_id, e.lapsed) for e in events if isinstance(e, OrderGone)] == [("a", True)]

    w, transport = deaf_world(deadline_ms=10)
    play(w, script)


def test_an_order_the_venue_no_longer_knows_is_gone() -> None:
    """It forgot it while we were away: that is told, after the fills, and once, however often the resync is interrupted."""

    async def script(w: Memory) -> None:
        events = heard(w)
        await w.adapter.place_order(order(w, "a"))
        away(w, 2, 6)
        w.runtime.call_at(START_NS + 4 * STEP, forget, w)
        transport.wrong["fills"] = b"{"
        await w.runtime.sleep_until(START_NS + 12 * STEP)
        assert "fills" in transport.asked
        assert events == []  # the resync is not through
        transport.wrong.clear()
        await w.runtime.sleep_until(START_NS + 60 * STEP)
        assert [(e.order_id, e.reason, e.lapsed) for e in events if isinstance(e, OrderGone)] == [
            ("a", "the venue no longer knows it", False)
        ]
        away(w, 62, 64)
        await w.runtime.sleep_until(START_NS + 80 * STEP)
        assert len(events) == 1

    def forget(w: Memory) -> None:
        register = w.exchange.entry._register
        register.withdraw(register.orders["bob", OrderId("a")])

    w, transport = deaf_world()
    play(w, script)


def test_open_orders_are_asked_for_until_the_venue_lists_them() -> None:
    """Start does not wait for it: a venue that is held answers it after `go`."""

    async def script(w: Memory) -> None:
        await w.adapter.place_order(order(w, "left", price="0.30", tif=GTD, expire_ns=START_NS + 8 * STEP))
        await w.adapter.aclose()
        transport.wrong["open"] = b"{"
        again = w.client(w.transport)
        events: list[VenueEvent] = []
        again.events(events.append)
        await again.start()
        await w.runtime.sleep_until(START_NS + 2 * STEP)
        assert transport.asked.count("open") > 1
        transport.wrong.clear()
        await w.runtime.sleep_until(START_NS + 5 * STEP)
        asked = transport.asked.count("open")
        away(w, 6, 10)
        await w.runtime.sleep_until(START_NS + 20 * STEP)
        assert transport.asked.count("open") == asked + 1  # the resync's
        assert [event.order_id for event in events if isinstance(event, OrderGone)] == ["left"]
        await again.aclose()

    w, transport = deaf_world()
    play(w, script)


class Lossy(Loopback):
    """Loses one frame of the account's stream."""

    lose_seq = -1

    def stream(self, url: str) -> Any:
        stream = super().stream(url)
        push = stream.push

        def lossy(frame: bytes) -> None:
            if f'"seq":{self.lose_seq},'.encode() in frame and url.startswith("orders"):
                self.lose_seq = -1
            else:
                push(frame)

        stream.push = lossy  # type: ignore[method-assign]  # in the way of one frame
        return stream


def test_a_lost_frame_is_noticed_and_made_good() -> None:
    tape = quiet().trade(2 * STEP, -1, 4800, 104 * SHARE).trade(4 * STEP, -1, 4800, 6 * SHARE)

    async def script(w: Memory) -> None:
        events = heard(w)
        await w.adapter.place_order(order(w, "a"))
        await w.runtime.sleep_until(START_NS + 20 * STEP)
        lots = [(e.fill.lots // SHARE, e.done) for e in events if isinstance(e, OrderFilled)]
        assert lots == [(4, False), (6, True)]

    w = world(tape)
    transport = Lossy(w.runtime, NativeDialect(), w.desk)
    transport.lose_seq = 1
    w._one_trader(transport)
    play(w, script)


def test_market_data_have_a_gap_while_the_connection_is_lost() -> None:
    tape = quiet().level(3 * STEP, 1, 4900, 5 * SHARE).level(20 * STEP, -1, 5200, 0)

    async def script(w: Memory) -> None:
        seen: list[tuple[int, bool, int | None]] = []
        away(w, 2, 6)
        for step in (1, 4, 10, 22):
            await w.runtime.sleep_until(START_NS + step * STEP)
            seen.append((step, w.books.in_gap("rain"), w.books.top("rain").bid_i))
        assert seen == [(1, False, 4800), (4, True, 4800), (10, False, 4900), (22, False, 4900)]
        assert w.books.top("rain").ask_i == 5300

    play(world(tape), script)


STEPS = st.floats(0.1, 9.9)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(STEPS, st.floats(0, 3)), max_size=4))
def test_engine_and_venue_agree_whenever_the_connection_is_lost(cuts: list[tuple[float, float]]) -> None:
    """Orders that rest, take, expire and are cancelled, through any outages: in the end both sides say the same."""
    tape = quiet().trade(3 * STEP, -1, 4800, 103 * SHARE).level(3 * STEP, 1, 4800, 5 * SHARE)
    tape.trade(5 * STEP, 1, 5300, 4 * SHARE).trade(7 * STEP, -1, 4700, 30 * SHARE).level(7 * STEP, 1, 4800, 0)

    async def script(w: Memory) -> None:
        for at, lasts in cuts:
            away(w, at, at + lasts)
        engine, rt = w.engine, w.runtime

        async def quietly(work: Coroutine[Any, Any, Any]) -> None:
            with suppress(ExecError):
                await work

        for step in range(1, 9):
            await rt.sleep_until(START_NS + step * STEP)
            expire_ns = START_NS + (step + 2) * STEP
            sent = [
                order(w, f"bid{step}", size=5 + step, price="0.48"),
                order(w, f"take{step}", size=5, price="0.53", tif=IOC),
                order(w, f"gtd{step}", size=5, price="0.40", tif=GTD, expire_ns=expire_ns),
                order(w, f"ask{step}", SELL, 5, "0.53"),
            ]
            for each in sent:
                rt.spawn(quietly(engine.submit_order(each)), each.id)
            if step % 3 == 0:
                rt.spawn(quietly(engine.cancel_order(OrderId(f"bid{step - 1}"))), "cancel")
        await rt.sleep(120 * SECOND)
        booked = {o.id: o for o in w.exchange.entry.booked if o.account == "bob"}
        for known in engine.order_tracker.get_all_orders():
            venues = booked.pop(known.id, None)
            if venues is None:
                assert known.status is OrderStatus.REJECTED, (known.id, known.status)
            else:
                assert (known.status, known.filled_lots) == (venues.status, venues.filled_lots), known.id
        assert not booked
        assert engine.portfolio.cash["pUSD"] == w.desk.adapter("bob").held.balances["pUSD"]

    play(world(tape), script)
