"""Placing and cancelling: acks, refusals, batches, and the races of a cancel."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from venue_session import (
    ALMOST,
    BUY,
    ENTRY_NS,
    FOK,
    GTD,
    IOC,
    MARKET,
    POST_ONLY,
    RESPONSE_NS,
    SELL,
    SHARE,
    START_MONEY,
    STEP,
    Session,
    Stage,
    quiet,
)
from worlds import MS, START_NS, binary

from execsim.core.errors import ExecError, OrderNotFound, ValidationError, VenueError
from execsim.core.order import CancelAck, Cause, Liquidity, OrderId, OrderStatus

REFUSALS: list[tuple[str, dict[str, Any], str, str]] = [
    ("post-only that crosses", {"side": BUY, "size": 10, "price": "0.52", "type": POST_ONLY}, "post_only_cross", "take"),
    ("off the tick", {"side": BUY, "size": 10, "price": "0.485"}, "tick", "price 0.4850 breaks tick 0.0100"),
    ("too small", {"side": BUY, "size": 4, "price": "0.48"}, "size_min", "4.000000 is less than 5.000000"),
    ("off the size step", {"side": BUY, "size": 5.001, "price": "0.48"}, "size_step", "5.001000 is not a multiple"),
    ("no size", {"side": BUY, "size": 0, "price": "0.48"}, "size_zero", "0.000000 is less than 5.000000"),
    ("price of one", {"side": BUY, "size": 10, "price": "1"}, "price_range", "1.0000 is outside 0.0100 to 0.9900"),
    ("price above one", {"side": SELL, "size": 10, "price": "1.5"}, "price_range", "1.5000 is outside"),
    ("too dear", {"side": BUY, "size": 300, "price": "0.48"}, "balance", "100.000000 pUSD free, 144.000000 needed"),
    ("more than held", {"side": SELL, "size": 41, "price": "0.60"}, "balance", "40.000000 rain:YES free, 41.000000 needed"),
    # 150 taken for 78.50, 37 resting for 19.61: only the taker fee of 2.62 makes it too much
    ("the fee is too much", {"side": BUY, "size": 187, "price": "0.53"}, "balance", "100.729050 needed"),
    ("expired on the way", {"side": BUY, "size": 10, "price": "0.48", "tif": GTD, "lives_ns": ALMOST}, "expired", "over"),
    ("not all at once", {"side": BUY, "size": 101, "price": "0.52", "tif": FOK}, "fok_buy", "filled at once or killed"),
    # 52 of the 60 could be spent
    ("not all the money", {"side": BUY, "quote": 60, "price": "0.52", "type": MARKET, "tif": FOK}, "fok", "or killed"),
    ("not all of the sale", {"side": SELL, "size": 40, "price": "0.49", "tif": FOK}, "fok", "filled at once or killed"),
    ("too little money", {"side": BUY, "quote": 0.5, "type": MARKET}, "notional_min", "0.500000 is below the minimum 1"),
]  # fmt: skip
"""(what, order, rule, text)"""


class Placing(Stage):
    """An order is taken or refused, and nothing else."""

    def test_an_order_rests_and_is_acknowledged(self) -> None:
        async def script(s: Session) -> None:
            await s.at(1)
            asked_ns = s.runtime.now_ns()
            sent = await s.place(s.order("a", BUY, 10, "0.48"))
            assert sent.ack is not None
            assert sent.ack.venue_order_id
            took_ns = ENTRY_NS if s.world.wire.ack_times else ENTRY_NS + RESPONSE_NS
            s.time_is(sent.ack.ts_ns, asked_ns + took_ns)
            s.time_is(sent.answered_ns, asked_ns + ENTRY_NS + RESPONSE_NS)
            assert s.engine.get_order(OrderId("a")).venue_order_id == sent.ack.venue_order_id
            assert await s.known("a") == (OrderStatus.WORKING, 0, 10)
            assert await s.open() == ["a"]
            assert await s.money() == START_MONEY

        s = self.play(quiet(), script)
        assert s.log == [("send", "a", 0), ("ack", "a", 0)]
        assert s.engine.get_order(OrderId("a")).status is OrderStatus.WORKING

    @pytest.mark.parametrize(("what", "order", "rule", "text"), REFUSALS, ids=[r[0] for r in REFUSALS])
    def test_a_refusal_is_an_exception_and_an_update(
        self, what: str, order: dict[str, Any], rule: str, text: str
    ) -> None:
        asked = dict(order)

        async def script(s: Session) -> None:
            lives_ns = asked.pop("lives_ns", None)
            expire_ns = None if lives_ns is None else s.runtime.now_ns() + lives_ns
            sent = await s.place(s.order("a", **asked, expire_ns=expire_ns))
            assert sent.ack is None
            s.refused(sent.error, rule, text)
            assert s.updates[-1].error is sent.error
            assert s.engine.get_order(OrderId("a")).status is OrderStatus.REJECTED
            assert await s.open() == []
            with pytest.raises(OrderNotFound):
                await s.adapter.get_order_status(OrderId("a"))
            assert await s.money() == START_MONEY

        assert self.play(quiet(), script).log == [("send", "a", 0), ("refuse", "a", 0)]

    def test_a_used_id_is_refused_by_engine_and_venue(self) -> None:
        async def script(s: Session) -> None:
            await s.place(s.order("a", BUY, 10, "0.48"))
            again = await s.place(s.order("a", BUY, 10, "0.47"))
            assert isinstance(again.error, ValidationError)
            with pytest.raises(ExecError) as caught:
                await s.adapter.place_order(s.order("a", BUY, 10, "0.47"))
            s.refused(caught.value, "duplicate", "known already")
            assert await s.open() == ["a"]

        assert self.play(quiet(), script).log == [("send", "a", 0), ("ack", "a", 0)]

    def test_an_unknown_market_is_refused(self) -> None:
        async def script(s: Session) -> None:
            order = s.order("a", BUY, 10, "0.48")
            foreign = replace(order, instrument=binary("snow"))
            with pytest.raises(ExecError) as caught:
                await s.adapter.place_order(foreign)
            s.refused(caught.value, "unknown_market", "no such market: snow")
            assert await s.open() == []

        self.play(quiet(), script)

    def test_a_batch_arrives_at_one_instant_in_order(self) -> None:
        async def script(s: Session) -> None:
            orders = [
                s.order("a", BUY, 60, "0.52", tif=IOC),
                s.order("b", BUY, 10, "0.485"),
                s.order("c", BUY, 60, "0.53", tif=IOC),
                s.order("d", BUY, 10, "0.40"),
            ]
            results = await s.engine.submit_batch(orders)
            assert [r.ok for r in results] == [True, False, True, True]
            assert len({r.value.ts_ns for r in results if r.ok}) == 1
            await s.answers()
            assert await s.open() == ["d"]

        s = self.play(quiet(), script)
        # a takes 60 of the 100 at 0.52, so c gets the 40 left there and 20 at 0.53
        assert [(f.order_id, f.price_i, f.lots // SHARE) for f in s.fills] == [
            ("a", 5200, 60),
            ("c", 5200, 40),
            ("c", 5300, 20),
        ]
        assert {("ack", name, 0) for name in "acd"} | {("refuse", "b", 0)} <= set(s.log)


class Cancelling(Stage):
    """A cancel is heard, is too late, or has nothing to cancel."""

    def test_a_cancel_takes_the_order_off_and_frees_its_money(self) -> None:
        async def script(s: Session) -> None:
            s.send(s.order("a", BUY, 200, "0.48"))
            late = await s.place(s.order("b", BUY, 10, "0.47"))
            s.refused(late.error, "balance", "4.000000 pUSD free, 4.700000 needed")
            ack = await s.engine.cancel_order(OrderId("a"))
            assert ack.cancelled
            assert await s.known("a") == (OrderStatus.CANCELLED, 0, 200)
            again = await s.place(s.order("c", BUY, 200, "0.48"))
            assert again.ack is not None
            assert await s.open() == ["c"]

        s = self.play(quiet(), script)
        assert [e for e in s.log if e[1] == "a"] == [(k, "a", 0) for k in ("send", "ack", "ask_cancel", "gone")]

    def test_a_cancel_before_the_ack(self) -> None:
        async def script(s: Session) -> None:
            s.send(s.order("a", BUY, 10, "0.48"))
            await s.runtime.sleep(0)
            assert s.engine.get_order(OrderId("a")).status is OrderStatus.SUBMITTING
            ack = await s.engine.cancel_order(OrderId("a"))
            assert ack.cancelled
            assert await s.known("a") == (OrderStatus.CANCELLED, 0, 10)

        s = self.play(quiet(), script)
        assert s.log == [(kind, "a", 0) for kind in ("send", "ask_cancel", "ack", "gone")]
        assert s.engine.get_order(OrderId("a")).status is OrderStatus.CANCELLED

    def test_a_cancel_of_an_unknown_or_finished_order(self) -> None:
        async def script(s: Session) -> None:
            with pytest.raises(OrderNotFound):
                await s.engine.cancel_order(OrderId("ghost"))
            ack = await s.adapter.cancel_order(OrderId("ghost"))
            assert not ack.cancelled
            assert ack.reason
            await s.place(s.order("a", BUY, 10, "0.52", tif=IOC))
            assert not (await s.engine.cancel_order(OrderId("a"))).cancelled
            assert not (await s.adapter.cancel_order(OrderId("a"))).cancelled
            with pytest.raises(VenueError, match="order a"):
                await s.adapter.modify_order(OrderId("a"), None, 20 * SHARE)

        self.play(quiet(), script)

    def test_a_fill_that_beats_the_cancel(self) -> None:
        tape = quiet().trade(3 * STEP, -1, 4800, 110 * SHARE)

        async def script(s: Session) -> None:
            await s.at(1)
            s.send(s.order("a", BUY, 10, "0.48"))
            # reaches the venue 2 ms after the print that fills the order, which we have not heard of
            await s.runtime.sleep_until(START_NS + 3 * STEP - ENTRY_NS + 2 * MS)
            answers = s.spawn(s.engine.cancel_order(OrderId("a")))
            await s.at(4)
            assert isinstance(answers[0], CancelAck)
            assert not answers[0].cancelled
            assert await s.known("a") == (OrderStatus.FILLED, 10, 0)

        s = self.play(tape, script)
        assert s.log[-1] == ("done", "a", 10)
        if s.world.exact:  # a busy machine may send the cancel too late to race
            assert s.log == [("send", "a", 0), ("ack", "a", 0), ("ask_cancel", "a", 0), ("done", "a", 10)]
        assert s.engine.get_order(OrderId("a")).status is OrderStatus.FILLED

    def test_a_cancel_that_beats_the_fill(self) -> None:
        tape = quiet().trade(4 * STEP, -1, 4800, 110 * SHARE)

        async def script(s: Session) -> None:
            await s.at(1)
            s.send(s.order("a", BUY, 10, "0.48"))
            await s.at(3)
            assert (await s.engine.cancel_order(OrderId("a"))).cancelled
            await s.at(5)
            assert await s.known("a") == (OrderStatus.CANCELLED, 0, 10)
            assert await s.money() == START_MONEY

        assert self.play(tape, script).fills == []

    def test_partial_fills_and_then_a_cancel(self) -> None:
        tape = quiet().trade(2 * STEP, -1, 4800, 103 * SHARE).level(2 * STEP, 1, 4800, 0)
        tape.trade(3 * STEP, -1, 4800, 4 * SHARE)

        async def script(s: Session) -> None:
            await s.at(1)
            s.send(s.order("a", BUY, 10, "0.48"))
            await s.at(4)
            assert await s.known("a") == (OrderStatus.WORKING, 7, 3)
            assert (await s.engine.cancel_order(OrderId("a"))).cancelled
            assert await s.known("a") == (OrderStatus.CANCELLED, 7, 3)
            assert await s.money() == START_MONEY | {"pUSD": Decimal("96.64"), "YES": Decimal(47)}

        s = self.play(tape, script)
        assert [e for e in s.log if e[0] in ("fill", "gone")] == [("fill", "a", 3), ("fill", "a", 4), ("gone", "a", 0)]
        assert [(f.liquidity, f.fee) for f in s.fills] == [(Liquidity.MAKER, 0)] * 2
        if s.world.wire.causes:
            assert {f.cause for f in s.fills} == {Cause.QUEUE_DRAINED}
        s.filled_at(s.fills[0], START_NS + 2 * STEP)
        position = s.engine.get_position("rain")
        assert (position.yes_lots, position.no_lots) == (47 * SHARE, 40 * SHARE)
