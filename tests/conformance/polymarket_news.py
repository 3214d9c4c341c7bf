"""A market, own orders and the venue's news of them, for tests of what is made of such news."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from execsim.core.fees import BinaryFee
from execsim.core.instrument import Asset, Instrument, InstrumentKind
from execsim.core.order import OrderId
from execsim.core.units import Grid
from execsim_polymarket.auth import ApiKey
from execsim_polymarket.fills import Market
from execsim_polymarket.session import Ticket
from execsim_polymarket.wire.channels import USER_EVENTS
from execsim_polymarket.wire.trading import TRADE, TradeRecord

CID = "0x" + "cd" * 32
YES, NO = "111", "222"
SHARE = 1_000_000
START_NS = 1_790_000_000 * 10**9
FEE = BinaryFee(Decimal("0.07"))
KEY = ApiKey("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "key", "c2VjcmV0", "pass")


def market(cid: str = CID) -> Market:
    unit = Decimal("0.000001")
    instrument = Instrument(
        "polymarket", cid, InstrumentKind.BINARY, Grid(Decimal("0.0001"), unit), Asset("rain:YES", unit),
        Asset("pUSD", unit), Asset("rain:NO", unit), tick_i=100, size_step_lots=10_000, fees=FEE,
    )  # fmt: skip
    return Market(instrument, YES, NO)


def vid(number: int) -> str:
    """A venue order id."""
    return "0x" + f"{number:016x}" * 4


def ticket(number: int, shares: int | None = 10) -> Ticket:
    """An own order `o<number>`."""
    return Ticket(OrderId(f"o{number}"), vid(number), CID, None if shares is None else shares * SHARE)


def maker(number: int, size: str, price: str, token: str = YES, side: str = "SELL") -> dict[str, Any]:
    return {
        "order_id": vid(number), "owner": "k", "maker_address": "0x", "matched_amount": size, "price": price,
        "fee_rate_bps": "0", "asset_id": token, "outcome": "", "side": side,
    }  # fmt: skip


def trade(
    name: str, taker: int, makers: list[dict[str, Any]], *, size: str, price: str, side: str = "BUY", token: str = YES,
    status: str = "MATCHED", **more: Any,
) -> dict[str, Any]:  # fmt: skip
    """A trade message of the user channel."""
    return {
        "event_type": "trade", "type": "TRADE", "id": name, "taker_order_id": vid(taker), "market": CID, "asset_id": token,
        "side": side, "size": size, "price": price, "status": status, "match_time": "1790000001",
        "last_update": "1790000002", "owner": "k", "maker_orders": makers, "fee_rate_bps": "0", **more,
    }  # fmt: skip


def record(message: dict[str, Any]) -> TradeRecord:
    """The same as a row of GET /data/trades."""
    row = {
        "bucket_index": 0,
        "maker_address": "0x",
        "outcome": "",
        **message,
        "status": f"TRADE_STATUS_{message['status']}",
    }
    found: TradeRecord = TRADE.from_object(row)
    return found


def streamed(message: dict[str, Any]) -> TradeRecord:
    """The same as it comes over the socket, in the words of REST."""
    found: TradeRecord = USER_EVENTS["trade"].from_object(message).record
    return found


def order(number: int, kind: str, **more: Any) -> dict[str, Any]:
    """An order message of the user channel."""
    return {
        "event_type": "order", "type": kind, "id": vid(number), "market": CID, "asset_id": YES, "side": "BUY",
        "price": "0.5", "original_size": "10", "size_matched": "0", "order_type": "GTC", "status": "LIVE",
        "timestamp": "1790000003000", **more,
    }  # fmt: skip
