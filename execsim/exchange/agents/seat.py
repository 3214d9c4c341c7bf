"""An agent's place at the exchange: one account, no distance, the book in sight.

Agents say "buy" and "sell" of the market; on a binary market the seat finds the leg that needs no credit. To sell, it sells
YES it holds, else buys NO; to buy, it sells NO it has bought, else buys YES. What an order came to is read from the order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from execsim.core.errors import ExecError
from execsim.core.instrument import Instrument, Outcome
from execsim.core.order import OrderId, OrderType, Side, TimeInForce
from execsim.exchange.account import Account
from execsim.exchange.agents.value import Value
from execsim.exchange.l3 import L3Book
from execsim.exchange.resting import VenueOrder
from execsim.ports import Rng, Runtime

Answer = Callable[[Any], None]


class Entry(Protocol):
    """The order entry an agent stands at. Answers come at once, but for takers where the venue delays them."""

    def place(self, answer: Answer, order: VenueOrder) -> None: ...

    def cancel(self, answer: Answer, account: str, order_id: OrderId) -> None: ...


@dataclass(slots=True)
class Seat:
    """`account` is the agent's name at the exchange, `rng` its own stream, `value` what informed traders know.

    Sides are +1 (buy) and -1 (sell), prices price_i of the canonical book, sizes lots.
    """

    account: str
    runtime: Runtime
    rng: Rng
    entry: Entry
    book: L3Book
    holdings: Account
    instrument: Instrument
    value: Value
    start_i: int
    market: int = 0
    refused: int = 0
    """orders the exchange would not have"""
    _start_lots: int = field(init=False, default=0)
    _start_no: int = field(init=False, default=0)
    _orders: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._start_lots = self._net_lots()
        no = self.instrument.complement
        self._start_no = 0 if no is None else self.holdings.balances[no.name]

    # ---------------------------------------------------------------- orders
    def limit(self, side: int, price_i: int, lots: int, *, post_only: bool = False) -> VenueOrder | None:
        """A limit order that stays until cancelled; the order if it rests, None if it was refused or filled at once."""
        kind = OrderType.POST_ONLY if post_only else OrderType.LIMIT
        return self._place(side, price_i, lots, kind, TimeInForce.GTC)

    def take(self, side: int, lots: int, limit_i: int | None = None) -> int:
        """Buy or sell at once up to `lots`, no worse than `limit_i`; returns what was filled at once."""
        before = self.position_lots
        kind = OrderType.MARKET if limit_i is None else OrderType.LIMIT
        self._place(side, limit_i, lots, kind, TimeInForce.IOC)
        return abs(self.position_lots - before)

    def cancel(self, order: VenueOrder) -> None:
        """Cancel an order of this account; no effect on one that is done."""
        if order.is_open:
            self.entry.cancel(_ignore, self.account, order.id)

    def _place(self, side: int, price_i: int | None, lots: int, kind: OrderType, tif: TimeInForce) -> VenueOrder | None:
        lots -= lots % self.instrument.size_step_lots
        if lots < max(1, self.instrument.size_min_lots):
            return None
        self._orders += 1
        name = f"{self.account}-{self._orders}"
        traded, outcome = self._leg(side, lots)
        price_i = None if price_i is None else self.instrument.canonical_i(price_i, outcome)
        order = VenueOrder(
            account=self.account, id=OrderId(name), venue_order_id=name, market=self.market, instrument=self.instrument,
            side=traded, outcome=outcome, type=kind, tif=tif, price_i=price_i, size_lots=lots, quote_amount=None,
            expire_ns=None, left_lots=lots,
        )  # fmt: skip
        answers: list[Any] = []
        self.entry.place(answers.append, order)
        if answers and isinstance(answers[0], ExecError):
            self.refused += 1
            return None
        return order if order.is_open else None  # without an answer it waits out the venue's delay for takers

    def _leg(self, side: int, lots: int) -> tuple[Side, Outcome]:
        inst, free = self.instrument, self.holdings.free
        if side < 0:
            holds = inst.complement is None or free(inst.base.name) >= inst.base_amount(lots)
            return (Side.SELL, Outcome.YES) if holds else (Side.BUY, Outcome.NO)
        bought = 0 if inst.complement is None else free(inst.complement.name) - self._start_no
        return (Side.SELL, Outcome.NO) if bought >= inst.base_amount(lots) else (Side.BUY, Outcome.YES)

    # ---------------------------------------------------------------- what it sees
    @property
    def position_lots(self) -> int:
        """Net position (YES less NO) gained since the start."""
        return self._net_lots() - self._start_lots

    def _net_lots(self) -> int:
        inst, balances = self.instrument, self.holdings.balances
        units = balances[inst.base.name] - (balances[inst.complement.name] if inst.complement else 0)
        return units // inst.base_amount(1)

    def mid_2i(self) -> int | None:
        """Twice the mid price (so that it is whole), None while a side is empty."""
        bid, ask = self.book.best(1), self.book.best(-1)
        return None if bid is None or ask is None else bid[0] + ask[0]

    def on_tick(self, price_i: int) -> int:
        """The nearest tradable price at or below a price."""
        tick_i, one_i = self.instrument.tick_i, self.instrument.one_i
        price_i -= price_i % tick_i
        high_i = one_i - tick_i if self.instrument.complement is not None else price_i
        return max(tick_i, min(price_i, high_i))


def _ignore(answer: object) -> None:
    """An agent that cancels does not care whether it was too late."""
