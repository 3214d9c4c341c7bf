"""Orders through the whole engine: each way an order can go, what is journalled, published and counted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from execsim.core.errors import (
    ConfigError,
    ExecTimeout,
    InternalError,
    InvalidOrderState,
    JournalError,
    NetworkError,
    OrderNotFound,
    RateLimitExceeded,
    RiskRejected,
    ValidationError,
    VenueError,
    VenueNotSupported,
)
from execsim.core.events import OrderAcked, OrderFilled, OrderGone
from execsim.core.order import FillStatus, OrderStatus, OrderType, Side, TimeInForce
from execsim.engine import (
    EngineConfig,
    KillSwitch,
    PositionLimit,
    RateLimiterConfig,
    RetryConfig,
    RiskEngine,
    RouteConfig,
    ValidatorConfig,
)
from execsim.testing import Ack, MockVenue, Refuse, Silence

S = OrderStatus


def test_an_order_goes_out_is_acked_filled_and_journalled(rig):
    order = rig.order()
    ack = rig.run(rig.engine.submit_order(order))
    assert ack.venue_order_id == order.venue_order_id == "polymarket-1"
    assert order.status is S.WORKING
    rig.venue.fill(order.id, 4_000_000)
    rig.venue.fill(order.id, 6_000_000)
    assert order.status is S.FILLED
    assert order.filled_cash == 5_000_000
    assert rig.engine.get_position("rain").yes_lots == 10_000_000
    assert rig.journal.kinds == ["intent", "ack", "fill", "fill"]
    assert rig.events(order.id) == ["send", "ack", "fill", "done"]
    intent = rig.journal.rows[0][3]
    assert (intent["price_i"], intent["size_lots"], intent["side"]) == (5000, 10_000_000, "buy")
    values = [value for row in rig.journal.rows for value in row[3].values()]
    assert all(value is None or isinstance(value, int | str | bool) for value in values)
    metrics = rig.engine.metrics.snapshot()
    assert metrics["exec.orders_placed"] == metrics["exec.orders_filled"] == 1
    assert metrics["exec.latency_ms"] == {"count": 1, "p50": 2.0, "p99": 2.0, "max": 2.0}


def test_ids_are_deterministic_and_unique(make_rig):
    first, second = make_rig(), make_rig()
    ids = [first.engine.new_order_id() for _ in range(3)]
    assert ids == [second.engine.new_order_id() for _ in range(3)]
    assert len(set(ids)) == 3
    assert len(ids[0].split("-")[0]) == 8


def test_a_refusal_of_ours_is_an_event_and_never_reaches_the_venue(rig):
    order = rig.order(price="0.505")
    with pytest.raises(ValidationError, match=r"0\.505 is not a multiple of the tick 0\.01"):
        rig.run(rig.engine.submit_order(order))
    assert order.status is S.REJECTED
    assert "rule tick" in order.reason
    assert rig.venue.calls == []
    [update] = rig.updates
    assert (update.before, update.after, update.error.rule) == (S.PENDING, S.REJECTED, "tick")
    kind, _, order_id, body = rig.journal.rows[0]
    assert (kind, order_id, body["by"], body["market"]) == ("refuse", order.id, "ours", "rain")
    assert rig.engine.get_order(order.id) is order
    assert rig.engine.metrics.value("exec.orders_rejected") == 1
    assert rig.engine.metrics.value("exec.risk_rejections") == 0


def test_a_refusal_of_the_venue_keeps_its_text(rig):
    rig.venue.answers.append(Refuse(VenueError("polymarket", "balance", "not enough balance")))
    order = rig.order()
    with pytest.raises(VenueError, match="not enough balance"):
        rig.run(rig.engine.submit_order(order))
    assert order.status is S.REJECTED
    assert "not enough balance" in order.reason
    assert rig.journal.kinds == ["intent", "refuse"]
    assert rig.engine.order_tracker.open_lots("rain") == (0, 0)


def test_a_request_that_never_left_is_a_refusal(rig):
    rig.venue.answers.extend([Refuse(NetworkError("polymarket", "connection refused", "no"))] * 3)
    order = rig.order()
    with pytest.raises(NetworkError):
        rig.run(rig.engine.submit_order(order))
    assert order.status is S.REJECTED
    assert [call.verb for call in rig.venue.calls] == ["place"] * 3
    assert rig.journal.kinds == ["intent", "retry", "retry", "refuse"]


def test_a_request_that_never_left_is_sent_again(rig):
    rig.venue.answers.extend([Refuse(NetworkError("polymarket", "connection refused", "no")), Ack()])
    order = rig.order()
    rig.run(rig.engine.submit_order(order))
    assert order.status is S.WORKING
    assert rig.events(order.id) == ["send", "ack"]


def test_silence_makes_it_unknown_and_still_open_until_asked(rig):
    rig.venue.answers.append(Silence(5_000_000, booked=True))
    order = rig.order()
    with pytest.raises(ExecTimeout):
        rig.run(rig.engine.submit_order(order))
    assert order.status is S.UNKNOWN
    assert rig.engine.order_tracker.open_lots("rain") == (10_000_000, 0)
    assert rig.run(rig.engine.get_status(order.id)) is S.WORKING
    assert order.venue_order_id == "polymarket-1"
    assert rig.journal.kinds == ["intent", "silence", "found"]


def test_asking_about_an_order_the_venue_never_saw_proves_nothing(rig):
    rig.venue.answers.append(Silence())
    order = rig.order()
    with pytest.raises(ExecTimeout):
        rig.run(rig.engine.submit_order(order))
    with pytest.raises(OrderNotFound):
        rig.run(rig.engine.get_status(order.id))
    assert order.status is S.UNKNOWN


def test_an_unknown_order_found_cancelled_ends(rig):
    rig.venue.answers.append(Silence(0, booked=True))
    order = rig.order()
    with pytest.raises(ExecTimeout):
        rig.run(rig.engine.submit_order(order))
    rig.run(rig.venue.cancel_order(order.id))
    assert rig.run(rig.engine.get_status(order.id)) is S.CANCELLED


def test_a_fill_may_outrun_the_ack(rig):
    rig.venue.answers.append(Ack((4_000_000, 6_000_000), fills_first=True))
    order = rig.order()
    rig.run(rig.engine.submit_order(order))
    assert order.status is S.FILLED
    assert rig.events(order.id) == ["send", "fill", "done", "ack"]
    assert rig.engine.get_position("rain").net_lots == 10_000_000


def test_silence_after_a_fill_does_not_unlearn_the_fill(rig):
    rig.venue.answers.append(Silence(10_000_000, booked=True))
    order = rig.order()
    rig.later(5_000_000, lambda: rig.venue.fill(order.id, 4_000_000))
    with pytest.raises(ExecTimeout):
        rig.run(rig.engine.submit_order(order))
    assert order.status is S.WORKING


def test_the_unfilled_rest_of_an_ioc_is_cancelled(rig):
    rig.venue.answers.append(Ack((4_000_000,)))
    order = rig.order(tif=TimeInForce.IOC)
    rig.run(rig.engine.submit_order(order))
    rig.runtime.drain()
    assert (order.status, order.filled_lots, order.reason) == (S.CANCELLED, 4_000_000, "unfilled rest of IOC")


def test_the_same_fill_twice_is_one_fill(rig):
    order = rig.working()
    fill = rig.venue.fill(order.id, 4_000_000)
    rig.venue.report(OrderFilled(fill, False, 0))
    assert rig.engine.record_fill(fill) is False
    assert order.filled_lots == rig.engine.get_position("rain").net_lots == 4_000_000
    assert rig.journal.kinds.count("fill") == 1


def test_a_provisional_fill_is_confirmed_or_undone(rig):
    order = rig.working()
    first = rig.venue.fill(order.id, 4_000_000, status=FillStatus.PROVISIONAL)
    position = rig.engine.get_position("rain")
    assert (position.net_lots, position.confirmed_lots) == (4_000_000, 0)
    rig.venue.report(OrderFilled(replace(first, status=FillStatus.CONFIRMED), False, 0))
    assert position.confirmed_lots == 4_000_000
    second = rig.venue.fill(order.id, 6_000_000, status=FillStatus.PROVISIONAL)
    assert order.status is S.FILLED
    rig.venue.void(second)
    rig.venue.void(second)
    assert (position.net_lots, position.confirmed_lots, order.filled_lots) == (4_000_000, 4_000_000, 4_000_000)
    assert order.status is S.CANCELLED
    assert rig.journal.kinds[-4:] == ["fill", "confirm", "fill", "void"]


def test_what_a_venue_cannot_mean_changes_nothing(rig):
    order = rig.working()
    rig.venue.fill(order.id, 10_000_000)
    extra = rig.venue.fill(order.id, 1_000_000)
    assert (order.status, order.filled_lots) == (S.FILLED, 10_000_000)
    assert rig.engine.get_position("rain").net_lots == 10_000_000
    assert rig.engine.blotter.invalid_responses == 1
    assert rig.journal.kinds[-2:] == ["invalid", "halt"]
    assert "state filled" in rig.updates[-1].error.message or "left" in rig.updates[-1].error.message
    assert extra.id not in [fill.id for fill in rig.engine.order_tracker.get_fills(order.id)]


def test_a_fill_that_cannot_be_booked_stops_trading_there(rig):
    """What the venue has is not what we have: nothing new, until somebody has looked."""
    order = rig.working()
    rig.venue.fill(order.id, 10_400_000)  # 10 were asked for
    assert (order.status, order.filled_lots) == (S.WORKING, 0)
    with pytest.raises(RiskRejected, match="cannot be booked: position and money"):
        rig.engine.begin(rig.order())
    rig.engine.resume("compared with the venue")
    assert rig.working().status is S.WORKING


def test_an_ack_for_an_order_not_sent_changes_nothing(rig):
    order = rig.order()
    rig.engine.begin(order)
    rig.venue.report(OrderAcked(order.id, "x", 0))
    rig.venue.report(OrderGone(order.id, "x", False, 0))
    assert (order.status, order.venue_order_id) == (S.PENDING, None)
    assert rig.engine.blotter.invalid_responses == 2


def test_news_of_a_stranger_is_counted(rig):
    rig.venue.report(OrderAcked("nobody", "x", 0))
    order = rig.working()
    rig.other.report(OrderGone(order.id, "x", False, 0))
    assert rig.engine.inbox.orphans == 2
    assert order.status is S.WORKING
    assert rig.journal.kinds.count("orphan") == 2


def test_expiry_and_a_venue_cancel(rig):
    first, second = rig.working(), rig.working()
    rig.venue.expire(first.id)
    rig.venue.drop(second.id, "self-trade prevention")
    rig.venue.drop(second.id, "again")
    assert (first.status, second.status, second.reason) == (S.EXPIRED, S.CANCELLED, "self-trade prevention")
    assert rig.journal.kinds[-2:] == ["lapse", "gone"]


def test_a_late_fill_of_a_cancelled_order_counts(rig):
    order = rig.working()
    rig.run(rig.engine.cancel_order(order.id))
    rig.venue.fill(order.id, 4_000_000)
    assert (order.status, order.filled_lots) == (S.CANCELLED, 4_000_000)
    assert rig.engine.get_position("rain").net_lots == 4_000_000


def test_a_resolution_settles_and_closes_the_market(rig):
    order = rig.working(price="0.40")
    rig.venue.fill(order.id, 5_000_000)
    rig.venue.resolve("rain", 10_000)
    assert order.status is S.CANCELLED
    position = rig.engine.get_position("rain")
    assert (position.net_lots, position.realised, position.cash) == (0, 3_000_000, 3_000_000)
    assert rig.journal.rows[-1][3] == {"market": "rain", "payoff_i": 10_000, "received_units": 5_000_000}
    with pytest.raises(ValidationError, match="has ended"):
        rig.run(rig.engine.submit_order(rig.order()))
    # a fill that crossed the settlement is paid out too
    rig.venue.fill(order.id, 5_000_000)
    assert (position.net_lots, position.cash) == (0, 6_000_000)


def test_a_tick_change_counts_without_books(rig):
    rig.engine.view.books = None
    rig.venue.change_tick("rain", 10)
    assert rig.engine.view.tick_i("rain") == 10
    rig.working(price="0.505")


def test_cancel_before_sending_needs_no_venue(rig):
    order = rig.order()
    rig.engine.begin(order)
    ack = rig.run(rig.engine.cancel_order(order.id))
    assert ack.cancelled
    assert order.status is S.CANCELLED
    with pytest.raises(ValidationError, match="cancelled before it was sent"):
        rig.run(rig.engine.send(order))
    assert rig.venue.calls == []
    assert rig.journal.kinds == ["gone"]
    assert rig.journal.rows[0][3]["market"] == "rain"


def test_cancel_before_the_ack_goes_out_at_once(rig):
    order = rig.order()

    async def scenario():
        rig.engine.begin(order)
        rig.engine.deliver(order)
        await rig.runtime.sleep(1)
        assert order.status is S.SUBMITTING
        return await rig.engine.cancel_order(order.id)

    ack = rig.run(scenario())
    rig.runtime.drain()
    assert ack.cancelled
    assert [call.verb for call in rig.venue.calls] == ["place", "cancel"]
    assert rig.venue.calls[1].ts_ns - rig.venue.calls[0].ts_ns == 1
    assert order.status is S.CANCELLED
    assert rig.events(order.id) == ["send", "ask_cancel", "ack", "gone"]


def test_a_refused_order_whose_cancel_is_under_way_is_over(rig):
    rig.venue.answers.append(Refuse(VenueError("polymarket", "x", "no")))
    order = rig.order()

    async def scenario():
        rig.engine.begin(order)
        rig.engine.deliver(order)
        await rig.runtime.sleep(1)
        return await rig.engine.cancel_order(order.id)

    ack = rig.run(scenario())
    assert not ack.cancelled
    assert order.status is S.CANCELLED
    assert rig.engine.order_tracker.open_lots("rain") == (0, 0)


@pytest.mark.parametrize("cancel", [Ack(), Silence(50_000_000), Refuse(VenueError("polymarket", "x", "no such order"))])
@pytest.mark.parametrize(
    ("place", "end"),
    [(Silence(20_000_000), S.REJECTED), (Refuse(VenueError("polymarket", "balance", "not enough")), S.CANCELLED)],
)
def test_a_cancel_that_overtakes_its_order_hides_nothing(rig, place, end, cancel):
    """Whatever the cancel is told, the order itself was never acked: it is refused, or proves absent, never working."""
    rig.venue.answers.append(place)
    rig.venue.cancel_answers.append(cancel)
    order = rig.order()

    async def scenario():
        rig.engine.begin(order)
        rig.engine.deliver(order)
        await rig.runtime.sleep(1)
        rig.engine.start_cancel(order)

    rig.run(scenario())
    rig.runtime.drain()
    assert order.status is end
    assert order.reason


def test_a_fill_wins_the_race_against_a_cancel(rig):
    order = rig.working()
    rig.later(500_000, lambda: rig.venue.fill(order.id, 10_000_000))
    ack = rig.run(rig.engine.cancel_order(order.id))
    assert not ack.cancelled
    assert order.status is S.FILLED


def test_a_refused_cancel_leaves_the_order_alive(rig):
    order = rig.working()
    rig.venue.cancel_answers.append(Refuse(VenueError("polymarket", "x", "too late")))
    with pytest.raises(VenueError):
        rig.run(rig.engine.cancel_order(order.id))
    assert order.status is S.WORKING
    assert rig.journal.kinds[-2:] == ["cancel", "cancel_refuse"]


def test_a_silent_cancel_is_unknown_and_can_be_asked_again(rig):
    order = rig.working()
    rig.venue.cancel_answers.append(Silence())
    with pytest.raises(ExecTimeout):
        rig.run(rig.engine.cancel_order(order.id))
    assert order.status is S.UNKNOWN
    assert rig.run(rig.engine.cancel_order(order.id)).cancelled
    assert order.status is S.CANCELLED


def test_two_cancels_of_one_order_are_one_request(rig):
    order = rig.working()

    async def scenario():
        rig.engine.start_cancel(order)
        rig.engine.start_cancel(order)
        return await rig.engine.cancel_order(order.id)

    assert rig.run(scenario()).cancelled
    assert [call.verb for call in rig.venue.calls] == ["place", "cancel"]
    assert not rig.run(rig.engine.cancel_order(order.id)).cancelled


def test_cancel_all_takes_everything_of_a_market(rig):
    resting = [rig.working() for _ in range(3)]
    elsewhere = rig.order(instrument=rig.spot, price=60000, size=1)
    rig.run(rig.engine.submit_order(elsewhere))
    unsent = rig.order()
    rig.engine.begin(unsent)
    results = rig.run(rig.engine.cancel_all(market="rain"))
    assert [result.value.cancelled for result in results] == [True] * 4
    assert {order.status for order in (*resting, unsent)} == {S.CANCELLED}
    assert elsewhere.status is S.WORKING
    assert rig.engine.get_active_orders() == [elsewhere]
    rig.run(rig.engine.cancel_all(venue="binance"))
    assert rig.engine.get_active_orders() == []
    with pytest.raises(VenueNotSupported, match="known venues: polymarket, binance"):
        rig.run(rig.engine.cancel_all(venue="kraken"))


def test_kill_cancels_everything_and_lets_only_cancels_pass(rig):
    resting, unsent = rig.working(), rig.order()
    rig.engine.begin(unsent)
    rig.engine.kill("operator")
    assert unsent.status is S.CANCELLED
    assert resting.status is S.CANCELLING
    rig.runtime.drain()
    assert resting.status is S.CANCELLED
    with pytest.raises(RiskRejected, match=r"KillSwitch.*operator"):
        rig.run(rig.engine.submit_order(rig.order()))
    assert "kill" in rig.journal.kinds


def test_a_kill_between_begin_and_send_stops_the_order(make_rig):
    rig = make_rig(EngineConfig(rate_limits={"polymarket": RateLimiterConfig(1, 1)}, enable_risk_checks=False))
    rig.working()
    order = rig.order()

    async def scenario():
        rig.engine.begin(order)
        rig.engine.deliver(order)
        await rig.runtime.sleep(1_000)
        rig.engine.kill("late")
        await rig.runtime.sleep(2_000_000_000)

    rig.run(scenario())
    assert order.status is S.CANCELLED
    assert [call.verb for call in rig.venue.calls] == ["place", "cancel"]
    with pytest.raises(RiskRejected, match="late; only cancels and flatten pass"):
        rig.engine.begin(rig.order())


def test_an_enabled_kill_switch_policy_kills(rig):
    order = rig.working()
    rig.engine.set_risk_engine(RiskEngine([KillSwitch(True), PositionLimit(1)]))
    rig.runtime.drain()
    assert order.status is S.CANCELLED
    with pytest.raises(RiskRejected) as caught:
        rig.engine.begin(rig.order())
    assert caught.value.args[0] == ("KillSwitch", "PositionLimit")


def test_open_orders_count_at_once(rig):
    rig.engine.set_risk_engine(RiskEngine([PositionLimit(15)]))
    rig.engine.begin(rig.order())
    with pytest.raises(RiskRejected, match=r"would reach 20, limit 15"):
        rig.engine.begin(rig.order())
    assert rig.engine.metrics.value("exec.risk_rejections") == 1
    rig.engine.begin(rig.order(size=5))


def test_risk_checks_can_be_switched_off(make_rig):
    rig = make_rig(EngineConfig(enable_risk_checks=False))
    rig.engine.set_risk_engine(RiskEngine([PositionLimit(1)]))
    rig.working()


def test_validation_can_be_switched_off_but_not_our_own_integrity(make_rig):
    rig = make_rig(EngineConfig(enable_validation=False))
    order = rig.working(price="0.505")
    with pytest.raises(ValidationError, match="already in use"):
        rig.engine.begin(rig.order(id=order.id))
    assert order.status is S.WORKING


def test_an_order_in_flight_cannot_be_submitted_again(rig):
    order = rig.working()
    with pytest.raises(ValidationError, match="already in use"):
        rig.engine.begin(order)
    rig.run(rig.engine.cancel_order(order.id))
    rig.engine.order_tracker.remove_order(order.id)
    with pytest.raises(ValidationError, match="already in use"):
        rig.engine.begin(order)
    with pytest.raises(InvalidOrderState):
        rig.engine.begin(replace(order, id="another"))
    with pytest.raises(ValidationError, match="id is empty"):
        rig.engine.begin(rig.order(id=""))


def test_foreign_venues_and_instruments_are_refused(rig, make_binary):
    stranger = rig.order(instrument=replace(rig.market, venue="kalshi"))
    with pytest.raises(VenueNotSupported, match="known venues: polymarket, binance"):
        rig.engine.begin(stranger)
    assert stranger.status is S.REJECTED
    with pytest.raises(ValidationError, match="not a market of polymarket"):
        rig.engine.begin(rig.order(instrument=make_binary(tick_i=1)))


def test_registering_twice_and_without_bounds_is_a_config_error(rig, make_binary, make_spot):
    with pytest.raises(ConfigError, match="registered twice"):
        rig.engine.register_adapter(MockVenue("binance", [], rig.runtime))
    with pytest.raises(ConfigError, match="already traded on polymarket"):
        rig.engine.register_adapter(MockVenue("kalshi", [replace(rig.market, venue="kalshi")], rig.runtime))
    boundless = replace(make_spot(price_min_i=None, price_max_i=None), venue="spot2", market="ETHUSDT")
    with pytest.raises(ConfigError, match=r"ETHUSDT of spot2 has no price bounds.*price_bounds"):
        rig.engine.register_adapter(MockVenue("spot2", [boundless], rig.runtime))
    with pytest.raises(ConfigError, match="known markets: rain"):
        rig.engine.get_position("snow")


def test_modify_changes_in_place_and_counts_the_larger_size(rig):
    order = rig.working()

    async def scenario():
        task = rig.runtime.spawn(rig.engine.modify_order(order.id, price_i=5100, size_lots=20_000_000), "modify")
        await rig.runtime.sleep(1)
        assert rig.engine.order_tracker.open_lots("rain") == (20_000_000, 0)
        assert order.size_lots == 10_000_000
        with pytest.raises(InvalidOrderState, match="under way"):
            await rig.engine.modify_order(order.id, price_i=5200)
        await task.join()

    rig.run(scenario())
    assert (order.price_i, order.size_lots, order.status) == (5100, 20_000_000, S.WORKING)
    assert rig.journal.kinds[-2:] == ["amend_ask", "amend"]
    rig.run(rig.engine.modify_order(order.id, size_lots=6_000_000))
    assert rig.engine.order_tracker.open_lots("rain") == (6_000_000, 0)


def test_a_modify_is_checked_like_an_order(rig):
    rig.engine.set_risk_engine(RiskEngine([PositionLimit(15)]))
    order = rig.working()
    for change, error, text in (
        ({"price_i": 5050}, ValidationError, "tick"),
        ({"size_lots": 20_000_000}, RiskRejected, "limit 15"),
        ({}, ValidationError, "nothing to change"),
    ):
        with pytest.raises(error, match=text):
            rig.run(rig.engine.modify_order(order.id, **change))
    rig.venue.fill(order.id, 6_000_000)
    with pytest.raises(ValidationError, match="not above the 6000000"):
        rig.run(rig.engine.modify_order(order.id, size_lots=6_000_000))
    assert (order.size_lots, order.price_i, order.status) == (10_000_000, 5000, S.WORKING)
    assert rig.engine.order_tracker.open_lots("rain") == (4_000_000, 0)
    assert "modify" not in [call.verb for call in rig.venue.calls]
    assert rig.updates[-1].error.rule == "amend_size"


def test_a_modify_the_venue_refuses_or_swallows(rig):
    order = rig.working()
    rig.venue.modify_answers.append(Refuse(VenueError("polymarket", "x", "no amends")))
    with pytest.raises(VenueError):
        rig.run(rig.engine.modify_order(order.id, size_lots=20_000_000))
    assert (order.status, order.size_lots) == (S.WORKING, 10_000_000)
    assert rig.engine.order_tracker.open_lots("rain") == (10_000_000, 0)
    rig.venue.modify_answers.append(Silence())
    with pytest.raises(ExecTimeout):
        rig.run(rig.engine.modify_order(order.id, size_lots=20_000_000))
    assert order.status is S.UNKNOWN
    assert rig.engine.order_tracker.open_lots("rain") == (20_000_000, 0)


def test_a_batch_gives_each_its_own_result(rig):
    rig.venue.answers.extend([Ack(), Refuse(VenueError("polymarket", "x", "no")), Ack()])
    orders = [
        rig.order(),
        rig.order(price="0.505"),
        rig.order(),
        rig.order(instrument=rig.spot, price=60000, size=1),
        rig.order(),
    ]
    results = rig.run(rig.engine.submit_batch(orders))
    assert [result.ok for result in results] == [True, False, False, True, True]
    assert [order.status for order in orders] == [S.WORKING, S.REJECTED, S.REJECTED, S.WORKING, S.WORKING]
    with pytest.raises(VenueError):
        _ = results[2].value
    assert rig.run(rig.engine.submit_batch([])) == []


def test_orders_wait_their_turn_and_cancels_do_not(make_rig):
    rig = make_rig(EngineConfig(rate_limits={"polymarket": RateLimiterConfig(10, 2)}), latency_ns=0)
    start_ns = rig.runtime.now_ns()
    orders = [rig.order() for _ in range(5)]

    async def scenario():
        for order in orders:
            rig.engine.begin(order)
            rig.engine.deliver(order)
        await rig.runtime.sleep(1)
        await rig.engine.cancel_order(orders[0].id)
        await rig.engine.cancel_order(orders[2].id)
        await rig.runtime.sleep(10**9)

    rig.run(scenario())
    calls = [(call.verb, call.order_id, (call.ts_ns - start_ns) // 1_000_000) for call in rig.venue.calls]
    ids = [order.id for order in orders]
    # the third was cancelled while it waited: its place and its token went to the fourth
    assert calls == [
        ("place", ids[0], 0),
        ("place", ids[1], 0),
        ("cancel", ids[0], 0),
        ("place", ids[3], 100),
        ("place", ids[4], 200),
    ]
    assert orders[2].status is S.CANCELLED
    assert rig.engine.metrics.value("exec.rate_limit_hits") == 3


def test_an_order_that_expires_in_the_queue_is_not_sent(make_rig):
    rig = make_rig(EngineConfig(rate_limits={"polymarket": RateLimiterConfig(1, 1)}))
    rig.working()
    order = rig.order(tif=TimeInForce.GTD, expire_ns=rig.runtime.now_ns() + 1_000_000)
    with pytest.raises(ValidationError, match="expired before it was sent"):
        rig.run(rig.engine.submit_order(order))
    assert order.status is S.EXPIRED
    assert len(rig.venue.calls) == 1


def test_a_429_is_counted_as_a_rate_limit_hit(rig):
    rig.venue.answers.extend([Refuse(RateLimitExceeded("polymarket", "slow down", 10**8))] * 3)
    with pytest.raises(RateLimitExceeded):
        rig.run(rig.engine.submit_order(rig.order()))
    assert rig.engine.metrics.value("exec.rate_limit_hits") == 3


def test_the_venue_says_when_to_come_back_and_only_cancels_go_before(make_rig):
    rig = make_rig(EngineConfig(calls=RouteConfig(retry=RetryConfig(attempts_max=1))))
    resting = rig.order()
    rig.run(rig.engine.submit_order(resting))
    rig.venue.answers.append(Refuse(RateLimitExceeded("polymarket", "slow down", 10**9)))
    sent = {}

    async def place(order):
        await rig.engine.submit_order(order)
        sent[str(order.id)] = rig.runtime.now_ns()

    async def main():
        with pytest.raises(RateLimitExceeded):
            await rig.engine.submit_order(rig.order())
        refused_ns = rig.runtime.now_ns()
        assert (await rig.engine.cancel_order(resting.id)).cancelled
        assert rig.runtime.now_ns() - refused_ns < 10**9
        later = rig.order()
        await place(later)
        assert sent[str(later.id)] - refused_ns >= 10**9

    rig.run(main())


def test_a_flood_of_orders_leaves_a_token_for_the_cancel(make_rig):
    rig = make_rig(
        EngineConfig(
            rate_limits={"polymarket": RateLimiterConfig(1, 3, shared=True, cancel_reserve=1)}, enable_risk_checks=False
        ),
        latency_ns=0,
    )
    resting = rig.working()
    cancelled = []

    async def main():
        flood = [rig.runtime.spawn(rig.engine.submit_order(rig.order()), "flood") for _ in range(20)]
        await rig.runtime.sleep(1)
        begun_ns = rig.runtime.now_ns()
        await rig.engine.cancel_order(resting.id)
        cancelled.append(rig.runtime.now_ns() - begun_ns)
        for task in flood:
            task.cancel()

    rig.run(main())
    assert cancelled == [0]
    assert sum(call.verb == "place" for call in rig.venue.calls) == 2


def test_an_adapter_that_breaks_leaves_the_order_unknown_and_stops_the_run(rig):
    async def broken(order):
        raise KeyError("orderID")

    rig.venue.place_order = broken
    order = rig.order()
    with pytest.raises(InternalError, match="place_order of the polymarket adapter raised KeyError"):
        rig.run(rig.engine.submit_order(order))
    assert order.status is S.UNKNOWN


def test_a_batch_with_too_few_answers_is_unknown(rig):
    async def one(orders):
        return []

    rig.venue.place_batch = one
    orders = [rig.order(), rig.order()]
    results = rig.run(rig.engine.submit_batch(orders))
    assert not any(result.ok for result in results)
    assert {order.status for order in orders} == {S.UNKNOWN}


def test_a_journal_that_fails_stops_trading(rig):
    order = rig.order()
    rig.engine.begin(order)
    later = rig.order()
    rig.engine.begin(later)

    def fail(*_):
        raise JournalError("journal.sqlite", "disk full")

    rig.journal.write = fail
    with pytest.raises(JournalError):
        rig.run(rig.engine.send(order))
    assert order.status is S.REJECTED
    del rig.journal.write
    with pytest.raises(JournalError):
        rig.run(rig.engine.send(later))
    assert rig.venue.calls == []


def test_metrics_can_be_switched_off(make_rig):
    rig = make_rig(EngineConfig(enable_metrics=False))
    rig.working()
    counted = rig.engine.metrics.snapshot()
    assert counted.pop("exec.latency_ms")["count"] == 0
    assert set(counted.values()) == {0}


def test_custom_validators_run_and_see_the_engine(make_rig):
    from execsim.engine import Refusal

    seen = []

    def only_small(order, view):
        seen.append((view.tick_i(order.market), view.top(order.market).bid_i, view.open_lots(order.market)))
        return Refusal("small", "too big", "smaller") if order.size_lots > 10_000_000 else None

    rig = make_rig(EngineConfig(validator=ValidatorConfig(custom=[only_small])))
    rig.working()
    with pytest.raises(ValidationError, match=r"too big \(rule small\); smaller"):
        rig.engine.begin(rig.order(size=11))
    assert seen == [(100, None, (0, 0)), (100, None, (10_000_000, 0))]


def test_a_market_buy_by_amount_is_spent_not_exceeded(rig):
    rig.books.set_top("rain", 3900, 4000)
    order = rig.order(price=None, size=None, quote_amount=4_000_000, type=OrderType.MARKET, tif=TimeInForce.FOK)
    rig.run(rig.engine.submit_order(order))
    assert rig.engine.order_tracker.open_lots("rain") == (10_000_000, 0)
    rig.engine.record_fill(_fill(rig, order, 9_000_000, 4000, "f1"))
    with pytest.raises(InvalidOrderState, match="left to spend"):
        rig.engine.record_fill(_fill(rig, order, 2_000_000, 4000, "f2"))
    rig.engine.record_fill(_fill(rig, order, 1_000_000, 4000, "f3"), done=True)
    assert (order.status, order.remaining_quote) == (S.FILLED, 0)


def _fill(rig, order, lots, price_i, name):
    from execsim.core.fees import Liquidity
    from execsim.core.order import Fill

    cash = order.instrument.cash(price_i, lots)
    signed = -cash if order.side is Side.BUY else cash
    return Fill(name, order.id, 0, order.side, order.outcome, price_i, lots, signed, 0, Liquidity.TAKER)


def test_a_fill_that_turns_out_to_be_the_last_ends_its_order(rig):
    order = rig.working(size=None, quote_amount=5_000_000, price=None, type=OrderType.MARKET)
    rig.venue._booked[order.id].size_lots = 20_000_000  # more than it will trade
    fill = rig.venue.fill(order.id, 9_000_000, price_i=5_000)
    assert order.status is S.WORKING
    rig.engine.record_fill(fill, done=True)
    assert order.status is S.FILLED
    assert rig.engine.get_position("rain").net_lots == 9_000_000
    assert rig.journal.kinds[-1] == "done"
