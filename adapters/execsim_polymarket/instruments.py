"""A market of a tape as an instrument: grid, assets, limits and the taker fee.

Rules: prices tick .. 1 - tick; sizes in 0.01 share; limit orders at least `size_min` shares (usually 5), a marketable BUY at
least 1 pUSD; cash per fill rounded down (exchange V3 fill arithmetic). Source: polymarket.md sections 4, 7, 8, 9.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from execsim.core.errors import ConfigError, ValidationError
from execsim.core.fees import BinaryFee, DatedFees, FeeSchedule
from execsim.core.instrument import Asset, Instrument, InstrumentKind
from execsim.core.units import Grid, Rounding, decimal_of, plain
from execsim.tape.schema import MarketInfo
from execsim_polymarket.book import HashTerms, Scale
from execsim_polymarket.fees import REGIMES, rebate_share, schedule
from execsim_polymarket.survey import Plan

VENUE_ID: Final = "polymarket"
QUOTE: Final = "pUSD"
PRICE_UNIT: Final = Decimal("0.0001")
"""The finest tick of the venue."""
LOT: Final = Decimal("0.000001")
"""Shares and pUSD have six decimals."""
SIZE_STEP: Final = "0.01"
NOTIONAL_MIN: Final = "1"

OVERRIDES: Final = {
    "fee_rate": "taker fee rate as a decimal, for all dates; default: the market's own if the recording has it, else the "
    "category's at the time of each fill",
    "fee_category": f"one of {', '.join(REGIMES)}; default crypto (the up/down markets)",
    "rebate_share": "part of the taker fees paid back to makers, for estimates; default: the category's",
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

    The fee, takers only: `fee_rate` for all dates if given, else the regimes of `fee_category` if given, else the rate the
    recording has (extra["fee_rate"] and "fee_exponent", the market's own when it was recorded), else the regimes of
    crypto, the category of the up/down markets.
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
        fees=_fees(info, overrides),
        cash_rounding=Rounding.FLOOR,
    )


def _fees(info: MarketInfo, overrides: Mapping[str, Any]) -> FeeSchedule:
    category = overrides.get("fee_category", "crypto")
    if category not in REGIMES:
        raise ConfigError(f"fee_category {category!r}", f"known: {', '.join(REGIMES)}")
    given = _share_of_one("rebate_share", overrides) if "rebate_share" in overrides else None
    share = rebate_share(category) if given is None else given
    if "fee_rate" in overrides:
        return BinaryFee(_share_of_one("fee_rate", overrides), rebate_share=share)
    if "fee_category" not in overrides and "fee_rate" in info.extra:
        return BinaryFee(Decimal(info.extra["fee_rate"]), info.extra.get("fee_exponent", 1), rebate_share=share)
    dated = schedule(category)
    if given is None:
        return dated
    return DatedFees(tuple((regime.from_ns, replace(regime.fee, rebate_share=given)) for regime in REGIMES[category]))


def _share_of_one(name: str, overrides: Mapping[str, Any]) -> Decimal:
    try:
        value = decimal_of(overrides[name], name)
    except ValidationError as error:
        raise ConfigError(f"{name}: {error.args[1]}", "") from None
    if not 0 <= value <= 1:
        raise ConfigError(f"{name} {value}", "it lies between 0 and 1")
    return value
