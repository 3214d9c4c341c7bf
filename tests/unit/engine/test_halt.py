"""What is halted: what still passes, what is cancelled, who ends it, and that the journal tells it again."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from execsim.core.errors import ConfigError, JournalError, RiskRejected
from execsim.core.order import OrderStatus, OrderType, Side
from execsim.engine import (
    DailyLoss,
    EngineConfig,
    ExecutionEngine,
    KillSwitch,
    MaxDrawdown,
    MaxOrderSize,
    PositionLimit,
    RateLimiterConfig,
    RiskAction,
    RiskEngine,
    StaleData,
    VenueHealth,
)
from execsim.engine.fold import fold
from execsim.engine.halt import Halts
from execsim.engine.losses import DAY_NS, NOTE
from execsim.testing.refold import refold

S = OrderStatus


def risk(rig: Any, *policies: Any) -> None:
    rig.engine.set_risk_engine(RiskEngine(policies))


def refused(rig: Any, order: Any, said: str) -> None:
    with pytest.raises(RiskRejected, match=said):
        rig.engine.begin(order)
    assert order.status is S.REJECTED


def held(rig: Any, size: int = 20) -> None:
    """Buy `size` at 0.50."""
    order = rig.working(size=size)
    rig.venue.fill(order.id, rig.market.grid.lots(size))


def test_reduce_only_lets_reductions_pass_and_nothing_else(rig: Any) -> None:
    held(rig)
    resting = rig.working(side=Side.SELL, size=10, price="0.60")
    risk(rig, MaxOrderSize(50, action="reduce_only"))
    refused(rig, rig.order(size=60), "60 in rain, limit 50")
    assert [str(halt.action) for halt in rig.engine.halted] == ["reduce_only"]
    refused(rig, rig.order(size=5), r"MaxOrderSize\): only orders that reduce the position pass: an order of 60")
    refused(rig, rig.order(side=Side.SELL, size=11), "only orders that reduce")
    rig.engine.begin(rig.order(side=Side.SELL, size=6))
    refused(rig, rig.order(side=Side.SELL, size=5), "only orders that reduce")
    assert resting.status is S.WORKING
    refused(rig, rig.order(instrument=rig.spot, price=60000, size=1), "only orders that reduce")


def test_halt_lets_only_cancels_pass(rig: Any) -> None:
    held(rig)
    resting = rig.working(price="0.40")
    risk(rig, PositionLimit(100, action="halt"))
    refused(rig, rig.order(size=100), "would reach 130, limit 100")
    refused(rig, rig.order(side=Side.SELL, size=5), "halted: position 20 with .*; only cancels and flatten pass")
    with pytest.raises(RiskRejected, match="halted"):
        rig.run(rig.engine.modify_order(resting.id, price_i=3000))
    assert resting.status is S.WORKING
    assert rig.run(rig.engine.cancel_order(resting.id)).cancelled


def test_halt_and_cancel_cancels_everything_open(rig: Any) -> None:
    resting, coin = rig.working(), rig.order(instrument=rig.spot, price=60000, size=1)
    rig.run(rig.engine.submit_order(coin))
    unsent = rig.order()
    rig.engine.begin(unsent)
    risk(rig, MaxOrderSize(50, action="halt_and_cancel"))
    refused(rig, rig.order(size=60), "limit 50")
    assert (unsent.status, resting.status, coin.status) == (S.CANCELLED, S.CANCELLING, S.CANCELLING)
    rig.runtime.drain()
    assert (resting.status, coin.status) == (S.CANCELLED, S.CANCELLED)


def test_a_policy_of_one_market_halts_that_market(rig: Any) -> None:
    resting, coin = rig.working(), rig.order(instrument=rig.spot, price=60000, size=1)
    rig.run(rig.engine.submit_order(coin))
    risk(rig, MaxOrderSize(50, "rain", "halt_and_cancel"))
    refused(rig, rig.order(size=60), "limit 50")
    rig.runtime.drain()
    assert (resting.status, coin.status) == (S.CANCELLED, S.WORKING)
    refused(rig, rig.order(), "halted in rain")
    rig.engine.begin(rig.order(instrument=rig.spot, price=60000, size=1))
    assert [halt.market for halt in rig.engine.halted] == ["rain"]


def test_a_stronger_action_replaces_a_weaker_one_and_not_the_reverse(rig: Any) -> None:
    risk(rig, MaxOrderSize(10, action="reduce_only"), MaxOrderSize(20, action="halt"))
    refused(rig, rig.order(size=15), "limit 10")
    refused(rig, rig.order(size=25), "limit 10.*limit 20")
    refused(rig, rig.order(size=15), "limit 10")
    assert [body["action"] for kind, _, _, body in rig.journal.rows if kind == "halt"] == ["reduce_only", "halt"]
    assert [halt.action for halt in rig.engine.halted] == [RiskAction.HALT]


def test_an_order_that_waits_for_its_turn_is_stopped_by_a_halt(make_rig: Any) -> None:
    rig = make_rig(EngineConfig(rate_limits={"polymarket": RateLimiterConfig(1, 1)}))
    risk(rig, MaxOrderSize(50, action="halt"))
    rig.working()
    waiting = rig.order()

    async def scenario() -> None:
        rig.engine.begin(waiting)
        rig.engine.deliver(waiting)
        refused(rig, rig.order(size=60), "limit 50")
        await rig.runtime.sleep(2_000_000_000)

    rig.run(scenario())
    assert waiting.status is S.REJECTED
    assert "halted" in waiting.reason
    assert [call.verb for call in rig.venue.calls] == ["place"]


def test_reduce_only_counts_a_waiting_order_once(make_rig: Any) -> None:
    """The order is counted as open while it waits; it must not stand in its own way."""
    rig = make_rig(EngineConfig(rate_limits={"polymarket": RateLimiterConfig(1, 1)}))
    held(rig)
    closing, opening = rig.order(side=Side.SELL, size=20), rig.order(size=5)

    async def scenario() -> None:
        for order in (closing, opening):
            rig.engine.begin(order)
            rig.engine.deliver(order)
        rig.engine.halts.impose(RiskAction.REDUCE_ONLY, "test", None, "a test")
        await rig.runtime.sleep(5_000_000_000)

    rig.run(scenario())
    assert (closing.status, opening.status) == (S.WORKING, S.REJECTED)


def test_resume_ends_a_halt_and_is_journalled(rig: Any) -> None:
    risk(rig, MaxOrderSize(50, action="halt"), MaxOrderSize(20, "BTCUSDT", "halt"))
    refused(rig, rig.order(size=60), "limit 50")
    refused(rig, rig.order(instrument=rig.spot, price=60000, size=30), "halted")
    assert [halt.market for halt in rig.engine.halted] == [None, "BTCUSDT"]
    with pytest.raises(ConfigError, match="resume without a reason"):
        rig.engine.resume("  ")
    assert [halt.market for halt in rig.engine.resume("looked at it", "BTCUSDT")] == ["BTCUSDT"]
    assert [halt.market for halt in rig.engine.halted] == [None]
    assert len(rig.engine.resume("all clear")) == 1
    assert rig.engine.halted == ()
    assert rig.engine.resume("again") == ()
    rig.engine.begin(rig.order())
    rows = [body for kind, _, _, body in rig.journal.rows if kind == "resume"]
    assert rows == [{"market": "BTCUSDT", "reason": "looked at it"}, {"market": "", "reason": "all clear"}]


def test_a_kill_is_final(rig: Any) -> None:
    rig.engine.kill("operator")
    with pytest.raises(ConfigError, match=r"the kill switch is on \(operator\); it is final"):
        rig.engine.resume("please")
    assert rig.context().halted == rig.engine.halted
    assert "killed" in str(rig.engine.halted[0])
    rig.engine.kill("again")
    assert rig.journal.kinds.count("kill") == 1


def test_a_kill_switch_of_one_market(rig: Any) -> None:
    resting, coin = rig.working(), rig.order(instrument=rig.spot, price=60000, size=1)
    rig.run(rig.engine.submit_order(coin))
    risk(rig, KillSwitch(True, "rain"))
    rig.runtime.drain()
    assert (resting.status, coin.status) == (S.CANCELLED, S.WORKING)
    refused(rig, rig.order(), "KillSwitch")
    assert rig.engine.kill_reason is None
    rig.engine.begin(rig.order(instrument=rig.spot, price=60000, size=1))


def test_the_journal_tells_it_again(rig: Any) -> None:
    """Fold of the rows = the live state, at every row."""
    risk(
        rig,
        MaxOrderSize(50, action="reduce_only"),
        MaxOrderSize(20, "BTCUSDT", "halt"),
        MaxOrderSize(70, action="halt"),
    )
    told: list[Halts] = []

    def check() -> None:
        instruments = {"rain": rig.market, "BTCUSDT": rig.spot}
        again = fold(rig.journal.read(), instruments, rig.engine.opening).halts
        assert again.all() == rig.engine.halted
        told.append(again)

    refused(rig, rig.order(size=60), "limit 50")
    check()
    refused(rig, rig.order(instrument=rig.spot, price=60000, size=30), "limit 20")
    check()
    refused(rig, rig.order(size=80), "limit 70")
    check()
    rig.engine.resume("one", "BTCUSDT")
    check()
    rig.engine.kill("all")
    check()
    assert told[-1].kill_reason == "all"
    assert refold(rig.engine, rig.journal.read()) == []
    # a killed engine stays so; the next one on its journal trades when a person says so
    following = Halts(lambda kind, body: None, lambda: 0)
    following.restore(told[-1].all())
    assert following.kill_reason == "all"
    assert [halt.kill for halt in following.resume("a new day")] == [True, False]
    assert not following


def test_a_journal_that_fails_leaves_us_halted(rig: Any) -> None:
    def fail(*_: Any) -> None:
        raise JournalError("disk", "full")

    rig.journal.write = fail
    rig.engine.halts.impose(RiskAction.HALT, "test", None, "a test")
    assert rig.engine.halted
    assert isinstance(rig.engine.blotter.broken, JournalError)  # and nothing is sent any more


# --- policies that act without an order --------------------------------------------------------------------------------


def test_a_fill_that_loses_too_much_halts_and_cancels(rig: Any) -> None:
    """Bought 20 at 0.50; the market falls; the next fill is when the engine looks."""
    risk(rig, MaxDrawdown(5, action="halt_and_cancel"))
    held(rig)
    bid, other = rig.working(price="0.30"), rig.working(price="0.20")
    rig.books.set_top("rain", 2000, 2200)
    assert not rig.engine.halted
    rig.venue.fill(bid.id, 5_000_000)
    [halt] = rig.engine.halted
    assert halt.policy == "MaxDrawdown"
    # 20 at 0.50 and 5 at 0.30, worth 0.21 each: 5.80 and 0.45 lost
    assert "profit fell by 6.25 from 0, limit 5" in halt.reason
    assert (bid.status, other.status) == (S.CANCELLING, S.CANCELLING)
    rig.runtime.drain()


def test_the_loss_is_looked_at_on_a_timer_too(rig: Any) -> None:
    risk(rig, MaxDrawdown(5, action="halt"))
    rig.runtime.spawn(rig.engine.watch_risk(1_000_000_000), "risk", daemon=True)
    held(rig)

    async def scenario() -> None:
        rig.books.set_top("rain", 2000, 2200)
        await rig.runtime.sleep(900_000_000)
        assert not rig.engine.halted
        await rig.runtime.sleep(200_000_000)
        assert rig.engine.halted

    rig.run(scenario())


def test_a_peak_counts_and_resume_begins_anew(rig: Any) -> None:
    risk(rig, MaxDrawdown(5, action="halt"))
    held(rig, 100)
    rig.books.set_top("rain", 6000, 6000)
    rig.engine.guard.look()
    rig.books.set_top("rain", 5600, 5600)
    rig.engine.guard.look()
    assert not rig.engine.halted
    rig.books.set_top("rain", 5400, 5400)
    rig.engine.guard.look()
    assert "profit fell by 6 from 10" in rig.engine.halted[0].reason
    rig.engine.resume("seen")
    rig.engine.guard.look()
    assert not rig.engine.halted
    rig.books.set_top("rain", 4800, 4800)
    rig.engine.guard.look()
    assert "profit fell by 6 from 4" in rig.engine.halted[0].reason


def test_a_reducing_order_passes_a_loss_limit_that_rejects_and_reduces_under_one_that_says_so(rig: Any) -> None:
    held(rig)
    risk(rig, DailyLoss(1))
    rig.books.set_top("rain", 3000, 3000)
    refused(rig, rig.order(price="0.30"), "4 was lost since the UTC day began, limit 1")
    assert not rig.engine.halted
    rig.engine.begin(rig.order(side=Side.SELL, size=5, price="0.30"))
    risk(rig, DailyLoss(1, action="reduce_only"))
    rig.engine.begin(rig.order(side=Side.SELL, size=5, price="0.30"))
    assert [halt.action for halt in rig.engine.halted] == [RiskAction.REDUCE_ONLY]
    risk(rig, DailyLoss(1, action="halt"))
    refused(rig, rig.order(side=Side.SELL, size=5, price="0.30"), "DailyLoss.*halted")


def test_the_day_is_the_utc_day(rig: Any) -> None:
    """5 is lost before midnight, 3 after it: with a limit of 4, by the day each loss fell on."""
    risk(rig, DailyLoss(4, action="halt"))
    to_midnight = DAY_NS - rig.runtime.now_ns() % DAY_NS

    async def scenario() -> None:
        order = rig.order(size=100)
        await rig.engine.submit_order(order)
        rig.venue.fill(order.id, 100_000_000)
        rig.books.set_top("rain", 4700, 4700)
        rig.engine.guard.look()
        assert not rig.engine.halted
        rig.books.set_top("rain", 4650, 4650)
        await rig.runtime.sleep(to_midnight)
        # the last look before midnight saw -3: what fell in between is the new day's
        rig.books.set_top("rain", 4300, 4300)
        rig.engine.guard.look()
        assert not rig.engine.halted
        rig.books.set_top("rain", 4299, 4299)
        rig.engine.guard.look()
        assert "4.01 was lost since the UTC day began" in rig.engine.halted[0].reason

    rig.run(scenario())


def test_a_market_of_its_own_losses(rig: Any) -> None:
    risk(rig, MaxDrawdown(5, "BTCUSDT", "halt"), DailyLoss(1000, action="halt"))
    held(rig, 100)
    rig.books.set_top("rain", 2000, 2000)
    rig.engine.guard.look()
    assert not rig.engine.halted
    coin = rig.order(instrument=rig.spot, price=60000, size=1)
    rig.run(rig.engine.submit_order(coin))
    rig.books.set_top("BTCUSDT", 5_998_000, 5_998_000)
    rig.other.fill(coin.id, 100_000)
    [halt] = rig.engine.halted
    assert (halt.market, halt.policy) == ("BTCUSDT", "MaxDrawdown")
    refused(rig, rig.order(instrument=rig.spot, price=60000, size=1), "halted in BTCUSDT")
    rig.engine.begin(rig.order())


def test_a_restart_does_not_forgive_the_days_losses(make_rig: Any) -> None:
    rig = make_rig()
    risk(rig, DailyLoss(10, action="halt"), MaxDrawdown(8, action="halt"))
    held(rig, 100)
    rig.books.set_top("rain", 5400, 5400)
    rig.engine.guard.look()
    rig.books.set_top("rain", 4700, 4700)
    rig.engine.guard.look()
    # (the drawdown is halted: 4 - -3 = 7 is not above 8)
    assert not rig.engine.halted
    again = make_rig()
    for fill in rig.engine.order_tracker.get_fills(rig.engine.order_tracker.get_all_orders()[0].id):
        again.engine.portfolio.apply(fill, again.market)
    again.books.set_top("rain", 4700, 4700)
    again.engine.guard.measures.losses.restore(rig.journal.notes[NOTE])
    risk(again, DailyLoss(10, action="halt"), MaxDrawdown(8, action="halt"))
    again.books.set_top("rain", 4580, 4580)
    again.engine.guard.look()
    assert "profit fell by 8.2 from 4" in again.engine.halted[0].reason


def test_profit_is_that_of_the_portfolio(rig: Any) -> None:
    """Per market and in total, with fees, voids, splits and a payout: as `Portfolio.totals` says at the same marks."""
    profit = rig.engine.guard.measures.profit
    order = rig.working(size=20)
    fill = rig.venue.fill(order.id, 10_000_000)
    rig.venue.fill(order.id, 10_000_000, price_i=4000)
    coin = rig.order(instrument=rig.spot, price=60000, size=1)
    rig.run(rig.engine.submit_order(coin))
    rig.other.fill(coin.id, 50_000)
    rig.books.set_top("rain", 5500, 5600)
    rig.books.set_top("BTCUSDT", 5_990_000, 6_100_000)
    rig.engine.portfolio.split("rain", 7_000_000)
    rig.venue.void(fill)

    def totals() -> Decimal:
        found = rig.engine.portfolio.totals(rig.engine.marks()).values()
        return sum((total.asset.decimal(total.net) for total in found), Decimal(0))

    assert profit("") == totals() == profit("rain") + profit("BTCUSDT")
    assert profit("rain") == Decimal("1.55")
    rig.venue.resolve("rain", 10_000)
    assert profit("") == totals()
    assert profit("rain") == 6


def test_stale_data_acts_where_something_is_at_stake(rig: Any) -> None:
    risk(rig, StaleData(2, market_id="rain", action="halt_and_cancel"))

    async def scenario() -> None:
        rig.books.set_top("rain", 4000, 4100)
        rig.engine.guard.look()
        await rig.runtime.sleep(3_000_000_000)
        rig.engine.guard.look()
        assert not rig.engine.halted
        rig.books.set_top("rain", 4000, 4100)
        order = rig.order()
        await rig.engine.submit_order(order)
        await rig.runtime.sleep(3_000_000_000)
        rig.engine.guard.look()
        assert [halt.market for halt in rig.engine.halted] == ["rain"]
        assert order.status is S.CANCELLING

    rig.run(scenario())
    rig.runtime.drain()


def test_data_that_went_stale_while_an_order_waited(make_rig: Any) -> None:
    rig = make_rig(EngineConfig(rate_limits={"polymarket": RateLimiterConfig(1, 1)}))
    rig.books.set_top("rain", 4000, 4100)
    risk(rig, StaleData("0.5"))
    rig.working()
    waiting = rig.order()

    async def scenario() -> None:
        rig.engine.begin(waiting)
        rig.engine.deliver(waiting)
        await rig.runtime.sleep(2_000_000_000)

    rig.run(scenario())
    assert waiting.status is S.REJECTED
    assert "StaleData" in waiting.reason


def test_an_ill_venue_refuses_orders_and_halts_where_it_is_told_to(rig: Any) -> None:
    well = {"polymarket": True, "binance": True}
    rig.engine.view.health = well.__getitem__
    risk(rig, VenueHealth(), VenueHealth("BTCUSDT", "halt"))
    held(rig)
    well["polymarket"] = well["binance"] = False
    refused(rig, rig.order(side=Side.SELL, size=5), "the venue of rain does not answer")
    rig.engine.guard.look()
    assert not rig.engine.halted
    refused(rig, rig.order(instrument=rig.spot, price=60000, size=1), "the venue of BTCUSDT does not answer")
    assert [halt.market for halt in rig.engine.halted] == ["BTCUSDT"]


def test_the_breaker_is_what_health_asks(rig: Any) -> None:
    assert rig.engine.view.healthy("polymarket")
    for _ in range(10):
        rig.engine._dispatch.routes["polymarket"].breaker.failed()
    assert not rig.engine.view.healthy("polymarket")


def test_risk_checks_switched_off_leave_the_kill_switch(make_rig: Any) -> None:
    rig = make_rig(EngineConfig(enable_risk_checks=False))
    risk(rig, PositionLimit(1), MaxDrawdown(0, action="halt"))
    rig.engine.begin(rig.order())
    rig.engine.guard.look()
    assert not rig.engine.halted
    rig.engine.kill("operator")
    refused(rig, rig.order(), "operator")


def test_the_wait_between_two_looks_is_positive(rig: Any) -> None:
    with pytest.raises(ConfigError, match="a look every 0 ns"):
        rig.run(rig.engine.watch_risk(0))
    rig.engine.kill("operator")
    rig.run(rig.engine.watch_risk(1))


def test_an_engine_is_what_the_journal_writes(rig: Any) -> None:
    assert isinstance(rig.engine, ExecutionEngine)
    rig.engine.halts.impose(RiskAction.HALT, "test", "rain", "a test")
    assert rig.journal.rows[-1][3] == {"policy": "test", "market": "rain", "action": "halt", "reason": "a test"}
    assert not rig.engine.halts.impose(RiskAction.REJECT, "test", None, "nothing lasts")
    order = rig.order(type=OrderType.MARKET, price=None)
    refused(rig, order, "halted in rain: a test")
