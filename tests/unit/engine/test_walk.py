"""Random lives of orders through the whole engine: the books agree with the fills, and the journal alone retells it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from execsim.core.errors import NetworkError, VenueError
from execsim.core.order import FillStatus, OrderStatus, Side
from execsim.engine import EngineConfig, RateLimiterConfig
from execsim.testing import Ack, Refuse, Silence
from execsim.testing.refold import refold

S = OrderStatus

ANSWERS = st.sampled_from(
    [
        Ack(),
        Ack((3_000_000,)),
        Ack((3_000_000, 7_000_000), fills_first=True),
        Refuse(VenueError("polymarket", "x", "no")),
        Refuse(NetworkError("polymarket", "refused", "no")),
        Silence(2_000_000, booked=True),
        Silence(3_000_000),
    ]
)
ACTIONS = [
    "place",
    "place",
    "place",
    "wait",
    "wait",
    "cancel",
    "modify",
    "fill",
    "expire",
    "drop",
    "void",
    "ask",
    "all",
]
STEPS = st.lists(
    st.tuples(st.sampled_from(ACTIONS), ANSWERS, st.integers(0, 7), st.integers(1, 4_000_000)), max_size=30
)


def walk(rig, steps):
    ctx, orders, fills = rig.context(), [], []

    async def run():
        for action, answer, pick, number in steps:
            order = orders[pick % len(orders)] if orders else None
            booked = order is not None and rig.venue._booked.get(order.id) is not None
            if action == "place":
                rig.venue.answers.append(answer)
                side = Side.BUY if pick % 2 else Side.SELL
                orders.append(ctx.place_i("rain", side, 5000, 10_000_000))
            elif action == "wait":
                await rig.runtime.sleep(number)
            elif action == "all":
                await rig.engine.cancel_all()
            elif order is None:
                continue
            elif action == "cancel":
                rig.venue.cancel_answers.append(answer)
                ctx.cancel(order)
            elif action == "modify":
                rig.venue.modify_answers.append(answer)
                ctx.modify(order, size=10 + pick)
            elif action == "ask" and booked:
                await rig.engine.get_status(order.id)
            elif action == "fill" and booked:
                fills.append(rig.venue.fill(order.id, number))
            elif action == "void" and fills:
                rig.venue.void(fills[pick % len(fills)])
            elif action in ("expire", "drop") and booked:
                getattr(rig.venue, action)(order.id)
        await rig.runtime.sleep(10**10)

    rig.run(run())


@settings(max_examples=150, deadline=None)
@given(STEPS, st.sampled_from([RateLimiterConfig.unlimited(), RateLimiterConfig(100, 2)]))
def test_books_fills_and_journal_agree(make_rig, steps, limits):
    rig = make_rig(EngineConfig(rate_limits={"polymarket": limits}))
    walk(rig, steps)
    tracker = rig.engine.order_tracker
    net = cash = buys = sells = 0
    for order in tracker.get_all_orders():
        live = [fill for fill in tracker.get_fills(order.id) if fill.status is not FillStatus.VOIDED]
        assert order.filled_lots == sum(fill.lots for fill in live) <= tracker.entry(order.id).ceiling_lots
        assert order.filled_cash == sum(abs(fill.cash) for fill in live)
        net += sum(fill.side.sign * fill.lots for fill in live)
        cash += sum(fill.cash - fill.fee for fill in live)
        if order.is_active:
            left = tracker.entry(order.id).ceiling_lots - order.filled_lots
            buys, sells = (buys + left, sells) if order.side is Side.BUY else (buys, sells + left)
        # nothing is left half done: every answer has come, so nobody is still being asked
        assert order.status not in (S.PENDING, S.SUBMITTING)
    position = rig.engine.get_position("rain")
    assert (position.net_lots, rig.engine.portfolio.cash["USDC"]) == (net, cash)
    assert tracker.open_lots("rain") == (buys, sells)
    assert refold(rig.engine, rig.journal.read()) == []


@settings(max_examples=15, deadline=None)
@given(STEPS)
def test_the_same_walk_writes_the_same_journal(make_rig, steps):
    first, second = make_rig(), make_rig()
    walk(first, steps)
    walk(second, steps)
    assert first.journal.digest() == second.journal.digest()
