"""Adapter and engine together against the scripted venue: what the engine believes after the news, and after none."""

from __future__ import annotations

import pytest
from polymarket_desk import Desk, trade_with
from polymarket_news import SHARE
from polymarket_script import Socket

from execsim.core.errors import NetworkError, Reached
from execsim.core.events import OrderFilled
from execsim.core.order import OrderStatus, OrderType, Side, TimeInForce
from execsim.core.units import NS_PER_S

S = NS_PER_S


def test_a_trade_that_the_journal_has_is_not_counted_again_after_a_restart() -> None:
    async def script(d: Desk) -> None:
        order = await d.placed()
        row = d.fill(order, "5", "t1")
        await d.runtime.sleep(S)
        booked = d.engine.order_tracker.get_fills(order.id)
        assert (order.filled_lots, [fill.lots for fill in booked]) == (5 * SHARE, [5 * SHARE])
        again = d.adapter()  # the process was restarted: only the journal knows
        await again.start()
        again.events(d.events.append)
        again.remember([order], booked)
        for state in ("MATCHED", "MINED", "CONFIRMED"):
            d.server.push("/ws/user", {"event_type": "trade", "type": "TRADE", **row, "status": state})
        await d.runtime.sleep(S)
        assert not any(isinstance(event, OrderFilled) for event in d.events)
        d.fill(order, "5", "t2")
        await d.runtime.sleep(S)
        (last,) = (event for event in d.events if isinstance(event, OrderFilled))
        assert (last.fill.lots, last.done) == (5 * SHARE, True)
        await again.aclose()

    trade_with(script)


def test_an_order_called_filled_that_is_half_filled_is_asked_about() -> None:
    async def script(d: Desk) -> None:
        order = await d.placed()
        d.fill(order, "5", "t1")
        await d.runtime.sleep(S)
        (fill,) = d.engine.order_tracker.get_fills(order.id)
        asked = d.asked("/data/order/")
        d.engine.inbox.hear("polymarket", OrderFilled(fill, True, d.runtime.now_ns()))
        await d.runtime.sleep(10 * S)
        assert d.asked("/data/order/") == asked + 1
        assert (order.status, order.filled_lots) == (OrderStatus.WORKING, 5 * SHARE)
        await d.engine.cancel_all()
        assert d.row(order)["status"] == "CANCELED"

    trade_with(script)


def test_a_channel_that_answers_pings_and_says_nothing_hides_no_fill() -> None:
    async def script(d: Desk) -> None:
        order = await d.placed()
        d.fill(order, "10", "t1", quiet=True)
        await d.runtime.sleep(60 * S)
        assert (order.status, order.filled_lots) == (OrderStatus.FILLED, 10 * SHARE)
        asked = d.asked("/data/")
        await d.runtime.sleep(3_600 * S)  # nothing is open any more: nothing is asked
        assert d.asked("/data/") == asked

    trade_with(script)


def test_without_a_channel_fills_are_read_and_nothing_new_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(self: Socket, frame: bytes) -> None:
        raise NetworkError("scripted", "refused", Reached.NO.value)

    async def script(d: Desk) -> None:
        order = await d.placed()
        send = Socket.send
        monkeypatch.setattr(Socket, "send", refused)
        d.server.drop("/ws/user")
        await d.runtime.sleep(S)
        d.fill(order, "4", "t1", quiet=True)
        await d.runtime.sleep(120 * S)
        assert (order.status, order.filled_lots) == (OrderStatus.WORKING, 4 * SHARE)
        posts = d.asked("/order")
        with pytest.raises(NetworkError, match="not sent: the user channel has been down for 1"):
            await d.placed()
        assert d.asked("/order") == posts
        monkeypatch.setattr(Socket, "send", send)
        await d.runtime.sleep(60 * S)
        assert (await d.placed()).status is OrderStatus.WORKING

    trade_with(script)


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("quote", [True, False])
def test_a_fak_whose_end_nobody_tells_is_asked_about_until_it_ends(quote: bool, told: bool) -> None:
    """Answered `delayed`, traded in part, then MATCHED: for it there is no CANCELLATION."""

    async def script(d: Desk) -> None:
        placed = d.server._placed
        d.server._placed = lambda post: placed(post) | {"status": "delayed"}  # type: ignore[method-assign]
        more = {"quote_amount": 5_200_000, "size_lots": None, "type": OrderType.MARKET, "price_i": None}
        order = await d.placed(tif=TimeInForce.IOC, **(more if quote else {"side": Side.SELL}))
        d.fill(order, "4", "t1", maker=False, quiet=not told)
        d.row(order)["status"] = "MATCHED"
        await d.runtime.sleep(30 * S)
        assert (order.status, order.filled_lots) == (OrderStatus.CANCELLED, 4 * SHARE)
        asked = d.asked("/data/")
        await d.runtime.sleep(600 * S)
        assert d.asked("/data/") == asked

    trade_with(script)


def test_while_a_trade_of_an_own_order_cannot_be_read_nothing_new_is_sent(caplog: pytest.LogCaptureFixture) -> None:
    async def script(d: Desk) -> None:
        order = await d.placed()
        trade = d.fill(order, "4", "t1", quiet=True)
        trade["status"] = "SETTLING"
        d.server.push("/ws/user", {"event_type": "trade", "type": "TRADE", **trade})
        await d.runtime.sleep(S)
        assert any(
            "unknown status 'SETTLING'" in entry.message for entry in caplog.records if entry.levelname == "WARNING"
        )
        posts = d.asked("/order")
        with pytest.raises(NetworkError, match="SETTLING"):
            await d.placed()
        assert (d.asked("/order"), order.filled_lots) == (posts, 0)
        trade["status"] = "MINED"
        await d.runtime.sleep(60 * S)
        assert order.filled_lots == 4 * SHARE
        assert (await d.placed()).status is OrderStatus.WORKING

    trade_with(script)
