"""The venue's own doings: time, limits, gaps, halts, ticks, resolutions."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from venue_session import (
    BUY,
    ENTRY_NS,
    GTD,
    IOC,
    MARKET,
    PROFILE,
    RESPONSE_NS,
    SELL,
    SHARE,
    STEP,
    Session,
    Stage,
    cents,
    quiet,
)
from worlds import MS, START_NS

from execsim.core.errors import ExecError, RateLimitExceeded, VenueError
from execsim.core.limits import CANCELS, ORDERS, Bucket, LimitRule
from execsim.core.order import Cause, OrderId, OrderStatus
from execsim.tape.schema import Kind


class Doings(Stage):
    """What happens to orders without anybody asking."""

    def test_nothing_waits_for_a_row(self) -> None:
        """No row for ten seconds: acks, fills, expiries and refusals come at their own times."""
        if not self.has_minutes:
            pytest.skip("a GTD order of this venue lives for minutes of wall time")
        tape = quiet()

        async def script(s: Session) -> None:
            rt, second = s.runtime, s.world.wire.gtd_second_ns
            lapse_ns = START_NS + 4 * second
            expire_ns = lapse_ns + s.world.wire.gtd_early_ns
            await rt.sleep_until(START_NS + second)
            dies = s.send(s.order("dies", BUY, 10, "0.48", tif=GTD, expire_ns=expire_ns))
            takes = s.send(s.order("takes", BUY, 10, "0.52", tif=IOC))
            await rt.sleep_until(START_NS + 2 * second)
            assert dies.ack is not None
            assert takes.ack is not None
            assert ("done", "takes", 10) in s.log
            assert await s.open() == ["dies"]
            await rt.sleep_until(START_NS + 5 * second)
            assert s.engine.get_order(OrderId("dies")).status is OrderStatus.EXPIRED
            ended = OrderStatus.EXPIRED if s.world.wire.lapses else OrderStatus.CANCELLED
            assert await s.known("dies") == (ended, 0, 10)
            late = s.send(s.order("late", BUY, 10, "0.48", tif=GTD, expire_ns=expire_ns))
            whole = s.send(s.order("whole", BUY, 190, "0.48"))
            await rt.sleep_until(START_NS + 6 * second)
            assert isinstance(late.error, ExecError)
            assert whole.ack is not None  # the expired order's claim was given back

        s = self.play(tape, script, speed=20)
        second = s.world.wire.gtd_second_ns
        lapse_ns = START_NS + 4 * second
        lapse = next(u for u in s.updates if u.event.value == "lapse")
        if s.world.exact:
            assert lapse.ts_ns == lapse_ns + RESPONSE_NS
            s.filled_at(s.fills[0], START_NS + second + ENTRY_NS)
        assert lapse_ns <= lapse.ts_ns < START_NS + 5 * second
        assert START_NS + second <= s.fills[0].ts_ns < START_NS + 2 * second

    def test_the_rate_limit_says_when_to_come_back(self) -> None:
        orders = LimitRule("orders", ORDERS, Bucket("10", 2), per_order=True)
        profile = replace(PROFILE, limits=(orders, LimitRule("cancels", CANCELS, Bucket("10", 1))))

        async def script(s: Session) -> None:
            sent = [s.send(s.order(name, BUY, 10, "0.48")) for name in "abc"]
            await s.answers()
            assert [x.ack is not None for x in sent] == [True, True, False]
            error = sent[2].error
            s.refused(error, "rate_limit", "slow down")
            assert isinstance(error, RateLimitExceeded)
            assert 0 < error.retry_after_ns <= max(100 * MS, s.world.wire.retry_ns)
            assert (await s.engine.cancel_order(OrderId("a"))).cancelled
            with pytest.raises(RateLimitExceeded):
                await s.engine.cancel_order(OrderId("b"))
            assert s.engine.get_order(OrderId("b")).status is OrderStatus.WORKING
            assert await s.open() == ["b"]
            await s.runtime.sleep(error.retry_after_ns)
            again = await s.place(s.order("d", BUY, 10, "0.48"))
            assert again.ack is not None

        self.play(quiet(), script, profile=profile)

    def test_a_resolution_pays_out_and_ends_everything(self) -> None:
        tape = quiet()
        tape.add(3 * STEP, Kind.RESOLVE, price=10_000)

        async def script(s: Session) -> None:
            await s.at(1)
            s.send(s.order("rests", BUY, 10, "0.48"))
            s.send(s.order("takes", BUY, 10, "0.52", tif=IOC))
            await s.runtime.sleep_until(START_NS + 3 * STEP - ENTRY_NS + 2 * MS)
            flying = s.send(s.order("flying", BUY, 10, "0.48"))
            await s.at(4)
            assert isinstance(flying.error, VenueError if s.world.exact else ExecError)
            late = await s.place(s.order("late", BUY, 10, "0.48"))
            assert isinstance(late.error, ExecError)
            with pytest.raises(VenueError) as caught:
                await s.adapter.place_order(s.order("direct", BUY, 10, "0.48"))
            s.refused(caught.value, "market_closed", "does not accept orders")
            assert await s.known("rests") == (OrderStatus.CANCELLED, 0, 10)
            assert await s.open() == []
            spent = Decimal("5.2") + Decimal("0.17472")
            kept = {"pUSD": 100 - spent, "YES": Decimal(50), "NO": Decimal(40)}
            assert await s.money() == ({"pUSD": 150 - spent} if s.world.wire.pays_out else kept)

        s = self.play(tape, script)
        assert [e for e in s.log if e[1] == "rests"] == [
            ("send", "rests", 0),
            ("ack", "rests", 0),
            ("gone", "rests", 0),
        ]
        position = s.engine.get_position("rain")
        cash = s.engine.portfolio.cash["pUSD"]
        if s.world.wire.pays_out:
            assert (position.yes_lots, position.no_lots, cash) == (0, 0, 144_625_280)
        else:
            assert (position.yes_lots, position.no_lots, cash) == (50 * SHARE, 40 * SHARE, 94_625_280)

    def test_nothing_is_filled_inside_a_gap(self) -> None:
        tape = quiet().gap(2 * STEP, True).trade(4 * STEP, -1, 4800, 500 * SHARE).level(4 * STEP, -1, 4700, 50 * SHARE)
        tape.gap(6 * STEP, False).book(6 * STEP, cents((40, 10)), cents((46, 8)), resync=True)

        async def script(s: Session) -> None:
            await s.at(1)
            s.send(s.order("rests", BUY, 10, "0.48"))
            await s.at(3)
            s.send(s.order("market", SELL, 10, type=MARKET, tif=IOC))
            s.send(s.order("crosses", BUY, 10, "0.53", tif=IOC))
            await s.at(5)
            assert s.fills == []
            assert await s.known("market") == (OrderStatus.CANCELLED, 0, 10)
            await s.at(7)
            assert await s.known("rests") == (OrderStatus.WORKING, 8, 2)

        s = self.play(tape, script)
        # what the book after the gap shows at a better price would have met us
        assert [(f.order_id, f.price_i) for f in s.fills] == [("rests", 4800)]
        if s.world.wire.causes:
            assert s.fills[0].cause is Cause.CROSSED_BOOK

    def test_a_halted_market_takes_cancels_only(self) -> None:
        tape = quiet().add(2 * STEP, Kind.STATUS, size=0).add(4 * STEP, Kind.STATUS, size=1)

        async def script(s: Session) -> None:
            await s.at(1)
            s.send(s.order("a", BUY, 10, "0.48"))
            await s.at(3)
            halted = s.send(s.order("b", BUY, 10, "0.48"))
            assert (await s.engine.cancel_order(OrderId("a"))).cancelled
            await s.at(5)
            s.refused(halted.error, "market_closed", "does not accept orders")
            again = await s.place(s.order("c", BUY, 10, "0.48"))
            assert again.ack is not None

        self.play(tape, script)

    def test_the_tick_of_the_venue_counts(self) -> None:
        tape = quiet().add(2 * STEP, Kind.TICK, price=10)

        async def script(s: Session) -> None:
            early = await s.place(s.order("a", BUY, 10, "0.481"))
            await s.at(3)
            late = await s.place(s.order("b", BUY, 10, "0.481"))
            s.refused(early.error, "tick", "price 0.4810 breaks tick 0.0100")
            assert late.ack is not None

        self.play(tape, script)

    def test_events_have_one_sink(self) -> None:
        async def script(s: Session) -> None:
            with pytest.raises(ExecError):
                s.adapter.events(lambda event: None)
            assert await s.adapter.health_check()
            assert list(s.adapter.instruments()) == ["rain"]

        self.play(quiet(), script)
