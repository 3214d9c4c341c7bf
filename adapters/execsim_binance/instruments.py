"""Which market a Binance symbol is, and the rules it is traded by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from execsim.core.errors import ConfigError, ValidationError
from execsim.core.fees import NotionalFee
from execsim.core.instrument import Asset, Instrument, InstrumentKind
from execsim.core.units import Grid, Rounding, decimal_of
from execsim.tape.schema import MarketInfo

VENUE_ID: Final = "binance"
NOTIONAL_MIN: Final = "5"
"""minNotional of BTCUSDT's NOTIONAL filter (exchangeInfo; the same 5 for nearly every USDT pair)."""
FEE: Final = "0.001"
"""Maker and taker rate of the base tier as widely quoted: 0.1 %."""
ASSET_UNIT: Final = Decimal("1e-8")
"""Spot balances have eight decimals (exchangeInfo baseAssetPrecision, quoteAssetPrecision)."""

_QUOTES: Final = ("FDUSD", "USDT", "USDC", "TUSD", "BUSD", "BTC", "ETH", "BNB", "EUR", "TRY", "BRL", "JPY", "USD")
OVERRIDES: Final = {
    "maker_fee": "share of the notional a maker pays, default 0.001",
    "taker_fee": "share of the notional a taker pays, default 0.001",
    "fee_factor": "what a discount leaves of both fees, default 1 (with BNB: 0.75; the venue's pages contradict each other)",
    "notional_min": "least price x size of an order in quote, default 5",
    "tick": "price step, default the finest step seen in the recording",
    "size_step": "size step, default the finest step seen in the recording",
    "size_min": "smallest order, default one size step",
    "size_max": "largest order, default none",
    "price_min": "lowest price of an order, default none",
    "price_max": "highest price of an order, default none",
}
"""What a scenario may set on a Binance market."""


def market_id(symbol: str, futures: bool) -> str:
    """Spot "BTCUSDT"; a USD-M perpetual "BTCUSDT-PERP", so that both can stand in one scenario; a delivery contract
    keeps its own name ("BTCUSDT_240927")."""
    return f"{symbol}-PERP" if futures and "_" not in symbol else symbol


def assets_of(symbol: str) -> tuple[str, str]:
    """Base and quote asset by the well-known quote assets; an unknown quote is taken to have three letters."""
    plain = symbol.removesuffix("-PERP").partition("_")[0]
    for quote in _QUOTES:
        if plain.endswith(quote) and len(plain) > len(quote):
            return plain.removesuffix(quote), quote
    return plain[:-3] or plain, plain[-3:]


def instrument(info: MarketInfo, overrides: Mapping[str, Any]) -> Instrument:
    """The trading rules of a market of a tape. Prices and sizes in `overrides` (see OVERRIDES) are decimals.

    Errors: ConfigError naming the market and the override.
    """
    unknown = sorted(set(overrides) - set(OVERRIDES))
    if unknown:
        raise ConfigError(f"{info.market}: {VENUE_ID} has no setting {unknown[0]!r}", f"known: {', '.join(OVERRIDES)}")
    grid = Grid(Decimal(info.price_unit), Decimal(info.lot))
    base = Asset(info.base, _finest(ASSET_UNIT, grid.lot))
    quote = Asset(info.quote, _finest(ASSET_UNIT, grid.price_unit * grid.lot))

    def read(name: str, default: Any, convert: Callable[[Any], int]) -> int:
        value = overrides.get(name, default)
        try:
            return convert(value)
        except ValidationError as error:
            raise ConfigError(f"{info.market}: {name} = {value}: {error.args[1]}", "") from None

    def optional(name: str, convert: Callable[[Any], int]) -> int | None:
        return None if overrides.get(name) is None else read(name, None, convert)

    def rate(name: str, default: str = FEE) -> Decimal:
        try:
            return decimal_of(overrides.get(name, default), name)
        except ValidationError as error:
            raise ConfigError(f"{info.market}: {name}: {error.args[1]}", "") from None

    step_lots = read("size_step", info.size_step, grid.lots)
    factor = rate("fee_factor", "1")
    if not 0 <= factor <= 1:
        raise ConfigError(f"{info.market}: fee_factor {factor}", "it lies between 0 and 1")
    stated_min = info.size_min if Decimal(info.size_min) > 0 else info.size_step
    stated_notional = info.notional_min if Decimal(info.notional_min) > 0 else NOTIONAL_MIN
    return Instrument(
        venue=info.venue,
        market=info.market,
        kind=InstrumentKind.SPOT,
        grid=grid,
        base=base,
        quote=quote,
        tick_i=_positive(info, "tick", read("tick", info.tick, grid.price_i)),
        size_step_lots=_positive(info, "size_step", step_lots),
        size_min_lots=max(step_lots, read("size_min", stated_min, grid.lots)),
        size_max_lots=optional("size_max", grid.lots),
        notional_min=read("notional_min", stated_notional, lambda v: quote.amount(v, Rounding.CEIL)),
        price_min_i=optional("price_min", grid.price_i),
        price_max_i=optional("price_max", grid.price_i),
        fees=NotionalFee(maker=rate("maker_fee"), taker=rate("taker_fee"), factor=factor),
    )


def _positive(info: MarketInfo, name: str, value: int) -> int:
    if value <= 0:
        raise ConfigError(f"{info.market}: {name} must be positive", "")
    return value


def _finest(unit: Decimal, step: Decimal) -> Decimal:
    """`unit`, or a finer power of ten if `step` is not a whole number of units (money then stays exact)."""
    while step % unit:
        unit /= 10
    return unit
