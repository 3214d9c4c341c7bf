"""Market data of the CLOB: books, prices and market descriptions. Source: polymarket.md section 6.

Prices and sizes of books stay text: the venue's hash is over its own strings (book.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from pydantic import Field

from execsim_polymarket.wire.trading import Page
from execsim_polymarket.wire.values import Amount, Codec, Number, SideText, Text


@dataclass(frozen=True, slots=True)
class Level:
    """A price level: total size there."""

    price: str
    size: str


@dataclass(frozen=True, slots=True)
class Book:
    """GET /book; POST /books answers a list. Bids ascend, asks descend: the best is last."""

    market: str
    asset_id: str
    timestamp: str
    hash: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    min_order_size: str | None = None
    tick_size: str | None = None
    neg_risk: bool | None = None
    last_trade_price: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class TokenQuery:
    """An entry of POST /books, /midpoints, /spreads, /last-trades-prices, and with `side` of /prices."""

    token_id: str
    side: str | None = None


@dataclass(frozen=True, slots=True)
class Midpoint:
    """GET /midpoint. The documentation also says `mid_price`; a server gives both."""

    mid: Amount
    mid_price: Amount | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """GET /price: side=BUY asks for the best bid, SELL for the best ask."""

    price: Amount


@dataclass(frozen=True, slots=True)
class Spread:
    """GET /spread."""

    spread: Amount


@dataclass(frozen=True, slots=True)
class LastTrade:
    """GET /last-trade-price; with the token in POST /last-trades-prices. Without a trade: "0.5" and side ""."""

    price: Amount
    side: Text = ""
    token_id: str | None = None


@dataclass(frozen=True, slots=True)
class TickSize:
    """GET /tick-size: a JSON number."""

    minimum_tick_size: Number


@dataclass(frozen=True, slots=True)
class NegRisk:
    """GET /neg-risk."""

    neg_risk: bool


@dataclass(frozen=True, slots=True)
class FeeRate:
    """GET /fee-rate: a legacy display value, never a fee."""

    base_fee: Number


@dataclass(frozen=True, slots=True)
class MarketByToken:
    """GET /markets-by-token/{id}."""

    condition_id: str
    primary_token_id: str
    secondary_token_id: str


@dataclass(frozen=True, slots=True)
class TokenName:
    """A token of a market and its outcome."""

    token_id: Annotated[str, Field(alias="t")]
    outcome: Annotated[str, Field(alias="o")]


@dataclass(frozen=True, slots=True)
class FeeTerms:
    """rate x (p(1-p))^exponent a share; `taker_only` since 2026."""

    rate: Annotated[Number, Field(alias="r")]
    exponent: Annotated[int, Field(alias="e")]
    taker_only: Annotated[bool, Field(alias="to")] = True


@dataclass(frozen=True, slots=True)
class ClobMarket:
    """GET /clob-markets/{condition id}: the market's trading terms under one- to four-letter names."""

    condition_id: Annotated[str, Field(alias="c")]
    tokens: Annotated[tuple[TokenName, ...], Field(alias="t")]
    min_order_size: Annotated[Number, Field(alias="mos")]
    tick_size: Annotated[Number, Field(alias="mts")]
    maker_base_fee: Annotated[int | None, Field(alias="mbf")] = None
    taker_base_fee: Annotated[int | None, Field(alias="tbf")] = None
    neg_risk: Annotated[bool, Field(alias="nr")] = False
    accepting_orders: Annotated[bool, Field(alias="ao")] = True
    accepting_since: Annotated[str | None, Field(alias="aot")] = None
    game_start: Annotated[str | None, Field(alias="gst")] = None
    taker_delay: Annotated[bool | None, Field(alias="itode")] = None
    rfq: Annotated[bool | None, Field(alias="rfqe")] = None
    min_order_age_s: Annotated[int | None, Field(alias="oas")] = None
    rewards: Annotated[dict[str, Any] | None, Field(alias="r")] = None
    fee: Annotated[FeeTerms | None, Field(alias="fd")] = None
    """None: fee-free"""
    version: Annotated[str | None, Field(alias="v")] = None


@dataclass(frozen=True, slots=True)
class MarketToken:
    """A token of GET /markets; `price` and `winner` settle when the market has resolved."""

    token_id: str
    outcome: str
    price: Number
    winner: bool


@dataclass(frozen=True, slots=True)
class MarketRewards:
    """Liquidity rewards of a market."""

    min_size: Number
    max_spread: Number
    rates: tuple[dict[str, Any], ...] | None = None


@dataclass(frozen=True, slots=True)
class MarketListing:
    """A row of GET /markets and /sampling-markets; /simplified-markets has the first seven fields only."""

    condition_id: str
    tokens: tuple[MarketToken, ...]
    active: bool
    closed: bool
    archived: bool
    accepting_orders: bool
    rewards: MarketRewards | None = None
    question_id: str | None = None
    question: str | None = None
    description: str | None = None
    market_slug: str | None = None
    accepting_order_timestamp: str | None = None
    enable_order_book: bool | None = None
    minimum_order_size: Number | None = None
    minimum_tick_size: Number | None = None
    end_date_iso: str | None = None
    game_start_time: str | None = None
    seconds_delay: int | None = None
    maker_base_fee: Number | None = None
    taker_base_fee: Number | None = None
    neg_risk: bool | None = None
    neg_risk_market_id: str | None = None
    neg_risk_request_id: str | None = None
    is_50_50_outcome: bool | None = None
    icon: str | None = None
    image: str | None = None
    tags: tuple[str, ...] | None = None
    fpmm: str | None = None
    notifications_enabled: bool | None = None


@dataclass(frozen=True, slots=True)
class PricePoint:
    """A point of a price history: Unix seconds."""

    t: int
    p: Number


@dataclass(frozen=True, slots=True)
class PriceHistory:
    """GET /prices-history."""

    history: tuple[PricePoint, ...] = field(default=())


BOOK: Final = Codec[Book](Book)
BOOKS: Final = Codec[tuple[Book, ...]](tuple[Book, ...])
TOKEN_QUERIES: Final = Codec[tuple[TokenQuery, ...]](tuple[TokenQuery, ...])
MIDPOINT: Final = Codec[Midpoint](Midpoint)
AMOUNT_BY_TOKEN: Final = Codec[dict[str, Amount]](dict[str, Amount])
"""POST /midpoints and /spreads: token id -> number."""
PRICE: Final = Codec[Price](Price)
PRICES_BY_TOKEN: Final = Codec[dict[str, dict[SideText, Amount]]](dict[str, dict[SideText, Amount]])
"""POST /prices: token id -> side -> price."""
SPREAD: Final = Codec[Spread](Spread)
LAST_TRADE: Final = Codec[LastTrade](LastTrade)
LAST_TRADES: Final = Codec[tuple[LastTrade, ...]](tuple[LastTrade, ...])
TICK_SIZE: Final = Codec[TickSize](TickSize)
NEG_RISK: Final = Codec[NegRisk](NegRisk)
FEE_RATE: Final = Codec[FeeRate](FeeRate)
MARKET_BY_TOKEN: Final = Codec[MarketByToken](MarketByToken)
CLOB_MARKET: Final = Codec[ClobMarket](ClobMarket)
MARKET: Final = Codec[MarketListing](MarketListing)
MARKETS: Final = Codec[Page[MarketListing]](Page[MarketListing])
PRICE_HISTORY: Final = Codec[PriceHistory](PriceHistory)
