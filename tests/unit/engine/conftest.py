"""One small rig: a binary market and a spot market on two scripted venues, in stepped time, with a journal in memory."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from execsim.core.events import OrderUpdate
from execsim.core.fees import NotionalFee
from execsim.core.instrument import Asset, Instrument, InstrumentKind
from execsim.core.order import Order, OrderId, OrderType, Side
from execsim.core.units import Grid
from execsim.engine import Context, EngineConfig, ExecutionEngine
from execsim.testing import MemoryJournal, MockBooks, MockVenue, StepRuntime

USD = Asset("USDC", Decimal("0.000001"))


def binary(**changes: Any) -> Instrument:
    """Polymarket's shape: price unit 0.0001, lot 1e-6, tick 0.01, size step 0.01, minimum 5."""
    rules: dict[str, Any] = {
        "tick_i": 100,
        "size_step_lots": 10_000,
        "size_min_lots": 5_000_000,
        "notional_min": 1_000_000,
    } | changes
    return Instrument(
        "polymarket",
        rules.pop("market", "rain"),
        InstrumentKind.BINARY,
        Grid(Decimal("0.0001"), Decimal("0.000001")),
        Asset("YES", Decimal("0.000001")),
        USD,
        Asset("NO", Decimal("0.000001")),
        **rules,
    )


def spot(**changes: Any) -> Instrument:
    rules: dict[str, Any] = {"price_min_i": 1, "price_max_i": 100_000_000} | changes
    return Instrument(
        "binance",
        "BTCUSDT",
        InstrumentKind.SPOT,
        Grid(Decimal("0.01"), Decimal("0.00001")),
        Asset("BTC", Decimal("0.00000001")),
        Asset("USDT", Decimal("0.00000001")),
        fees=NotionalFee(Decimal("-0.0001"), Decimal("0.001")),
        **rules,
    )


MADE: list[Rig] = []


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    """What a test leaves waiting (the engine asks on) ends with it."""
    yield
    while MADE:
        MADE.pop().runtime.close()


@dataclass
class Rig:
    config: EngineConfig = field(default_factory=EngineConfig)
    latency_ns: int = 1_000_000
    market: Instrument = field(default_factory=binary)
    runtime: StepRuntime = field(default_factory=lambda: StepRuntime(start_ns=1_000_000_000))
    journal: MemoryJournal = field(default_factory=MemoryJournal)

    def __post_init__(self) -> None:
        MADE.append(self)
        self.spot = spot()
        self.engine = ExecutionEngine(self.config, self.runtime, self.journal)
        self.venue = MockVenue("polymarket", [self.market], self.runtime, latency_ns=self.latency_ns)
        self.other = MockVenue("binance", [self.spot], self.runtime, latency_ns=self.latency_ns)
        self.engine.register_adapter(self.venue)
        self.engine.register_adapter(self.other)
        self.books = MockBooks(self.runtime, [self.market, self.spot])
        self.engine.attach_books(self.books)
        self.updates: list[OrderUpdate] = []
        self.engine.subscribe(self.updates.append)

    def order(self, side: Side = Side.BUY, price: Any = "0.50", size: Any = 10, **changes: Any) -> Order:
        instrument = changes.pop("instrument", self.market)
        fields: dict[str, Any] = {
            "price_i": None if price is None else instrument.grid.price_i(price),
            "size_lots": None if size is None else instrument.grid.lots(size),
        } | changes
        return Order(
            fields.pop("id", self.engine.new_order_id()),
            instrument,
            side,
            fields.pop("type", OrderType.LIMIT),
            **fields,
        )

    def context(self, name: str = "maker") -> Context:
        return Context(
            self.engine, self.runtime, self.books, name=name, params={}, markets=[self.market.market, self.spot.market]
        )

    def run(self, coro: Coroutine[Any, Any, Any]) -> Any:
        return self.runtime.run(coro)

    def later(self, ns: int, fn: Callable[..., Any], *args: Any) -> None:
        self.runtime.call_at(self.runtime.now_ns() + ns, fn, *args)

    def working(self, **changes: Any) -> Order:
        """An order the venue has acked."""
        order = self.order(**changes)
        self.run(self.engine.submit_order(order))
        return order

    def events(self, order_id: OrderId) -> list[str]:
        return [update.event.value for update in self.updates if update.order.id == order_id]


@pytest.fixture(scope="session")
def make_rig() -> type[Rig]:
    return Rig


@pytest.fixture(scope="session")
def make_binary() -> Callable[..., Instrument]:
    return binary


@pytest.fixture(scope="session")
def make_spot() -> Callable[..., Instrument]:
    return spot


@pytest.fixture
def rig(make_rig: type[Rig]) -> Rig:
    return make_rig()
