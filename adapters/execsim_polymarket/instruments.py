"""A market of a tape as an instrument: grid, assets, limits and the taker fee.

Rules: prices tick .. 1 - tick; sizes in 0.01 share; limit orders at least `size_min` shares (usually 5), a marketable BUY at
least 1 pUSD; cash per fill rounded down (exchange V3 fill arithmetic). Source: polymarket.md sections 4, 7, 8, 9.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from execsim.core.errors import ConfigError
from execsim.core.fees import BinaryFee
from execsim.core.instrument import Asset, Instrument, InstrumentKind
from execsim.core.units import Grid, Rounding, decimal_of, plain
from execsim.tape.schema import MarketInfo
from execsim_polymarket.book import HashTerms, Scale
from execsim_polymarket.survey import Plan

VENUE_ID: Final = "polymarket"
QUOTE: Final = "pUSD"
PRICE_UNIT: Final = Decimal("0.0001")
"""The finest tick of the venue."""
LOT: Final = Decimal("0.000001")
"""Shares and pUSD have six decimals."""
SIZE_STEP: Final = "0.01"
NOTIONAL_MIN: Final = "1"

FEE_RATES: Final = {
    "crypto": "0.07",
    "sports": "0.05",
    "finance": "0.04",
    "politics": "0.04",
    "mentions": "0.04",
    "tech": "0.04",
    "economics": "0.05",
    "culture": "0.05",
    "weather": "0.05",
    "other": "0.05",
    "geopolitics": "0",
}
"""Taker fee rate by category. Source: docs.polymarket.com trading/fees, changelog 2026-07-10 (polymarket.md section 9)."""

OVERRIDES: Final = {
    "fee_rate": "taker fee rate as a decimal; default: the market's own if the recording has it, else the category's",
    "fee_category": f"one of {', '.join(FEE_RATES)}; default crypto (the up/down markets)",
    "size_min": "least shares of a limit order; default: the tape's",
    "notional_min": "least pUSD of a marketable BUY; default: the tape's",
    "tick": "tick at the start; default: the tape's",
}


def market_info(plan: Plan, terms: HashTerms, scale: Scale, tick: str) -> MarketInfo:
    """What the tape keeps of a market. `base` is short, `<slug or first 10 of the condition id>:YES`; the payoff stays
    in `outcome`, away from strategies. notional_min binds marketable buys only (extra says so)."""
    card = plan.card
    extra: dict[str, Any] = {"slug": card.slug, "notional_min_applies_to": "marketable buys"}
    if terms.proven or card.neg_risk is not None:
        extra["neg_risk"] = terms.neg_risk if terms.proven else card.neg_risk
    if card.fee_rate is not None:
        extra["fee_rate"] = card.fee_rate
    if plan.assumed:
        extra["yes_assumed"] = True
    return MarketInfo(
        market=card.market,
        venue=VENUE_ID,
        instrument_kind="binary",
        price_unit=plain(scale.price_unit),
        lot=plain(scale.lot),
        base=f"{card.slug or card.market[:10]}:YES",
        quote=QUOTE,
        tick=tick,
        size_step=SIZE_STEP,
        size_min=terms.min_size,
        notional_min=NOTIONAL_MIN,
        yes_token=card.yes_token,
        no_token=card.no_token,
        title=card.title or card.slug,
        outcome=card.payoff,
        outcome_source="market_resolved frame" if card.payoff is not None else "",
        extra=extra,
    )


def instrument(info: MarketInfo, overrides: Mapping[str, Any]) -> Instrument:
    """The trading rules of one market; `overrides` as in OVERRIDES.

    The fee is BinaryFee(rate), takers only: `fee_rate` if given, else the rate of `fee_category` if given, else what the
    recording says (extra["fee_rate"]), else 0.07, the crypto rate of the up/down markets (FEE_RATES).
    Errors: ConfigError for an unknown override or category; ValidationError for a number off the grid.
    """
    unknown = sorted(set(overrides) - set(OVERRIDES))
    if unknown:
        raise ConfigError(f"unknown polymarket setting {unknown[0]!r}", f"known: {', '.join(OVERRIDES)}")
    grid = Grid(Decimal(info.price_unit), Decimal(info.lot))
    quote = Asset(info.quote, LOT)
    tick_i = grid.price_i(overrides.get("tick", info.tick))
    name = info.base.removesuffix(":YES")
    return Instrument(
        venue=VENUE_ID,
        market=info.market,
        kind=InstrumentKind.BINARY,
        grid=grid,
        base=Asset(f"{name}:YES", LOT),
        complement=Asset(f"{name}:NO", LOT),
        quote=quote,
        tick_i=tick_i,
        size_step_lots=grid.lots(info.size_step),
        size_min_lots=grid.lots(overrides.get("size_min", info.size_min)),
        notional_min=quote.amount(overrides.get("notional_min", info.notional_min)),
        notional_min_taker_buys_only=True,
        price_min_i=1,  # the tick may become finer while the market trades: the tick rule bounds the price then
        price_max_i=grid.price_i(1) - 1,
        fees=BinaryFee(_fee_rate(info, overrides)),
        cash_rounding=Rounding.FLOOR,
    )


def _fee_rate(info: MarketInfo, overrides: Mapping[str, Any]) -> Decimal:
    if "fee_rate" in overrides:
        rate = decimal_of(overrides["fee_rate"], "fee_rate")
        if not 0 <= rate <= 1:
            raise ConfigError(f"fee_rate {rate}", "a rate lies between 0 and 1")
        return rate
    category = overrides.get("fee_category")
    if category is None:
        return Decimal(info.extra.get("fee_rate", FEE_RATES["crypto"]))
    if category not in FEE_RATES:
        raise ConfigError(f"fee_category {category!r}", f"known: {', '.join(FEE_RATES)}")
    return Decimal(FEE_RATES[category])
