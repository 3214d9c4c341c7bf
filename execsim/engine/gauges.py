"""Gauges that nobody needs until somebody looks: profit, drawdown, positions and open orders, read off the engine."""

from __future__ import annotations

from collections import Counter

from execsim.core.instrument import InstrumentKind
from execsim.core.order import OrderStatus
from execsim.core.position import Position
from execsim.engine.metrics import OPEN_ORDERS, UNKNOWN_ORDERS, Labels
from execsim.engine.session import ExecutionEngine


class Gauges:
    """`look` sets them. The drawdown is that of the looks: what happened between two of them is not seen."""

    def __init__(self, engine: ExecutionEngine) -> None:
        self._engine = engine
        self._highest: dict[str, int] = {}
        self._open: dict[Labels, None] = {}
        """label sets that ever had an open order: they go back to 0, not away"""

    def look(self) -> None:
        """Set every gauge to what is so now. Reads only. O(markets that traded + open orders)."""
        self._look_at_profit()
        self._look_at_orders()
        for position in self._engine.get_all_positions().values():
            self._look_at_position(position)

    def _look_at_profit(self) -> None:
        engine = self._engine
        gauge = engine.metrics.gauge
        for name, totals in engine.portfolio.totals(engine.marks()).items():
            highest = self._highest[name] = max(self._highest.get(name, 0), totals.net)
            numbers = {
                "pnl": totals.net,
                "realised": totals.realised,
                "unrealised": totals.unrealised,
                "fees": totals.fees - totals.rebates,
                "drawdown": highest - totals.net,
            }
            for what, units in numbers.items():
                gauge(f"strategy.{what}", (name,), float(totals.asset.decimal(units)))

    def _look_at_orders(self) -> None:
        labels: Labels
        found: Counter[Labels] = Counter()
        unknown: Counter[Labels] = Counter()
        for order in self._engine.get_active_orders():
            labels = self._engine.order_tracker.entry(order.id).labels
            found[labels] += 1
            unknown[labels] += order.status is OrderStatus.UNKNOWN
        self._open |= dict.fromkeys(found)
        for labels in self._open:
            self._engine.metrics.gauge(OPEN_ORDERS, labels, found[labels])
            self._engine.metrics.gauge(UNKNOWN_ORDERS, labels, unknown[labels])

    def _look_at_position(self, position: Position) -> None:
        instrument = position.instrument
        labels = (instrument.venue, instrument.market)
        gauge = self._engine.metrics.gauge
        mark_i = self._engine.view.mark_i(instrument.market)
        value = unrealised = 0
        if mark_i is not None:
            value = instrument.cash(mark_i, position.yes_lots)
            if instrument.kind is InstrumentKind.BINARY:
                value += instrument.cash(instrument.one_i - mark_i, position.no_lots)
            unrealised = position.unrealised(mark_i)
        gauge("position.size", labels, float(instrument.grid.size(position.net_lots)))
        gauge("position.value", labels, float(instrument.quote.decimal(value)))
        gauge("position.unrealised", labels, float(instrument.quote.decimal(unrealised)))
