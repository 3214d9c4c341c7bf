"""Routing one parent over venues: what is cheapest all in, what a venue that is not well gets, and what is never lost."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execsim.core.errors import ConfigError, ExecTimeout, NetworkError, VenueError
from execsim.core.events import Depth
from execsim.core.fees import BinaryFee, NotionalFee
from execsim.core.instrument import Instrument, Outcome
from execsim.core.order import MarketId, OrderStatus, Side
from execsim.core.units import NS_PER_S
from execsim.strategy.algos import State, start_router
from execsim.strategy.algos.taken import FORGET_NS, Taken
from execsim.strategy.algos.walk import Level, Take, all_in, levels_of, share_out
from execsim.testing import Ack, Refuse, Silence
from tests.unit.strategy.algos.conftest import Rig, binary


def two(**second: Any) -> Rig:
    """`a` without fees and `b` with what is given, each on its own venue, and both asking 52."""
    return Rig(binary("a", "va"), binary("b", "vb", **second))


def depth(rig: Rig, **books: list[tuple[int, int]]) -> None:
    """Asks of each market; the bid stays at 48."""
    shown = {name: Depth(MarketId(name), 0, ((48, 500),), tuple(asks)) for name, asks in books.items()}
    rig.books.depth = lambda market, levels=10: shown[market]  # type: ignore[method-assign]
    for name, asks in books.items():
        rig.books.set_top(name, 48, asks[0][0] if asks else None, asks[0][1] if asks else 0)


def sent(rig: Rig) -> list[tuple[str, int | None, int | None]]:
    return [(str(o.market), o.price_i, o.size_lots) for o in rig.orders]


def full(rig: Rig) -> None:
    for venue in rig.venues.values():
        venue._fills = "full"


# --- the walk -----------------------------------------------------------------------------------------------------------


def test_the_cost_of_a_level_is_exact_and_has_the_fee_in_it() -> None:
    inst = binary(fees=BinaryFee(Decimal("0.07")))
    # 100 shares at 0.52: 52 paid, 100 x 0.07 x 0.52 x 0.48 = 1.7472 fee
    assert all_in(inst, Side.BUY, 52, 100, 0) == Fraction(537_472, 1_000_000)
    assert all_in(inst, Side.SELL, 52, 100, 0) == Fraction(502_528, 1_000_000)


def level(market: str, price_i: int, lots: int, cost: str) -> Level:
    return Level(market, price_i, lots, lots, Fraction(cost))


def test_the_cheapest_levels_are_taken_first_whosever_they_are() -> None:
    levels = [
        level("a", 52, 10, "0.52"),
        level("a", 53, 50, "0.53"),
        level("b", 51, 8, "0.525"),
        level("b", 54, 9, "0.54"),
    ]
    ones = {"a": 1, "b": 1}
    assert share_out(30, levels, Side.BUY, ones, ones, ones) == {"a": Take(22, 53), "b": Take(8, 51)}
    assert share_out(12, levels, Side.BUY, ones, ones, ones) == {"a": Take(10, 52), "b": Take(2, 51)}
    # a share below the minimum goes to the others
    assert share_out(12, levels, Side.BUY, ones, ones, {"a": 5, "b": 5}) == {"a": Take(12, 53)}
    assert share_out(12, levels, Side.SELL, ones, ones, ones) == {"b": Take(9, 54), "a": Take(3, 53)}


def test_equal_costs_go_to_the_market_named_first() -> None:
    levels = [level("b", 52, 10, "0.52"), level("a", 52, 10, "0.52")]
    ones = {"a": 1, "b": 1}
    assert share_out(10, levels, Side.BUY, ones, ones, ones) == {"a": Take(10, 52)}


@given(st.data())
def test_shares_never_exceed_room_or_book_and_stand_on_step_and_minimum(data: st.DataObject) -> None:
    names = ["a", "b", "c"]
    weights = {name: data.draw(st.sampled_from([1, 2, 5])) for name in names}
    steps = {name: data.draw(st.sampled_from([1, 3])) for name in names}
    leasts = {name: steps[name] * data.draw(st.integers(1, 4)) for name in names}
    shown = data.draw(st.lists(st.tuples(st.sampled_from(names), st.integers(1, 9), st.integers(1, 40)), max_size=9))
    levels = [Level(name, price, lots, lots, Fraction(price)) for name, price, lots in shown]
    room = data.draw(st.integers(0, 200))
    takes = share_out(room, levels, Side.BUY, weights, steps, leasts)
    assert sum(take.lots * weights[name] for name, take in takes.items()) <= room
    for name, take in takes.items():
        assert take.lots <= sum(at.lots for at in levels if at.market == name and at.price_i <= take.price_i)
        assert take.lots >= leasts[name]
        assert take.lots % steps[name] == 0


def test_levels_stop_at_the_limit_and_leave_out_what_is_spoken_for() -> None:
    rig = Rig(binary("a"))
    depth(rig, a=[(50, 10), (51, 20), (53, 40)])

    def seen(limit: int | None, spoken_for: int, taken: Taken) -> list[tuple[int, int]]:
        found = levels_of(
            rig.ctx, "a", Side.BUY, Outcome.YES, limit, taken=taken, spoken_for=spoken_for, penalty=Fraction(0), depth=9
        )
        return [(item.price_i, item.lots) for item in found]

    assert seen(52, 0, Taken()) == [(50, 10), (51, 20)]
    assert seen(None, 12, Taken()) == [(51, 18), (53, 40)]
    no = levels_of(rig.ctx, "a", Side.SELL, Outcome.NO, None, taken=Taken(), spoken_for=0, penalty=Fraction(0), depth=9)
    assert [item.price_i for item in no] == [50, 49, 47]


# --- routing ------------------------------------------------------------------------------------------------------------


def test_one_order_is_split_by_price(rig: Rig) -> None:
    rig = two()
    full(rig)
    depth(rig, a=[(50, 20), (53, 100)], b=[(51, 30), (52, 10)])
    report = rig.run(start_router(rig.ctx, ["a", "b"], "buy", 55).wait())
    assert sent(rig) == [("a", 50, 20), ("b", 52, 35)]
    assert (report.state, report.markets, report.done_lots) == (State.DONE, ("a", "b"), 55)


@pytest.mark.parametrize(
    ("fees", "expected"),
    [(NotionalFee(taker=Decimal("0.03")), [("a", 52, 40)]), (NotionalFee(taker=Decimal("0.01")), [("b", 51, 40)])],
)
def test_a_better_price_may_cost_more_with_its_fee(fees: Any, expected: Any) -> None:
    rig = two(fees=fees)
    full(rig)
    depth(rig, a=[(52, 100)], b=[(51, 100)])
    rig.run(start_router(rig.ctx, ["a", "b"], "buy", 40).wait())
    assert sent(rig) == expected


def test_a_penalty_counts_like_a_price() -> None:
    rig = two()
    full(rig)
    depth(rig, a=[(52, 100)], b=[(51, 100)])
    rig.run(start_router(rig.ctx, ["a", "b"], "buy", 40, penalties={"b": "0.02"}).wait())
    assert sent(rig) == [("a", 52, 40)]


def test_a_slow_venue_costs_what_its_latency_is_worth() -> None:
    """The first order measures it (a second to the venue and one back); the next ones avoid it."""
    rig = two()
    rig.venues["vb"]._latency_ns = NS_PER_S
    full(rig)
    depth(rig, a=[(52, 500)], b=[(51, 10)])
    algo = start_router(rig.ctx, ["a", "b"], "buy", 20, limit="0.51", price_per_s="0.01")
    rig.until(10)
    assert sent(rig) == [("b", 51, 10)]
    assert algo._tactic.venues["b"].latency_ns == 2 * NS_PER_S  # type: ignore[attr-defined]
    rig.run(algo.cancel())
    other = start_router(rig.ctx, ["a", "b"], "buy", 20, price_per_s="0.01", penalties={"b": "0.02"})
    rig.run(other.wait())
    assert sent(rig)[1:] == [("a", 52, 20)]


def test_nothing_is_taken_beyond_the_limit() -> None:
    rig = two()
    full(rig)
    depth(rig, a=[(52, 10), (54, 100)], b=[(53, 100)])
    algo = start_router(rig.ctx, ["a", "b"], "buy", 40, limit="0.52", duration_ns=20 * NS_PER_S)
    report = rig.run(algo.wait())
    assert sent(rig) == [("a", 52, 10)]
    assert (report.state, report.left_lots) == (State.SHORT, 30)


def test_venues_of_different_grids_share_one_parent() -> None:
    rig = two(lot=Decimal("0.1"), size_min_lots=10)
    full(rig)
    depth(rig, a=[(52, 7)], b=[(51, 105)])
    algo = start_router(rig.ctx, ["a", "b"], "buy", "17.5")
    report = rig.run(algo.wait())
    assert sent(rig) == [("b", 51, 105), ("a", 52, 7)]
    assert (algo.lots, report.done_lots, str(report.size), str(report.done)) == (175, 175, "17.5", "17.5")


# --- failover -------------------------------------------------------------------------------------------------------------


def test_a_venue_whose_breaker_is_open_gets_nothing() -> None:
    rig = two()
    full(rig)
    depth(rig, a=[(52, 500)], b=[(50, 500)])
    rig.venues["vb"].healthy = False
    breaker = rig.engine._dispatch.routes["vb"].breaker
    for _ in range(5):
        breaker.failed()
    assert not rig.ctx.healthy("vb")
    rig.run(start_router(rig.ctx, ["a", "b"], "buy", 40).wait())
    assert sent(rig) == [("a", 52, 40)]


def test_it_comes_back_when_the_venue_does() -> None:
    rig = two()
    full(rig)
    depth(rig, a=[(52, 10)], b=[(50, 500)])
    rig.venues["vb"].healthy = False
    for _ in range(5):
        rig.engine._dispatch.routes["vb"].breaker.failed()
    algo = start_router(rig.ctx, ["a", "b"], "buy", 40)
    rig.until(8)
    assert sent(rig) == [("a", 52, 10)]
    rig.venues["vb"].healthy = True
    assert rig.run(algo.wait()).state is State.DONE
    assert sent(rig) == [("a", 52, 10), ("b", 50, 30)]


def test_what_one_venue_refuses_goes_to_the_other() -> None:
    rig = two()
    full(rig)
    depth(rig, a=[(52, 500)], b=[(50, 500)])
    rig.venues["vb"].answers.append(Refuse(VenueError("vb", "balance", "not enough")))
    report = rig.run(start_router(rig.ctx, ["a", "b"], "buy", 40).wait())
    assert sent(rig) == [("b", 50, 40), ("a", 52, 40)]
    assert report.state is State.DONE


async def _unanswered(order_id: str) -> Any:
    raise NetworkError("vb", "no answer")


def test_a_silent_venue_keeps_its_lots_until_it_is_sure() -> None:
    """Nobody answers for 30 lots: only the other 10 may be traded elsewhere, until the venue says they never were."""
    rig = two()
    rig.venues["va"]._fills = "full"
    depth(rig, a=[(52, 500)], b=[(50, 30)])
    silent = rig.venues["vb"]
    silent.answers.append(Silence())
    answering, silent.get_order_status = silent.get_order_status, _unanswered  # type: ignore[method-assign,assignment]
    algo = start_router(rig.ctx, ["a", "b"], "buy", 40)
    rig.until(30)
    assert sent(rig) == [("b", 50, 30), ("a", 52, 10)]
    assert rig.orders[0].status is OrderStatus.UNKNOWN
    assert (algo.done_lots, algo.open_lots, algo.parent.room_lots) == (10, 30, 0)
    silent.get_order_status = answering  # type: ignore[method-assign]
    report = rig.run(algo.wait())
    assert report.done_lots == 40
    assert rig.orders[0].filled_lots == 0


def test_a_silent_venue_that_traded_after_all_is_not_traded_again() -> None:
    rig = two()
    rig.venues["va"]._fills = "full"
    depth(rig, a=[(52, 500)], b=[(50, 30)])
    rig.venues["vb"].answers.append(Silence(booked=True))
    algo = start_router(rig.ctx, ["a", "b"], "buy", 40)
    rig.at(0.1, lambda: rig.venues["vb"].fill(rig.orders[0].id, 30))
    report = rig.run(algo.wait())
    assert (report.done_lots, report.excess_lots) == (40, 0)
    assert sent(rig) == [("b", 50, 30), ("a", 52, 10)]


def test_it_fails_when_every_venue_refuses() -> None:
    rig = two()
    depth(rig, a=[(52, 500)], b=[(50, 500)])
    for venue in rig.venues.values():
        venue.answers.extend([Refuse(VenueError("x", "no", "no"))] * 40)
    report = rig.run(start_router(rig.ctx, ["a", "b"], "buy", 40).wait())
    assert (report.state, report.done_lots) == (State.FAILED, 0)
    assert "refused" in report.reason


def test_one_market_that_closes_leaves_the_others() -> None:
    rig = two()
    full(rig)
    depth(rig, a=[(52, 500)], b=[(50, 20)])
    algo = start_router(rig.ctx, ["a", "b"], "buy", 40, limit="0.50")
    rig.until(1)
    for name, stream in rig.books._top_streams:
        if name == "b":
            rig.run(stream.aclose())
    rig.until(2)
    depth(rig, a=[(50, 500)], b=[(49, 500)])
    assert rig.run(algo.wait()).state is State.DONE
    assert sent(rig) == [("b", 50, 20), ("a", 50, 20)]


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (lambda c: start_router(c, [], "buy", 10), "name each market once"),
        (lambda c: start_router(c, ["a", "a"], "buy", 10), "name each market once"),
        (lambda c: start_router(c, ["a", "b"], "buy", 2), "a multiple of 1, at least 5"),
        (lambda c: start_router(c, ["a", "b"], "buy", "7.5"), "a multiple of 1, at least 5"),
        (lambda c: start_router(c, ["a", "b"], "buy", 10, penalties={"c": 1}), "a penalty for 'c'"),
        (lambda c: start_router(c, ["a", "b"], "buy", 10, depth=0), "depth is 0"),
        (lambda c: start_router(c, ["a", "x"], "buy", 10), "market 'x'"),
    ],
)
def test_what_cannot_be_routed_is_refused_at_the_door(start: Callable[[Any], Any], message: str) -> None:
    rig = two()
    with pytest.raises(ConfigError, match=message):
        start(rig.ctx)


# --- what we took ---------------------------------------------------------------------------------------------------------


def test_what_was_taken_is_not_offered_again_until_the_level_changes() -> None:
    rig = two()
    depth(rig, a=[(52, 20)], b=[])
    rig.venues["va"].answers.extend([Ack((20,)), Ack((20,))])
    algo = start_router(rig.ctx, ["a", "b"], "buy", 40)
    rig.until(9)
    assert sent(rig) == [("a", 52, 20)]  # the book still shows them
    depth(rig, a=[(52, 25)], b=[])
    assert rig.run(algo.wait()).state is State.DONE


def test_a_level_that_stays_as_it_is_is_believed_again_after_a_while() -> None:
    taken, now = Taken(), 5 * NS_PER_S
    taken._levels["a", 52] = (20, 15, now)
    assert taken.left("a", 52, 20, now + 1) == 5
    assert taken.left("a", 52, 20, now + FORGET_NS) == 20
    taken._levels["a", 52] = (20, 15, now)
    assert taken.left("a", 52, 21, now + 1) == 21
    taken._levels["a", 52] = (20, 15, now)
    taken.passed("a", 53, 1)
    assert taken.left("a", 52, 20, now + 1) == 20


def test_an_order_lost_on_its_way_is_an_outage_not_an_answer(make_binary: Callable[..., Instrument]) -> None:
    rig = Rig(make_binary("a", "va"), make_binary("b", "vb"), make_binary("c", "vc"))
    full(rig)
    depth(rig, a=[(52, 500)], b=[(50, 500)], c=[(51, 500)])
    rig.venues["vb"].answers.extend([Refuse(ExecTimeout("vb", "no way there", "no"))] * 9)
    report = rig.run(start_router(rig.ctx, ["a", "b", "c"], "buy", 40).wait())
    assert report.state is State.DONE
    assert sent(rig)[-1] == ("c", 51, 40)
