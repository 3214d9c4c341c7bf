"""What execsim finds under the entry point `native`: the protocol, its client, and a neutral venue's rules."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from execsim.core.errors import ConfigError
from execsim.core.instrument import Asset, Instrument, InstrumentKind
from execsim.core.units import Grid
from execsim.ports import VenuePlugin, VenueProfile
from execsim.tape.schema import MarketInfo
from execsim_native.client import NativeVenue
from execsim_native.dialect import NativeDialect

VENUE_ID: Final = "native"


def instrument(info: MarketInfo, overrides: Mapping[str, Any]) -> Instrument:
    """A market as its data describes it: no fees, no words or limits of a real venue. Errors: ConfigError: any override."""
    if overrides:
        raise ConfigError(f"unknown native setting {sorted(overrides)[0]!r}", "a native market has none")
    grid = Grid(Decimal(info.price_unit), Decimal(info.lot))
    kind = InstrumentKind(info.instrument_kind)
    money = grid.price_unit * grid.lot
    name, binary = info.base.removesuffix(":YES"), kind is InstrumentKind.BINARY
    quote = Asset(info.quote, money)
    return Instrument(
        venue=VENUE_ID,
        market=info.market,
        kind=kind,
        grid=grid,
        base=Asset(f"{name}:YES" if binary else info.base, grid.lot),
        complement=Asset(f"{name}:NO", grid.lot) if binary else None,
        quote=quote,
        tick_i=grid.price_i(info.tick),
        size_step_lots=grid.lots(info.size_step),
        size_min_lots=max(1, grid.lots(info.size_min)),
        notional_min=quote.amount(info.notional_min),
        price_min_i=1,
        price_max_i=grid.price_i(1) - 1 if binary else PRICE_MAX_I,
    )


PRICE_MAX_I: Final = 2**40
"""A spot market's highest price, in price units: far above any, and price x size still fits."""

VENUE: Final = VenuePlugin(VENUE_ID, (), instrument, VenueProfile(), dialect=NativeDialect, connect=NativeVenue)
