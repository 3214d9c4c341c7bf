"""A binary market (and others, for the router) on scripted venues in stepped time, and a context to trade it with."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from decimal import Decimal
from typing import Any

import pytest

from execsim.core.events import Trade
from execsim.core.instrument import Asset, Instrument, InstrumentKind, Outcome
from execsim.core.order import MarketId, Order
from execsim.core.units import NS_PER_MS, NS_PER_S, Grid
from execsim.engine import Context, EngineConfig, ExecutionEngine
from execsim.engine.throttle import RateLimiterConfig
from execsim.testing import MockBooks, MockVenue, StepRuntime

LATENCY_NS = NS_PER_MS


def binary(market: str = "rain", venue: str = "v", **rules: Any) -> Instrument:
    """Prices in cents, one lot is one share, money in hundredths of a cent; at least 5 shares unless said otherwise."""
    given: dict[str, Any] = {"size_min_lots": 5, "tick_i": 1} | rules
    return Instrument(
        venue, market, InstrumentKind.BINARY, Grid(Decimal("0.01"), given.pop("lot", Decimal(1))),
        Asset(f"{market}:YES", Decimal("0.01")), Asset("USD", Decimal("0.0001")), Asset(f"{market}:NO", Decimal("0.01")),
        **given,
    )  # fmt: skip


class Rig:
    """`venues` by id; markets start with a book of 48 to 52."""

    def __init__(self, *instruments: Instrument) -> None:
        insts = instruments or (binary(),)
        self.runtime = StepRuntime(start_ns=NS_PER_S)
        names = dict.fromkeys(inst.venue for inst in insts)
        limits = {name: RateLimiterConfig.unlimited() for name in names}
        self.engine = ExecutionEngine(EngineConfig(rate_limits=limits), self.runtime)
        self.venues = {
            name: MockVenue(name, [i for i in insts if i.venue == name], self.runtime, latency_ns=LATENCY_NS)
            for name in names
        }
        for venue in self.venues.values():
            self.engine.register_adapter(venue)
        self.books = MockBooks(self.runtime, insts)
        self.engine.attach_books(self.books)
        for inst in insts:
            self.books.set_top(inst.market, 48, 52, 1_000)
        markets = [inst.market for inst in insts]
        self.ctx = Context(self.engine, self.runtime, self.books, name="algo", params={}, markets=markets)

    @property
    def venue(self) -> MockVenue:
        return next(iter(self.venues.values()))

    @property
    def orders(self) -> list[Order]:
        return self.engine.order_tracker.get_all_orders()

    @property
    def now_s(self) -> float:
        """Seconds since the start."""
        return (self.runtime.now_ns() - NS_PER_S) / NS_PER_S

    def at(self, seconds: float, fn: Callable[..., Any], *args: Any) -> None:
        """Call fn so many seconds after the start."""
        self.runtime.call_at(NS_PER_S + round(seconds * NS_PER_S), fn, *args)

    def until(self, seconds: float) -> None:
        """Let everything happen that is due so many seconds after the start."""

        async def wait() -> None:
            await self.runtime.sleep_until(NS_PER_S + round(seconds * NS_PER_S))

        self.runtime.run(wait())

    def run(self, coro: Coroutine[Any, Any, Any]) -> Any:
        return self.runtime.run(coro)

    def print(self, price: int, lots: int, market: str = "rain", inferred: bool = False) -> None:
        now_ns = self.runtime.now_ns()
        self.books.print_trade(Trade(MarketId(market), now_ns, price, lots, None, Outcome.YES, inferred))

    def said(self) -> list[tuple[float, str, int | None, int | None]]:
        """(second it was made, type or tif, price, size) of every order."""
        return [
            ((o.created_ns - NS_PER_S) / NS_PER_S, "ioc" if o.is_immediate else str(o.type), o.price_i, o.size_lots)
            for o in self.orders
        ]

    def asked(self, verb: str) -> list[float]:
        """When the venues were asked this, in seconds."""
        return [
            (call.ts_ns - NS_PER_S) / NS_PER_S
            for venue in self.venues.values()
            for call in venue.calls
            if call.verb == verb
        ]


@pytest.fixture
def make_rig() -> Callable[..., Rig]:
    def make(instruments: Sequence[Instrument] = ()) -> Rig:
        return Rig(*instruments)

    return make


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.fixture(scope="session")
def make_binary() -> Callable[..., Instrument]:
    return binary
