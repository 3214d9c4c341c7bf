"""Orders, cancels, trades and balances: what is sent to the trading endpoints and what they answer.

Source: polymarket.md sections 5.1 to 5.3; field order of `OrderMessage` and `PostOrder` as py-clob-client-v2 sends it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

from pydantic import BeforeValidator, Field

from execsim.core.order import Side
from execsim_polymarket.orders import OrderFields, SignatureType
from execsim_polymarket.sign import SignedOrder
from execsim_polymarket.wire.values import (
    CURSOR_END,
    Address,
    Amount,
    Blob,
    Codec,
    Digits,
    MaybeAmount,
    Number,
    SideText,
    Text,
    Word,
)

OrderKind = Literal["GTC", "GTD", "FOK", "FAK"]
AssetType = Literal["COLLATERAL", "CONDITIONAL", "CONDITIONAL-V2"]
Row = TypeVar("Row")

Salt = Annotated[int, Field(strict=True, ge=0, lt=1 << 256)]
"""A JSON number, however large."""


def _listed(value: Any) -> Any:
    return () if value is None else value


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
"""A list of texts; null is read as an empty one."""


@dataclass(frozen=True, slots=True)
class OrderMessage:
    """A signed order on the wire. `expiration` (Unix seconds, 0: none) is not signed."""

    salt: Salt
    maker: Address
    signer: Address
    token_id: Annotated[Digits, Field(alias="tokenId")]
    maker_amount: Annotated[Digits, Field(alias="makerAmount")]
    taker_amount: Annotated[Digits, Field(alias="takerAmount")]
    side: SideText
    expiration_s: Annotated[Digits, Field(alias="expiration")]
    signature_type: Annotated[SignatureType, Field(alias="signatureType")]
    timestamp_ms: Annotated[Digits, Field(alias="timestamp")]
    metadata: Word
    builder: Word
    signature: Blob

    @property
    def fields(self) -> OrderFields:
        """What is signed."""
        return OrderFields(
            self.salt, self.maker, self.signer, self.token_id, self.maker_amount, self.taker_amount, self.side,
            self.signature_type, self.timestamp_ms, self.metadata, self.builder,
        )  # fmt: skip

    @classmethod
    def of(cls, signed: SignedOrder, expiration_s: int = 0) -> OrderMessage:
        order = signed.fields
        return cls(
            order.salt, order.maker, order.signer, order.token_id, order.maker_amount, order.taker_amount, order.side,
            expiration_s, order.signature_type, order.timestamp_ms, order.metadata, order.builder, signed.signature,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class PostOrder:
    """POST /order; POST /orders takes a list of up to 15. `owner` is the API key."""

    order: OrderMessage
    owner: str
    order_type: Annotated[OrderKind, Field(alias="orderType")]
    defer_exec: Annotated[bool, Field(alias="deferExec")] = False
    post_only: Annotated[bool, Field(alias="postOnly")] = False

    @property
    def immediate(self) -> bool:
        return self.order_type in ("FOK", "FAK")


@dataclass(frozen=True, slots=True)
class LegacyOrder:
    """Enough of an order of version 1 to know it as one (`taker` stands in no other)."""

    taker: Address
    nonce: Digits
    fee_rate_bps: Annotated[Digits, Field(alias="feeRateBps")]


@dataclass(frozen=True, slots=True)
class LegacyPost:
    """POST /order of a client of version 1, to be answered `order_version_mismatch`."""

    order: LegacyOrder


@dataclass(frozen=True, slots=True)
class OrderAnswer:
    """What POST /order answers; each entry of POST /orders. Amounts are decimal units when matched, "" when resting.

    A refused entry of a batch has `errorMsg` and no id, and can still say `success`: see `refused`."""

    success: bool = True
    error_msg: Annotated[Text, Field(alias="errorMsg")] = ""
    order_id: Annotated[Text, Field(alias="orderID")] = ""
    status: Text = ""
    making_amount: Annotated[MaybeAmount, Field(alias="makingAmount")] = ""
    taking_amount: Annotated[MaybeAmount, Field(alias="takingAmount")] = ""
    transactions_hashes: Annotated[Names | None, Field(alias="transactionsHashes")] = None
    trade_ids: Annotated[Names | None, Field(alias="tradeIDs")] = None

    @property
    def refused(self) -> bool:
        return bool(self.error_msg) or not self.success or not self.order_id


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """DELETE /order. DELETE /orders takes a list of ids."""

    order_id: Annotated[str, Field(alias="orderID")]


@dataclass(frozen=True, slots=True)
class CancelMarket:
    """DELETE /cancel-market-orders: by condition id, by token, or both."""

    market: str | None = None
    asset_id: str | None = None


@dataclass(frozen=True, slots=True)
class CancelAnswer:
    """What every cancel answers: ids that are gone now, and id -> reason of those that are not."""

    canceled: Names = ()
    not_canceled: Annotated[dict[str, str], BeforeValidator(lambda value: value or {})] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """GET /data/order/{id} and the rows of GET /data/orders. Sizes in shares. `market` is the condition id."""

    id: str
    status: str
    owner: Text
    maker_address: Text
    market: str
    asset_id: str
    side: SideText
    original_size: Amount
    size_matched: MaybeAmount
    price: Amount
    outcome: Text
    expiration: Text
    order_type: Text
    created_at: int
    associate_trades: Names | None = None

    @property
    def state(self) -> str:
        """The status without the prefix older answers carry."""
        return self.status.removeprefix("ORDER_STATUS_")


@dataclass(frozen=True, slots=True)
class MakerOrder:
    """A maker's part of a trade; `side` is missing in older messages."""

    order_id: str
    owner: Text
    maker_address: Text
    matched_amount: Amount
    price: Amount
    fee_rate_bps: Text
    asset_id: str
    outcome: Text
    side: SideText | None = None

    def side_against(self, taker: Side, taker_asset: str) -> Side:
        """The maker's side: the opposite of the taker's on the same token, the same on the other (mint, merge)."""
        if self.side is not None:
            return self.side
        return taker.other if self.asset_id == taker_asset else taker


@dataclass(frozen=True, slots=True)
class TradeRecord:
    """A row of GET /data/trades. `side`, `size`, `price`, `asset_id` are the taker's; a maker finds its own in
    `maker_orders`."""

    id: str
    taker_order_id: str
    market: str
    asset_id: str
    side: SideText
    size: Amount
    fee_rate_bps: Text
    price: Amount
    status: str
    match_time: str
    last_update: Text
    outcome: Text
    bucket_index: int
    owner: Text
    maker_address: Text
    transaction_hash: Text = ""
    maker_orders: tuple[MakerOrder, ...] = ()
    trader_side: str | None = None
    match_time_nano: str | None = None
    err_msg: str | None = None

    @property
    def state(self) -> str:
        """MATCHED, MINED, CONFIRMED, RETRYING, FAILED, MATCHED_NOT_BROADCASTED: without the prefix REST adds."""
        return self.status.removeprefix("TRADE_STATUS_")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """One page of rows; `next_cursor` says where the next begins."""

    data: tuple[Row, ...]
    next_cursor: str
    limit: int | None = None
    count: int | None = None

    @property
    def last(self) -> bool:
        return self.next_cursor in (CURSOR_END, "")


@dataclass(frozen=True, slots=True)
class BalanceAllowance:
    """GET /balance-allowance: base units, and what each exchange may take."""

    balance: Digits
    allowances: dict[str, Digits] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scoring:
    """GET /order-scoring; POST /orders-scoring answers id -> whether."""

    scoring: bool


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """POST /v1/heartbeats, both ways: "" starts; each answer names the id the next one must send."""

    heartbeat_id: str


@dataclass(frozen=True, slots=True)
class BuilderFees:
    """GET /fees/builder-fees/{code}, basis points."""

    maker_bps: Annotated[Number, Field(alias="builder_maker_fee_rate_bps")] = Decimal(0)
    taker_bps: Annotated[Number, Field(alias="builder_taker_fee_rate_bps")] = Decimal(0)


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What comes with a status of 400 and above. A wrong heartbeat names the right id and may say `error_msg` instead."""

    error: Text = ""
    code: str | None = None
    retry_after_seconds: int | None = None
    error_msg: str | None = None
    heartbeat_id: str | None = None

    @property
    def text(self) -> str:
        return self.error or self.error_msg or ""


POST_ORDER: Final = Codec[PostOrder](PostOrder)
POST_ORDERS: Final = Codec[tuple[PostOrder, ...]](tuple[PostOrder, ...])
LEGACY_POST: Final = Codec[LegacyPost](LegacyPost)
ORDER_ANSWER: Final = Codec[OrderAnswer](OrderAnswer)
ORDER_ANSWERS: Final = Codec[tuple[OrderAnswer, ...]](tuple[OrderAnswer, ...])
CANCEL_ORDER: Final = Codec[CancelOrder](CancelOrder)
IDS: Final = Codec[tuple[str, ...]](tuple[str, ...])
CANCEL_MARKET: Final = Codec[CancelMarket](CancelMarket)
CANCEL_ANSWER: Final = Codec[CancelAnswer](CancelAnswer)
OPEN_ORDER: Final = Codec[OpenOrder | None](OpenOrder | None)
OPEN_ORDERS: Final = Codec[Page[OpenOrder]](Page[OpenOrder])
TRADES: Final = Codec[Page[TradeRecord]](Page[TradeRecord])
TRADE: Final = Codec[TradeRecord](TradeRecord)
BALANCE: Final = Codec[BalanceAllowance](BalanceAllowance)
SCORING: Final = Codec[Scoring](Scoring)
SCORINGS: Final = Codec[dict[str, bool]](dict[str, bool])
HEARTBEAT: Final = Codec[Heartbeat](Heartbeat)
BUILDER_FEES: Final = Codec[BuilderFees](BuilderFees)
ERROR_BODY: Final = Codec[ErrorBody](ErrorBody)
