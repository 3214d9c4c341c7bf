"""One parent order: schedules, styles, pause, cancel, and everything a venue can do to its children."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from execsim.core.errors import ConfigError, ExecError, NetworkError, ValidationError, VenueError
from execsim.core.events import MarketClosed
from execsim.core.fees import Liquidity
from execsim.core.order import FillStatus, MarketId, OrderStatus, OrderType, TimeInForce
from execsim.core.units import NS_PER_S
from execsim.strategy.algos import (
    Execution,
    State,
    Style,
    Tactics,
    Voids,
    start_iceberg,
    start_pov,
    start_twap,
    start_vwap,
)
from execsim.testing import Ack, Refuse, Silence
from tests.unit.strategy.algos.conftest import Rig, binary

PASSIVE = Tactics(style=Style.PASSIVE)
TAKING = Tactics(style=Style.AGGRESSIVE)
PATIENT = Tactics(style=Style.PASSIVE_THEN_CROSS, patience_ns=3 * NS_PER_S)


def twap(
    rig: Rig, size: int = 40, seconds: int = 40, slices: int = 4, tactics: Tactics = TAKING, **more: Any
) -> Execution:
    return start_twap(
        rig.ctx, "rain", "buy", size, duration_ns=seconds * NS_PER_S, slices=slices, tactics=tactics, **more
    )


def taking(rig: Rig, *fills: int) -> None:
    """The next IOC orders are acked and filled by so many lots; the rest of each is dropped."""
    rig.venue.answers.extend(Ack((lots,) if lots else ()) for lots in fills)


# --- schedules --------------------------------------------------------------------------------------------------------


def test_twap_takes_equal_parts_at_equal_distances(rig: Rig) -> None:
    rig.venue._fills = "full"
    report = rig.run(twap(rig).wait())
    assert rig.said() == [(0, "ioc", 52, 10), (10, "ioc", 52, 10), (20, "ioc", 52, 10), (30, "ioc", 52, 10)]
    assert (report.state, report.done_lots, report.left_lots, report.children) == (State.DONE, 40, 0, 4)
    assert report.avg_price == Decimal("0.52")
    assert (report.arrival, report.slippage_arrival) == (Decimal("0.5"), Decimal("0.02"))
    assert report.row()["slippage_arrival_bp"] == "400"


def test_parts_that_are_too_small_wait_for_each_other(rig: Rig) -> None:
    rig.venue._fills = "full"
    report = rig.run(twap(rig, size=13, seconds=50, slices=10).wait())
    assert [order.size_lots for order in rig.orders] == [5, 8]  # 5 and 5 would leave 3, which nobody takes
    assert report.state is State.DONE


def test_vwap_follows_its_weights(rig: Rig) -> None:
    rig.venue._fills = "full"
    algo = start_vwap(
        rig.ctx, "rain", "sell", 100, weights=[1, 0, 3, 6], slices=2, duration_ns=40 * NS_PER_S, tactics=TAKING
    )
    rig.run(algo.wait())
    assert rig.said() == [
        (0, "ioc", 48, 5), (5, "ioc", 48, 5), (20, "ioc", 48, 15), (25, "ioc", 48, 15), (30, "ioc", 48, 30),
        (35, "ioc", 48, 30),
    ]  # fmt: skip


@pytest.mark.parametrize("weights", [[], [0, 0], [1, -1]])
def test_weights_must_say_something(rig: Rig, weights: list[int]) -> None:
    with pytest.raises(ConfigError, match="at least one above 0"):
        start_vwap(rig.ctx, "rain", "buy", 10, weights=weights, duration_ns=NS_PER_S)


def test_pov_takes_its_share_of_what_others_print(rig: Rig) -> None:
    rig.venue._fills = "full"
    algo = start_pov(rig.ctx, "rain", "buy", 20, rate=Fraction(1, 4), limit="0.55", tactics=TAKING)
    rig.at(1, rig.print, 50, 24)  # 6 are due
    rig.at(3, rig.print, 56, 400)  # beyond the limit: not counted
    rig.at(5, rig.print, 50, 30)
    # our own fills are printed too (the venue reports them): 6 and 7 of these are not others'
    rig.at(6, rig.print, 52, 13)
    rig.at(8, rig.print, 50, 4)
    rig.until(20)
    assert [(at, lots) for at, _, _, lots in rig.said()] == [(1, 6), (5, 7)]
    rig.at(21, rig.print, 50, 400)
    report = rig.run(algo.wait())
    assert report.done_lots == 20
    assert rig.said()[-1][3] == 7


def test_iceberg_shows_one_piece_at_a_time(rig: Rig) -> None:
    algo = start_iceberg(rig.ctx, "rain", "sell", 25, display=10, limit="0.53")
    rig.until(1)
    assert rig.said() == [(0, "limit", 53, 10)]
    rig.venue.fill(rig.orders[0].id, 4)
    rig.until(2)
    assert len(rig.orders) == 1  # refreshed only when the piece is traded
    rig.venue.fill(rig.orders[0].id, 6)
    rig.until(3)
    assert rig.said()[1:] == [(2, "limit", 53, 10)]
    rig.venue.fill(rig.orders[1].id, 10)
    rig.until(4)
    rig.venue.fill(rig.orders[2].id, 5)
    report = rig.run(algo.wait())
    assert (report.state, [order.size_lots for order in rig.orders]) == (State.DONE, [10, 10, 5])


def test_a_jittered_display_is_off_by_at_most_that_and_repeats() -> None:
    shown = []
    for _ in range(2):
        rig = Rig()
        rig.venue._fills = "full"
        algo = start_iceberg(rig.ctx, "rain", "buy", 400, display=20, jitter_percent=30, limit="0.50")
        rig.run(algo.wait())
        sizes = [order.size_lots or 0 for order in rig.orders]
        assert sum(sizes) == 400
        assert all(14 <= size <= 26 for size in sizes[:-1])
        assert len(set(sizes)) > 4
        shown.append(sizes)
    assert shown[0] == shown[1]


# --- styles -----------------------------------------------------------------------------------------------------------


def test_passive_rests_at_our_side_and_moves_after_a_time(rig: Rig) -> None:
    algo = twap(rig, slices=1, tactics=Tactics(style=Style.PASSIVE, reprice_ns=5 * NS_PER_S))
    rig.at(2, rig.books.set_top, "rain", 49, 52)
    rig.until(4)
    assert rig.said() == [(0, "post_only", 48, 40)]
    rig.until(6)
    assert rig.orders[0].status is OrderStatus.CANCELLED
    assert [row[1:] for row in rig.said()[1:]] == [("post_only", 49, 40)]
    rig.venue.fill(rig.orders[1].id, 40)
    assert rig.run(algo.wait()).state is State.DONE


def test_what_is_due_for_too_long_crosses_and_the_rest_stays(rig: Rig) -> None:
    algo = twap(rig, size=40, seconds=20, slices=2, tactics=PATIENT)
    taking(rig, 0)
    rig.until(2)
    rig.venue.fill(rig.orders[0].id, 8)
    rig.until(2.5)
    rig.venue.answers.extend([Ack((12,))])
    rig.until(4)
    assert [row[1:] for row in rig.said()] == [("post_only", 48, 20), ("ioc", 52, 12)]
    assert algo.done_lots == 20
    rig.run(algo.cancel())


def test_nothing_crosses_beyond_the_limit(rig: Rig) -> None:
    algo = twap(rig, size=20, seconds=20, slices=1, tactics=PATIENT, limit="0.51")
    rig.until(8)
    assert [row[1:] for row in rig.said()] == [("post_only", 48, 20)]  # it goes on resting
    rig.venue.answers.append(Ack((20,)))
    rig.books.set_top("rain", 48, 51)
    report = rig.run(algo.wait())
    assert rig.said()[-1][1:] == ("ioc", 51, 20)
    assert report.state is State.DONE


def test_an_aggressive_order_waits_while_the_touch_is_beyond_the_limit(rig: Rig) -> None:
    algo = twap(rig, size=20, seconds=20, slices=1, limit="0.50")
    rig.until(10)
    assert rig.orders == []
    report = rig.run(algo.wait())
    assert (report.state, report.reason, report.left_lots) == (State.SHORT, "the time is over", 20)


def test_a_touch_we_emptied_is_not_hit_again_until_it_changes(rig: Rig) -> None:
    rig.books.set_top("rain", 48, 52, 12)
    algo = twap(rig, size=40, seconds=60, slices=1)
    taking(rig, 12)
    rig.until(10)
    assert rig.said() == [(0, "ioc", 52, 40)]
    rig.books.set_top("rain", 48, 52, 30)
    taking(rig, 28)
    assert rig.run(algo.wait()).state is State.DONE
    assert len(rig.orders) == 2


def test_resting_needs_a_limit(rig: Rig) -> None:
    with pytest.raises(ConfigError, match="style resting without a limit"):
        twap(rig, tactics=Tactics(style=Style.RESTING))


def test_no_is_bought_at_its_own_prices(rig: Rig) -> None:
    rig.books.set_top("rain", 40, 45)
    rig.venue._fills = "full"
    rig.run(start_twap(rig.ctx, "rain", "buy", 10, outcome="no", duration_ns=NS_PER_S, slices=1, tactics=TAKING).wait())
    assert [(o.outcome, o.price_i) for o in rig.orders] == [("no", 60)]


# --- pause, resume, cancel, progress ----------------------------------------------------------------------------------


def test_a_pause_pulls_what_rests_and_stops_the_clock(rig: Rig) -> None:
    algo = twap(rig, tactics=PASSIVE)
    rig.at(5, algo.pause)
    rig.until(6)
    assert algo.state is State.PAUSED
    assert rig.orders[0].status is OrderStatus.CANCELLED
    assert (algo.done_lots, algo.left_lots, algo.open_lots) == (0, 40, 0)
    rig.until(100)
    assert len(rig.orders) == 1
    rig.at(105, algo.resume)
    rig.until(106)
    assert rig.said()[1:] == [(105, "post_only", 48, 10)]
    rig.until(110.5)
    assert rig.said()[2:] == [(110, "post_only", 48, 10)]  # its tenth second
    report = rig.run(algo.wait())
    assert report.state is State.SHORT
    assert 139.9 < rig.now_s < 141  # forty seconds of its own


def test_cancel_ends_with_every_child_ended_and_says_what_was_done(rig: Rig) -> None:
    algo = twap(rig, tactics=PASSIVE)
    rig.until(12)
    rig.venue.fill(rig.orders[0].id, 7, price_i=47)
    rig.until(13)
    assert (algo.done_lots, algo.open_lots, algo.avg_price) == (7, 13, Decimal("0.47"))
    report = rig.run(algo.cancel())
    assert all(order.is_terminal for order in rig.orders)
    assert (report.state, report.done_lots, report.left_lots) == (State.CANCELLED, 7, 33)
    calls = len(rig.venue.calls)
    rig.until(60)
    assert len(rig.venue.calls) == calls
    assert rig.run(algo.cancel()) == report


def test_a_cancel_that_is_refused_is_sent_again(rig: Rig) -> None:
    algo = twap(rig, tactics=PASSIVE)
    rig.until(1)
    rig.venue.cancel_answers.extend([Refuse(VenueError("v", "425", "restarting"))] * 2)
    report = rig.run(algo.cancel())
    assert report.state is State.CANCELLED
    assert len(rig.asked("cancel")) == 3
    assert rig.orders[0].status is OrderStatus.CANCELLED


def test_a_child_cancelled_before_it_was_sent_is_not_asked_about(rig: Rig) -> None:
    algo = twap(rig, tactics=PASSIVE)

    async def at_once() -> None:
        algo.step()
        assert rig.orders[0].status is OrderStatus.PENDING
        await algo.cancel()

    rig.run(at_once())
    assert rig.venue.calls == []


# --- what venues do ---------------------------------------------------------------------------------------------------


def test_a_silent_child_keeps_its_lots_and_the_rest_goes_on(rig: Rig) -> None:
    """UNKNOWN: nobody says what became of it, so nobody may use its lots."""
    rig.venue.answers.append(Silence(booked=True))
    algo = twap(rig, size=20, seconds=20, slices=2, tactics=PASSIVE)
    rig.venue.get_order_status = _unanswered  # type: ignore[method-assign]
    rig.until(15)
    assert rig.orders[0].status is OrderStatus.UNKNOWN
    assert [order.size_lots for order in rig.orders] == [10, 10]
    assert (algo.open_lots, algo.parent.room_lots) == (20, 0)
    del rig.venue.get_order_status
    rig.venue.fill(rig.orders[0].id, 10)
    rig.venue.fill(rig.orders[1].id, 10)
    report = rig.run(algo.wait())
    assert (report.state, report.done_lots) == (State.DONE, 20)


async def _unanswered(order_id: str) -> Any:
    raise NetworkError("v", "no answer")


def test_a_fill_that_crossed_the_cancel_is_found_by_asking(rig: Rig) -> None:
    """The cancel is acked before the news of the fill is here: its lots are not placed twice."""
    algo = twap(rig, size=10, seconds=60, slices=1, tactics=Tactics(style=Style.PASSIVE, reprice_ns=5 * NS_PER_S))
    rig.until(1)
    sink, rig.venue._sink = rig.venue._sink, lambda event: None  # the stream is frozen
    rig.venue.fill(rig.orders[0].id, 4)
    rig.books.set_top("rain", 49, 52)
    rig.until(10)
    rig.venue._sink = sink
    assert rig.orders[0].filled_lots == 4
    assert [order.size_lots for order in rig.orders] == [10, 6]
    rig.venue.fill(rig.orders[1].id, 6)
    assert rig.run(algo.wait()).done_lots == 10


def test_an_ended_child_that_cannot_be_asked_about_keeps_its_lots(rig: Rig) -> None:
    algo = twap(rig, size=10, seconds=60, slices=1, tactics=PASSIVE)
    rig.until(1)
    rig.venue.get_order_status = _unanswered  # type: ignore[method-assign]
    rig.venue.drop(rig.orders[0].id)
    rig.until(20)
    assert rig.orders[0].status is OrderStatus.CANCELLED
    assert (len(rig.orders), algo.open_lots) == (1, 10)
    del rig.venue.get_order_status
    rig.until(50)
    assert len(rig.orders) == 2
    rig.run(algo.cancel())


def test_a_voided_fill_is_traded_again(rig: Rig) -> None:
    algo = twap(rig, size=20, seconds=60, slices=1, tactics=PASSIVE)
    rig.until(1)
    fill = rig.venue.fill(rig.orders[0].id, 20, status=FillStatus.PROVISIONAL)
    rig.until(10)
    assert algo.state is State.WORKING  # it may still be undone
    rig.venue.void(fill)
    rig.until(11)
    assert (algo.done_lots, algo.open_lots) == (0, 20)
    rig.venue.fill(rig.orders[1].id, 20)
    report = rig.run(algo.wait())
    assert (report.state, report.done_lots, report.voided_lots) == (State.DONE, 20, 20)


def test_a_void_after_the_time_is_over_is_still_traded_again(rig: Rig) -> None:
    algo = twap(rig, size=40, seconds=10, slices=2)
    rig.venue.answers.append(Ack())
    rig.until(1)
    fill = rig.venue.fill(rig.orders[0].id, 20, status=FillStatus.PROVISIONAL)
    rig.until(30)
    assert (algo.state, algo.done_lots) == (State.WORKING, 20)
    rig.books.set_top("rain", 48, 51)
    rig.venue.answers.append(Ack((12,)))
    rig.venue.void(fill)
    rig.until(40)
    assert algo.done_lots == 12
    rig.books.set_top("rain", 48, 50)
    rig.venue.answers.append(Ack((8,)))
    report = rig.run(algo.wait())
    # no more than had been done in time, whatever the market offers now
    assert (report.state, report.done_lots, report.reason) == (State.SHORT, 20, "the time is over")


def test_a_void_is_only_reported_where_that_is_wanted(rig: Rig) -> None:
    algo = twap(rig, size=20, seconds=60, slices=1, tactics=Tactics(style=Style.PASSIVE, voids=Voids.REPORT))
    rig.until(1)
    fill = rig.venue.fill(rig.orders[0].id, 12, status=FillStatus.PROVISIONAL)
    rig.until(2)
    rig.venue.void(fill)
    rig.until(3)
    rig.venue.fill(rig.orders[0].id, 8)
    report = rig.run(algo.wait())
    assert (report.state, report.done_lots, report.left_lots, report.voided_lots) == (State.SHORT, 8, 12, 12)
    assert report.reason == "12 lots were voided"
    assert len(rig.orders) == 1


def test_a_void_after_the_end_is_told(rig: Rig) -> None:
    algo = twap(rig, size=20, seconds=60, slices=1, tactics=Tactics(style=Style.PASSIVE, settle_max_ns=0))
    rig.until(1)
    fill = rig.venue.fill(rig.orders[0].id, 20, status=FillStatus.PROVISIONAL)
    assert rig.run(algo.wait()).state is State.DONE
    rig.venue.void(fill)
    report = algo.report()
    assert (report.state, report.left_lots, report.reason) == (State.SHORT, 20, "20 lots were voided after the end")


def test_refusals_are_retried_with_growing_pauses_and_then_it_fails(rig: Rig) -> None:
    error: ExecError = VenueError("v", "balance", "not enough")
    rig.venue.answers.extend([Refuse(error)] * 10)
    algo = twap(rig, size=10, seconds=600, slices=1, tactics=Tactics(style=Style.PASSIVE, retries_max=4))
    report = rig.run(algo.wait())
    assert (report.state, report.left_lots) == (State.FAILED, 10)
    assert report.reason == "refused 5 times in a row: v: not enough [balance]"
    pauses = [round(b[0] - a[0]) for a, b in zip(rig.said(), rig.said()[1:], strict=False)]
    assert pauses == [1, 2, 4, 8]


def test_an_accepted_child_ends_a_row_of_refusals(rig: Rig) -> None:
    refused = Refuse(VenueError("v", "x", "no"))
    rig.venue.answers.extend([refused, refused, Ack(), refused, refused, Ack()])
    algo = twap(rig, size=20, seconds=40, slices=2, tactics=Tactics(style=Style.PASSIVE, retries_max=2))
    rig.until(35)
    assert algo.state is State.WORKING
    assert algo.open_lots == 20
    rig.run(algo.cancel())


def test_it_ends_when_the_market_closes(rig: Rig) -> None:
    algo = twap(rig, tactics=PASSIVE)
    rig.until(1)
    rig.venue.fill(rig.orders[0].id, 3)
    rig.venue.report(MarketClosed(MarketId("rain"), 100, rig.runtime.now_ns()))
    rig.venue.drop(rig.orders[0].id, "market closed")
    report = rig.run(algo.wait())
    assert (report.state, report.done_lots, report.reason) == (State.CLOSED, 3, "market rain has closed")


def test_it_ends_when_the_data_does(rig: Rig) -> None:
    algo = twap(rig, tactics=PASSIVE)
    rig.until(1)
    for _, stream in rig.books._top_streams:
        rig.run(stream.aclose())
    report = rig.run(algo.wait())
    assert (report.state, report.reason) == (State.CLOSED, "its data has ended")
    assert all(order.is_terminal for order in rig.orders)


def test_what_is_left_below_the_minimum_is_told(rig: Rig) -> None:
    algo = twap(rig, size=10, seconds=60, slices=1)
    taking(rig, 7)
    report = rig.run(algo.wait())
    assert (report.state, report.done_lots, report.left_lots) == (State.SHORT, 7, 3)
    assert report.reason == "3 lots left are below the market's minimum of 5"


def test_a_resting_child_is_not_pulled_when_its_rest_could_not_be_placed_again(rig: Rig) -> None:
    algo = twap(rig, size=10, seconds=60, slices=1, tactics=PATIENT)
    rig.until(1)
    rig.venue.fill(rig.orders[0].id, 7)
    rig.books.set_top("rain", 49, 52)
    rig.until(50)
    assert rig.asked("cancel") == []
    rig.venue.fill(rig.orders[0].id, 3)
    assert rig.run(algo.wait()).state is State.DONE


def test_the_interval_vwap_is_that_of_the_prints(rig: Rig) -> None:
    rig.venue._fills = "full"
    algo = twap(rig, size=10, seconds=10, slices=2)
    rig.at(1, rig.print, 50, 30)
    rig.at(2, rig.print, 54, 10, "rain", True)
    report = rig.run(algo.wait())
    assert (report.vwap, report.prints, report.inferred) == (Decimal("0.51"), 2, 1)
    assert report.slippage_vwap == Decimal("0.01")


@pytest.mark.parametrize(
    ("start", "error", "message"),
    [
        (lambda c: start_twap(c, "snow", "buy", 10, duration_ns=1), ConfigError, "market 'snow'"),
        (lambda c: start_twap(c, "rain", "hold", 10, duration_ns=1), ConfigError, "side 'hold' does not exist"),
        (lambda c: start_twap(c, "rain", "buy", 3, duration_ns=1), ConfigError, "a multiple of 1, at least 5"),
        (lambda c: start_twap(c, "rain", "buy", "5.5", duration_ns=1), ValidationError, "5.5 is not a multiple"),
        (lambda c: start_twap(c, "rain", "buy", 10, limit="0.555", duration_ns=1), ValidationError, "0.555"),
        (lambda c: start_twap(c, "rain", "buy", 10, duration_ns=0), ConfigError, "twap: duration_ns is 0"),
        (lambda c: start_twap(c, "rain", "buy", 10, duration_ns=1, slices=0), ConfigError, "slices is 0"),
        (lambda c: start_pov(c, "rain", "buy", 10, rate=2), ConfigError, "rate is 2"),
        (lambda c: start_iceberg(c, "rain", "buy", 10, display=2), ConfigError, "display 2 is no order of rain"),
        (lambda c: Tactics(retry_ns=0), ConfigError, "retry_ns is 0"),
        (lambda c: Tactics(patience_ns=-1), ConfigError, "patience_ns is -1"),
    ],
)
def test_what_cannot_be_worked_is_refused_at_the_door(rig: Rig, start: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        start(rig.ctx)
    rig.until(1)
    assert rig.orders == []


def test_several_algorithms_of_one_strategy_do_not_mix(rig: Rig) -> None:
    one, two = twap(rig, tactics=PASSIVE), twap(rig, size=20, slices=1, tactics=PASSIVE)
    rig.until(1)
    assert [order.size_lots for order in rig.orders] == [10, 20]
    rig.venue.fill(rig.orders[1].id, 20, liquidity=Liquidity.MAKER)
    assert rig.run(two.wait()).done_lots == 20
    assert (one.done_lots, one.state) == (0, State.WORKING)
    rig.run(one.cancel())


def test_children_are_ordinary_orders(rig: Rig) -> None:
    algo = twap(rig, tactics=PASSIVE)
    rig.until(1)
    order = rig.orders[0]
    assert (order.type, order.tif, order.tag) == (OrderType.POST_ONLY, TimeInForce.GTC, "twap")
    assert rig.ctx.open_orders() == [order]
    rig.run(algo.cancel())


def test_a_market_with_a_coarse_step_is_traded_on_it() -> None:
    rig = Rig(binary(size_step_lots=4, size_min_lots=8))
    rig.venue._fills = "full"
    rig.run(twap(rig, size=40, seconds=40, slices=4).wait())
    assert [order.size_lots for order in rig.orders] == [8, 12, 8, 12]
