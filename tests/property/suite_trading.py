"""Orders that change and orders that take."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from venue_session import (
    BUY,
    ENTRY_NS,
    FOK,
    IOC,
    MARKET,
    POST_ONLY,
    SELL,
    SHARE,
    START_MONEY,
    STEP,
    Session,
    Stage,
    quiet,
)

from execsim.core.errors import ExecError, ValidationError, VenueError
from execsim.core.instrument import Outcome
from execsim.core.order import Cause, Liquidity, OrderId, OrderStatus


class Amending(Stage):
    """In place, or where the venue cannot, by a new order (`VenueTraits.amends`)."""

    @pytest.mark.parametrize(
        ("price", "size", "filled"),
        [(None, 8, 8), ("0.47", None, 0), (None, 12, 0), ("0.48", 12, 0), ("0.48", 8, 8)],
        ids=["down keeps", "price loses", "up loses", "up at the same price loses", "down at the same price keeps"],
    )
    def test_an_amend_keeps_or_loses_the_place(self, price: str | None, size: int | None, filled: float) -> None:
        # 100 are ahead of us; 60 trade; 60 join behind us; 50 trade: that reaches us only if we kept our place
        tape = quiet().trade(2 * STEP, -1, 4800, 60 * SHARE).level(2 * STEP, 1, 4800, 40 * SHARE)
        tape.level(3 * STEP, 1, 4800, 100 * SHARE).trade(5 * STEP, -1, 4800, 50 * SHARE)

        async def script(s: Session) -> None:
            await s.at(1)
            s.send(s.order("a", BUY, 10, "0.48"))
            await s.at(4)
            price_i = None if price is None else s.instrument.grid.price_i(price)
            size_lots = None if size is None else size * SHARE
            ack = await s.engine.modify_order(OrderId("a"), price_i=price_i, size_lots=size_lots)
            amends = s.adapter.traits.amends
            assert (ack.order_id == "a") is amends
            await s.at(6)
            total, got = size or 10, filled if amends else 0  # a new order stands at the end
            status = OrderStatus.FILLED if got == total else OrderStatus.WORKING
            assert await s.known(ack.order_id) == (status, got, total - got)
            assert s.engine.get_order(ack.order_id).price_i == (price_i or 4800)
            assert s.engine.get_order(ack.order_id).size_lots == total * SHARE
            assert await s.open() == ([] if got == total else [ack.order_id])

        self.play(tape, script)

    @pytest.mark.parametrize(
        ("change", "rule"),
        [
            ({"price_i": 5200}, "post_only_cross"),
            ({"price_i": 4850}, "tick"),
            ({"size_lots": 300 * SHARE}, "balance"),
            ({"size_lots": 4 * SHARE}, "size_min"),
            ({"size_lots": 9 * SHARE + 1}, "size_step"),
        ],
        ids=["crosses", "tick", "too dear", "too small", "step"],
    )
    def test_a_refused_amend(self, change: dict[str, int], rule: str) -> None:
        """It leaves the order as it was, with all its money; where the venue cannot amend, the order is gone by then."""

        async def script(s: Session) -> None:
            await s.place(s.order("a", BUY, 10, "0.48", type=POST_ONLY))
            with pytest.raises(ExecError) as caught:
                await s.engine.modify_order(OrderId("a"), **change)
            s.refused(caught.value, rule)
            order = s.engine.get_order(OrderId("a"))
            assert (order.price_i, order.size_lots) == (4800, 10 * SHARE)
            if s.adapter.traits.amends:
                assert await s.known("a") == (OrderStatus.WORKING, 0, 10)
                await s.engine.cancel_order(OrderId("a"))
            assert await s.known("a") == (OrderStatus.CANCELLED, 0, 10)
            assert await s.open() == []
            whole = await s.place(s.order("b", BUY, 208, "0.48"))
            assert whole.ack is not None  # every claim of the refused amend was given back

        self.play(quiet(), script)

    def test_an_amend_to_a_crossing_price_takes(self) -> None:
        names = ["a"]

        async def script(s: Session) -> None:
            await s.place(s.order("a", BUY, 120, "0.48"))
            ack = await s.engine.modify_order(OrderId("a"), price_i=5200, size_lots=110 * SHARE)
            names.append(ack.order_id)
            await s.answers()
            assert await s.known(ack.order_id) == (OrderStatus.WORKING, 100, 10)

        s = self.play(quiet(), script)
        assert [(f.price_i, f.lots // SHARE, f.liquidity) for f in s.fills] == [(5200, 100, Liquidity.TAKER)]
        new = names[1]
        in_place = [("ack", "a", 0)]
        anew = [("ask_cancel", "a", 0), ("gone", "a", 0), ("send", new, 0), ("ack", new, 0)]
        # the ack comes first: nobody sees a fill above the limit he knows of
        way = in_place if s.adapter.traits.amends else anew
        assert s.log == [("send", "a", 0), ("ack", "a", 0), *way, ("fill", new, 100)]

    def test_an_amend_of_a_partly_filled_order(self) -> None:
        tape = quiet().trade(2 * STEP, -1, 4800, 106 * SHARE).level(2 * STEP, 1, 4800, 0)
        tape.trade(5 * STEP, -1, 4800, 50 * SHARE)

        async def script(s: Session) -> None:
            await s.at(1)
            s.send(s.order("a", BUY, 20, "0.48"))
            await s.at(3)
            amends = s.adapter.traits.amends
            too_small = r"6\.000000 is less than 6\.010000" if amends else "cannot change an order"
            with pytest.raises(VenueError, match=too_small):
                await s.adapter.modify_order(OrderId("a"), None, 6 * SHARE)
            ack = await s.engine.modify_order(OrderId("a"), size_lots=14 * SHARE)
            before = 6 if amends else 0  # what the old order got is not the new one's
            assert await s.known(ack.order_id) == (OrderStatus.WORKING, before, 8)
            await s.at(6)
            assert await s.known(ack.order_id) == (OrderStatus.FILLED, before + 8, 0)

        assert [f.lots // SHARE for f in self.play(tape, script).fills] == [6, 8]


class Taking(Stage):
    """What trades at once, and what becomes of the rest."""

    def test_the_rest_of_an_ioc_order_is_gone(self) -> None:
        async def script(s: Session) -> None:
            asked_ns = s.runtime.now_ns()
            await s.place(s.order("a", BUY, 120, "0.52", tif=IOC))
            assert await s.known("a") == (OrderStatus.CANCELLED, 100, 20)
            s.filled_at(s.fills[0], asked_ns + ENTRY_NS)
            fee = Decimal("1.74720")  # 100 x 0.07 x 0.52 x 0.48
            assert await s.money() == START_MONEY | {"pUSD": 48 - fee, "YES": Decimal(140)}

        s = self.play(quiet(), script)
        assert s.log == [("send", "a", 0), ("ack", "a", 0), ("fill", "a", 100), ("gone", "a", 0)]
        if s.world.wire.causes:
            assert s.fills[0].cause is Cause.TAKER_WALK

    def test_an_ioc_order_without_a_match(self) -> None:
        async def script(s: Session) -> None:
            await s.place(s.order("a", BUY, 10, "0.51", tif=IOC))
            assert await s.known("a") == (OrderStatus.CANCELLED, 0, 10)

        assert self.play(quiet(), script).log == [("send", "a", 0), ("ack", "a", 0), ("gone", "a", 0)]

    @pytest.mark.parametrize(
        "order",
        [
            {"side": BUY, "size": 110, "price": "0.53"},
            {"side": BUY, "quote": 57.3, "price": "0.53", "type": MARKET},  # 52 and 5.30
            {
                "side": SELL,
                "size": 110,
                "price": "0.47",
                "outcome": Outcome.NO,
            },  # NO at 0.48 and 0.47 is YES at 0.52, 0.53
        ],
        ids=["shares", "money", "a sale"],
    )
    def test_a_fok_order_fills_at_once(self, order: dict[str, Any]) -> None:
        async def script(s: Session) -> None:
            if not s.world.wire.fok_buys and order.get("size") and order["side"] is BUY:
                with pytest.raises(ValidationError, match="quote_amount"):
                    await s.adapter.place_order(s.order("a", **order, tif=FOK))
                return
            await s.place(s.order("a", **order, tif=FOK))
            status, filled, _ = await s.known("a")
            assert (status, filled) == (OrderStatus.FILLED, 110)

        s = self.play(quiet(), script, sets=120)
        if s.log:
            assert s.log == [("send", "a", 0), ("ack", "a", 0), ("fill", "a", 100), ("done", "a", 10)]
        else:
            assert not s.world.wire.fok_buys

    def test_a_market_order_by_size(self) -> None:
        async def script(s: Session) -> None:
            await s.place(s.order("a", SELL, 40, type=MARKET, tif=IOC))
            assert await s.known("a") == (OrderStatus.FILLED, 40, 0)
            fee = Decimal("0.69888")
            assert await s.money() == {"pUSD": 100 + Decimal("19.2") - fee, "NO": Decimal(40)}

        s = self.play(quiet(), script)
        assert s.log == [("send", "a", 0), ("ack", "a", 0), ("done", "a", 40)]
        assert s.engine.get_position("rain").net_lots == -40 * SHARE

    def test_a_market_order_by_money(self) -> None:
        async def script(s: Session) -> None:
            await s.place(s.order("a", BUY, quote=60, type=MARKET, tif=FOK))
            status, filled, _ = await s.known("a")
            assert (status, filled) == (OrderStatus.FILLED, 115.09)  # 100 at 0.52; 8 buy 15.09 at 0.53
            order = s.engine.get_order(OrderId("a"))
            assert order.filled_cash == 59_997_700
            assert order.quote_amount is not None
            assert order.filled_cash <= order.quote_amount

        s = self.play(quiet(), script)
        assert s.log == [("send", "a", 0), ("ack", "a", 0), ("fill", "a", 100), ("done", "a", 15)]

    def test_what_we_took_is_gone_until_the_market_brings_more(self) -> None:
        tape = quiet().level(3 * STEP, -1, 5200, 110 * SHARE)

        async def script(s: Session) -> None:
            for step, name in ((1, "a"), (2, "b"), (4, "c"), (5, "d")):
                await s.at(step)
                s.send(s.order(name, BUY, 50 if name == "a" else 80, "0.52", tif=IOC))
            await s.at(6)

        # 100 shown: 50, then the 50 left; the level grows by 10: those 10, and then nothing
        assert [(f.order_id, f.lots // SHARE) for f in self.play(tape, script).fills] == [
            ("a", 50),
            ("b", 50),
            ("c", 10),
        ]

    def test_orders_on_the_other_token(self) -> None:
        async def script(s: Session) -> None:
            await s.at(1)
            s.send(s.order("a", BUY, 10, "0.53", outcome=Outcome.NO, tif=IOC))  # sells YES at 0.48: NO costs 0.52
            s.send(s.order("b", SELL, 10, "0.50", outcome=Outcome.NO))  # rests as a bid for YES at 0.50
            await s.at(3)
            assert await s.known("b") == (OrderStatus.FILLED, 10, 0)
            fee = Decimal("0.17472")
            assert await s.money() == {"pUSD": 100 - Decimal("5.2") - fee + 5, "YES": Decimal(40), "NO": Decimal(40)}

        s = self.play(quiet().trade(2 * STEP, -1, 5000, 10 * SHARE), script)
        assert [(f.order_id, f.price_i, f.cash) for f in s.fills] == [("a", 5200, -5_200_000), ("b", 5000, 5_000_000)]
