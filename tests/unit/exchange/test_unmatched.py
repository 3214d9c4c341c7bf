"""Immediate orders that find too little: refused where the venue refuses them, else accepted and ended EXPIRED."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from worlds import MS, OPEN_PROFILE, START_NS, Tape, World, coarse

from execsim.core.errors import VenueError
from execsim.core.events import OrderGone, VenueEvent
from execsim.core.instrument import InstrumentKind
from execsim.core.order import Order, OrderAck, OrderId, OrderStatus, OrderType, Side, TimeInForce
from execsim.exchange import ConstantLatency, Exchange, LatencyModel
from execsim.exchange.l3_matching import L3Matching
from execsim.exchange.resting import VenueOrder
from execsim.kernel import MarketSpan, Replay
from execsim.ports import VenueProfile
from execsim.runtime import VirtualRuntime

COIN = coarse("coin", InstrumentKind.SPOT)
TEXTS = {"fok": ("K", "killed"), "ioc_no_match": ("N", "no match")}
REFUSES = replace(OPEN_PROFILE, texts=TEXTS)
EXPIRES = replace(REFUSES, unmatched="expire")
IOC, FOK = TimeInForce.IOC, TimeInForce.FOK

Outcome = tuple[str, int, OrderStatus | None]
"""(refusal, or the reason of the end; lots filled; how it ended, None where it was refused)"""


def on_tape(profile: VenueProfile, tif: TimeInForce, lots: int, price_i: int) -> Outcome:
    """100 lots are offered at 52 on a recorded book."""
    runtime = VirtualRuntime(1, START_NS)
    latency = LatencyModel(ConstantLatency(0), ConstantLatency(0), ConstantLatency(0))
    tape = Tape().book(0, [(48, 100)], [(52, 100)])
    world = World(runtime, tape, [COIN], profile=profile, latency=latency)
    world.venue.deposit(COIN.quote.name, 10**9)
    found: list[Outcome] = []

    async def main() -> None:
        runtime.spawn(world.market.run(), "tape", daemon=True)
        await runtime.sleep(MS)
        order = Order(OrderId("a"), COIN, Side.BUY, OrderType.LIMIT, tif=tif, size_lots=lots, price_i=price_i)
        try:
            await world.venue.place_order(order)
        except VenueError as error:
            found.append((error.args[2], 0, None))
            return
        await runtime.sleep(MS)
        report = await world.venue.get_order_status(order.id)
        found.append((heard[-1].reason if heard else "", report.filled_lots, report.status))

    heard: list[OrderGone] = []
    tell = world.venue.line.report
    world.venue.line.report = lambda event: note(heard, event, tell)  # type: ignore[method-assign]
    runtime.run(main=main())
    world.venue.ledger.check()
    return found[0]


def note(heard: list[OrderGone], event: VenueEvent, tell: Callable[[VenueEvent], None] | None = None) -> None:
    if isinstance(event, OrderGone):
        heard.append(event)
    if tell is not None:
        tell(event)


def on_book(profile: VenueProfile, tif: TimeInForce, lots: int, price_i: int) -> Outcome:
    """100 lots are offered at 52 by another account."""
    kernel = Replay([MarketSpan(1, 1, COIN.tick_i)])
    exchange = Exchange(
        VirtualRuntime(7), kernel, "sim", {0: COIN}, profile, book=lambda ledger, claims: L3Matching(ledger, claims, profile)
    )  # fmt: skip
    exchange.deposit("maker", COIN.base.name, 10**9)
    exchange.deposit("taker", COIN.quote.name, 10**9)
    heard: list[OrderGone] = []
    exchange.entry._tell = lambda account, event: note(heard, event)
    answers: list[Any] = []
    common: dict[str, Any] = {
        "market": 0, "instrument": COIN, "outcome": None, "expire_ns": None, "quote_amount": None, "type": OrderType.LIMIT,
    }  # fmt: skip
    maker = VenueOrder(
        account="maker", id=OrderId("m"), venue_order_id="1", side=Side.SELL, tif=TimeInForce.GTC, price_i=52,
        size_lots=100, left_lots=100, **common,
    )  # fmt: skip
    taker = VenueOrder(
        account="taker", id=OrderId("a"), venue_order_id="2", side=Side.BUY, tif=tif, price_i=price_i, size_lots=lots,
        left_lots=lots, **common,
    )  # fmt: skip
    for order in (maker, taker):
        exchange.entry.place(answers.append, order)
    exchange.ledger.check()
    if isinstance(answers[1], VenueError):
        return answers[1].args[2], 0, None
    assert isinstance(answers[1], OrderAck)
    return heard[-1].reason if heard else "", taker.filled_lots, taker.status


@pytest.mark.parametrize("source", [on_tape, on_book])
@pytest.mark.parametrize(
    ("tif", "lots", "price_i", "refused", "expired"),
    [
        (FOK, 101, 52, ("killed", 0, None), ("killed", 0, OrderStatus.EXPIRED)),
        (FOK, 1, 51, ("killed", 0, None), ("killed", 0, OrderStatus.EXPIRED)),
        (FOK, 100, 52, ("", 100, OrderStatus.FILLED), ("", 100, OrderStatus.FILLED)),
        (IOC, 10, 51, ("no match", 0, None), ("no match", 0, OrderStatus.EXPIRED)),
        (
            IOC, 150, 52,
            ("rest of IOC order had no match", 100, OrderStatus.CANCELLED), ("no match", 100, OrderStatus.EXPIRED),
        ),
    ],
)  # fmt: skip
def test_too_little(
    source: Callable[[VenueProfile, TimeInForce, int, int], Outcome], tif: TimeInForce, lots: int, price_i: int,
    refused: Outcome, expired: Outcome,
) -> None:  # fmt: skip
    assert source(REFUSES, tif, lots, price_i) == refused
    assert source(EXPIRES, tif, lots, price_i) == expired


def test_a_venue_without_a_word_for_it_ends_an_unmatched_ioc_order() -> None:
    assert on_book(OPEN_PROFILE, IOC, 10, 51) == ("whole of IOC order had no match", 0, OrderStatus.CANCELLED)
