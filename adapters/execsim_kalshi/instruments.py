"""A market of a tape as an instrument of Kalshi: a binary contract that pays one dollar.

Rules: prices tick .. 1 - tick on a grid of cents (`linear_cent`) or tenths of a cent (`deci_cent`); counts in hundredths
of a contract; money in $0.0001 (the venue's centicents) or finer, where price x count needs it. Source: kalshi.md sections
1, 4 and 8. Not modelled: `tapered_deci_cent` (a tick that depends on the price), order groups, shards with their own
collateral.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from execsim.core.errors import ConfigError, ValidationError
from execsim.core.instrument import Asset, Instrument, InstrumentKind
from execsim.core.units import Grid, decimal_of
from execsim.tape.schema import MarketInfo
from execsim_kalshi.fees import CENTS, schedule

VENUE_ID: Final = "kalshi"
QUOTE: Final = "USD"
CENTICENT: Final = Decimal("0.0001")
COUNT_UNIT: Final = Decimal("0.01")
"""Fractional contracts exist since March 2026, in hundredths."""
TICKS: Final = {"linear_cent": "0.01", "deci_cent": "0.001"}
"""`price_level_structure` of a market -> its tick."""

OVERRIDES: Final = {
    "price_levels": f"{' | '.join(TICKS)}; default: the tape's tick",
    "tick": "price step, instead of price_levels",
    "size_step": "contracts; default: the tape's, at least 0.01",
    "size_min": "least contracts of an order; default: one step",
    "fee_type": "the series' fee_type, default quadratic (makers pay nothing)",
    "fee_multiplier": "the series' fee_multiplier, default 1",
    "account_decimals": "2: balances in cents; 4: a direct member's",
}
"""What a scenario may set on a Kalshi market."""


def instrument(info: MarketInfo, overrides: Mapping[str, Any]) -> Instrument:
    """The trading rules of one market; `overrides` as in OVERRIDES.

    Errors: ConfigError for an unknown override or price structure; ValidationError for a number off the grid.
    """
    unknown = sorted(set(overrides) - set(OVERRIDES))
    if unknown:
        raise ConfigError(f"{VENUE_ID} has no setting {unknown[0]!r}", f"known: {', '.join(OVERRIDES)}")
    grid = Grid(Decimal(info.price_unit), Decimal(info.lot))
    levels = overrides.get("price_levels")
    if levels is not None and levels not in TICKS:
        raise ConfigError(f"price_levels {levels!r}", f"known: {', '.join(TICKS)}")
    tick_i = grid.price_i(overrides.get("tick", info.tick if levels is None else TICKS[levels]))
    if tick_i <= 0:
        raise ConfigError("tick must be positive", "")
    step_lots = grid.lots(overrides.get("size_step", max(Decimal(info.size_step), COUNT_UNIT, grid.lot)))
    if step_lots <= 0:
        raise ConfigError("size_step must be positive", "")
    name = info.base.removesuffix(":YES") or info.market
    return Instrument(
        venue=VENUE_ID,
        market=info.market,
        kind=InstrumentKind.BINARY,
        grid=grid,
        base=Asset(f"{name}:YES", grid.lot),
        complement=Asset(f"{name}:NO", grid.lot),
        quote=Asset(QUOTE, _unit(grid.price_unit * grid.lot)),
        tick_i=tick_i,
        size_step_lots=step_lots,
        size_min_lots=max(step_lots, grid.lots(overrides.get("size_min", "0"))),
        price_min_i=tick_i,
        price_max_i=grid.price_i(1) - tick_i,
        fees=schedule(
            overrides.get("fee_type", "quadratic"),
            _number("fee_multiplier", overrides.get("fee_multiplier", 1)),
            overrides.get("account_decimals", CENTS),
        ),
    )


def _unit(step: Decimal) -> Decimal:
    """A centicent, or a finer power of ten if `step` is not a whole number of them (money then stays exact)."""
    unit = CENTICENT
    while step % unit:
        unit /= 10
    return unit


def _number(name: str, value: Any) -> Decimal:
    try:
        return decimal_of(value, name)
    except ValidationError as error:
        raise ConfigError(f"{name}: {error.args[1]}", "") from None
