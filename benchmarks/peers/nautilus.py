"""NautilusTrader 1.221.0 plays a script of taker orders: L2 deltas, constant latency, no fees, no risk checks, full cash.

Its data has one clock for venue and strategy, so rows carry their venue time only. Orders are sent by time alerts.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import numpy as np
from referee import (
    AT_VENUE,
    CLEAR,
    ENTRY_NS,
    FOK,
    GTC,
    IOC,
    LOTS_A_SHARE,
    MARKET,
    SELL,
    TRADE,
    Match,
    Sent,
)

warnings.simplefilter("ignore")  # its dependencies deprecate one another
from nautilus_trader.backtest.config import BacktestEngineConfig  # noqa: E402
from nautilus_trader.backtest.engine import BacktestEngine  # noqa: E402
from nautilus_trader.backtest.models import LatencyModel, MakerTakerFeeModel  # noqa: E402
from nautilus_trader.config import LoggingConfig, RiskEngineConfig  # noqa: E402
from nautilus_trader.model.currencies import USD  # noqa: E402
from nautilus_trader.model.data import BookOrder, OrderBookDelta, TradeTick  # noqa: E402
from nautilus_trader.model.enums import (  # noqa: E402
    AccountType,
    AggressorSide,
    AssetClass,
    BookAction,
    BookType,
    OmsType,
    OrderSide,
    TimeInForce,
)
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TradeId, Venue  # noqa: E402
from nautilus_trader.model.instruments import BinaryOption  # noqa: E402
from nautilus_trader.model.objects import Money, Price, Quantity  # noqa: E402
from nautilus_trader.trading.strategy import Strategy  # noqa: E402

VERSION: Final = "1.221.0"
_VENUE: Final = Venue("SIM")
_MARKET: Final = InstrumentId(Symbol("YES"), _VENUE)
_PRICE, _SIZE = 2, 6
"""decimals"""
_LAST: Final = 128
"""RecordFlag.F_LAST: nothing else belongs to this message"""
_TIFS: Final = {IOC: TimeInForce.IOC, FOK: TimeInForce.FOK, MARKET: TimeInForce.IOC, GTC: TimeInForce.GTC}


def deltas(events: np.ndarray[Any, Any]) -> list[Any]:
    """Events of `referee` that the venue had, in its order."""
    made: list[Any] = []
    for number, row in enumerate(events[(events["ev"] & AT_VENUE) != 0].tolist()):
        ev, at_ns, _, price, shares, *_ = row
        code = ev & 0xFF
        if code == CLEAR:
            made.append(OrderBookDelta.clear(_MARKET, number, at_ns, at_ns))
            continue
        at, size, sells = Price(price, _PRICE), Quantity(shares, _SIZE), ev & SELL
        if code == TRADE:
            side = AggressorSide.SELLER if sells else AggressorSide.BUYER
            made.append(TradeTick(_MARKET, at, size, side, TradeId(str(number)), at_ns, at_ns))
        else:
            level = BookOrder(OrderSide.SELL if sells else OrderSide.BUY, at, size, 0)
            action = BookAction.UPDATE if shares else BookAction.DELETE
            made.append(OrderBookDelta(_MARKET, action, level, _LAST, number, at_ns, at_ns))
    return made


class Sender(Strategy):  # type: ignore[misc]  # ships no types
    """Sends each order of the script at its time and notes the fills."""

    def __init__(self, script: Sequence[Sent]) -> None:
        super().__init__()
        self._script = script
        self._number: dict[Any, int] = {}
        self.fills: list[list[Match]] = [[] for _ in script]
        self.trouble: list[str] = []
        """an exception inside a callback would otherwise end in its log"""

    def on_start(self) -> None:
        self.subscribe_order_book_deltas(_MARKET, BookType.L2_MBP)
        for number, sent in enumerate(self._script):
            self.clock.set_time_alert_ns(f"send-{number}", sent.at_ns, lambda _, n=number: self._send(n))

    def _send(self, number: int) -> None:
        try:
            sent = self._script[number]
            side = OrderSide.BUY if sent.side > 0 else OrderSide.SELL
            size = Quantity.from_str(f"{Decimal(sent.lots) / LOTS_A_SHARE:.6f}")
            if sent.how == MARKET:
                order = self.order_factory.market(_MARKET, side, size, time_in_force=_TIFS[sent.how])
            else:
                price = Price.from_str(f"{sent.price_i / 100:.2f}")
                order = self.order_factory.limit(_MARKET, side, size, price, time_in_force=_TIFS[sent.how])
            self._number[order.client_order_id] = number
            self.submit_order(order)
        except Exception as error:  # told at the end of the run
            self.trouble.append(f"order {number}: {error!r}")

    def on_order_filled(self, event: Any) -> None:
        lots = round(Decimal(str(event.last_qty)) * LOTS_A_SHARE)
        price_i = round(Decimal(str(event.last_px)) * 100)
        self.fills[self._number[event.client_order_id]].append(Match(event.ts_event, lots, price_i))

    def on_order_denied(self, event: Any) -> None:
        self.trouble.append(f"denied: {event.reason}")

    def on_order_rejected(self, event: Any) -> None:
        if "POST_ONLY" not in event.reason and "FOK" not in event.reason and "market" not in event.reason:
            self.trouble.append(f"rejected: {event.reason}")


def play(events: np.ndarray[Any, Any], script: Sequence[Sent], entry_ns: int = ENTRY_NS) -> list[list[Match]]:
    """The fills of each order. Errors: RuntimeError for whatever it refused or raised that is not about the market."""
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggingConfig(bypass_logging=True), risk_engine=RiskEngineConfig(bypass=True), run_analysis=False
        )
    )
    engine.add_venue(
        _VENUE,
        OmsType.NETTING,
        AccountType.MARGIN,
        [Money(1_000_000_000, USD)],
        base_currency=USD,
        book_type=BookType.L2_MBP,
        latency_model=LatencyModel(base_latency_nanos=entry_ns),
        fee_model=MakerTakerFeeModel(),
    )
    engine.add_instrument(
        BinaryOption(
            _MARKET, _MARKET.symbol, AssetClass.ALTERNATIVE, USD, _PRICE, _SIZE, Price.from_str("0.01"),
            Quantity.from_str("0.000001"), 0, 4_000_000_000_000_000_000, 0, 0,
            maker_fee=Decimal(0), taker_fee=Decimal(0),
        )
    )  # fmt: skip
    engine.add_data(deltas(events))
    sender = Sender(script)
    engine.add_strategy(sender)
    engine.run()
    engine.dispose()
    if sender.trouble:
        raise RuntimeError("; ".join(sender.trouble[:5]))
    return sender.fills
