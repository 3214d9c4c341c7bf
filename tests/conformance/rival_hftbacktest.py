"""hftbacktest 2.4.4 plays a script of `referee`: risk-averse queue, partial fills, constant latency, no fees.

Driven from Python (its compiled calls cost a microsecond each): awake at every row and every answer, it reads what each
live order has left. Two fills of an order at one instant are one answer, so a fill is told as `Seen`, an instant at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import hftbacktest as hb
import numpy as np
from hftbacktest import order
from referee import ENTRY_NS, FOK, GTC, GTX, IOC, MARKET, RESPONSE_NS, Match, Sent, Units, actions

from execsim.core.order import Cause

END_OF_DATA, INVALID_ORDER_STATUS = 1, 14
"""how a run ends: BacktestError.InvalidOrderStatus is the run's death"""
_TIMEOUT, _FEED, _RESPONSE = 0, 2, 3
_TIF: Final = {GTC: order.GTC, GTX: order.GTX, FOK: order.FOK, IOC: order.IOC, MARKET: order.IOC}
_LIVE: Final = (0, 1, 5)
"""statuses NONE (on its way), NEW, PARTIALLY_FILLED"""
_FOREVER_NS: Final = 10**15


class Seen(NamedTuple):
    """What can be known of an order's fills at one instant: all lots of it, and price and lots of the last one."""

    ts_ns: int
    lots: int
    price_i: int
    last_lots: int


class Rival:
    """One run. `fills` of each order of the script, `code` why it ended, `position` what its local side believes to own."""

    def __init__(self, events: np.ndarray[Any, Any], script: Sequence[Sent], units: Units) -> None:
        asset = hb.BacktestAsset().data(events).linear_asset(1.0).constant_order_latency(ENTRY_NS, RESPONSE_NS)
        asset = asset.risk_adverse_queue_model().partial_fill_exchange().trading_value_fee_model(0.0, 0.0)
        asset = asset.tick_size(float(units.price)).lot_size(float(units.lot)).last_trades_capacity(0)
        self._backtest = hb.HashMapMarketDepthBacktest([asset])
        self._script, self._units = script, units
        self._left = [sent.lots for sent in script]
        self._live: list[int] = []
        self.fills: list[list[Seen]] = [[] for _ in script]
        self.code = self._play()
        self.position = float(self._backtest.position(0))
        self._backtest.close()

    def _order(self, index: int) -> Any:
        return self._backtest.orders(0).get(index + 1)

    def _play(self) -> int:
        self._backtest.elapse(0)
        for at_ns, index, cancel in actions(self._script):
            if code := self._until(at_ns - self._backtest.current_timestamp):
                return code
            if not cancel:
                self._send(index)
            elif self._order(index).cancellable:
                self._backtest.cancel(0, index + 1, False)
        return self._until(_FOREVER_NS)

    def _send(self, index: int) -> None:
        sent, units = self._script[index], self._units
        submit = self._backtest.submit_buy_order if sent.side > 0 else self._backtest.submit_sell_order
        price, size = sent.price_i * float(units.price), sent.lots * float(units.lot)
        submit(0, index + 1, price, size, _TIF[sent.how], order.MARKET if sent.how == MARKET else order.LIMIT, False)
        self._live.append(index)

    def _until(self, ns: int) -> int:
        """Move on by `ns`; 0, or the code with which the run has ended."""
        end_ns = self._backtest.current_timestamp + ns
        while (code := self._backtest.wait_next_feed(True, end_ns - self._backtest.current_timestamp)) != _TIMEOUT:
            if code == _RESPONSE:
                self._read()
            elif code != _FEED:
                return int(code)
        return 0

    def _read(self) -> None:
        lot = float(self._units.lot)
        for index in tuple(self._live):
            own = self._order(index)
            left = round(own.leaves_qty / lot)
            if left != self._left[index]:
                seen = Seen(
                    own.exch_timestamp, self._left[index] - left, own.exec_price_tick, round(own.exec_qty / lot)
                )
                self.fills[index].append(seen)
                self._left[index] = left
            if own.status not in _LIVE:
                self._live.remove(index)


def seen(fills: Sequence[Match]) -> list[Seen]:
    """Our fills, an instant at a time."""
    found: dict[int, Seen] = {}
    for fill in fills:
        before = found[fill.ts_ns].lots if fill.ts_ns in found else 0
        found[fill.ts_ns] = Seen(fill.ts_ns, before + fill.lots, fill.price_i, fill.lots)
    return list(found.values())


def as_hftbacktest(sent: Sent, fills: Sequence[Match]) -> list[Match]:
    """Our fills of one order as a simulator would have them that gives an order more than the market showed.

    What is left of an order is filled whole, at the same instant and price, where a print goes through it or the other
    side reaches it, and where a GTC order takes (docs/referees.md). The same list where our fill was whole anyway.
    """
    if sent.how == GTC and fills and fills[0].cause is Cause.TAKER_WALK:
        # a buy's walk ends before its own price, a sell's includes it
        takes = [fill for fill in fills if fill.cause is Cause.TAKER_WALK]
        walked = [fill for fill in takes if sent.side < 0 or fill.price_i != sent.price_i]
        left = sent.lots - sum(fill.lots for fill in walked)
        return [*walked, Match(fills[0].ts_ns, left, sent.price_i, Cause.TAKER_WALK)] if left else walked
    told: list[Match] = []
    left = sent.lots
    for fill in fills:
        whole = fill.cause in (Cause.TRADE_THROUGH, Cause.CROSSED_BOOK)
        told.append(fill._replace(lots=left) if whole else fill)
        left -= told[-1].lots
        if left == 0:
            break
    return told
