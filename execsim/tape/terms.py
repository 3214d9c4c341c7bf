"""What a vendor-neutral recording does not say about its market and the user may state: units, tick, assets, venue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from execsim.core.errors import ConfigError, ValidationError
from execsim.core.units import decimal_of, plain
from execsim.tape.schema import MarketInfo

OPTIONS: Final = {
    "price_unit": "finest price step as a decimal; default: the finest seen in the recording",
    "lot": "finest size step as a decimal; default: the finest seen in the recording",
    "tick": "price step of orders; default: price_unit",
    "size_step": "size step of orders; default: lot",
    "instrument_kind": "spot | binary; default spot",
    "base": "name of what is traded; default: guessed from the market's name",
    "quote": "name of the money; default: guessed from the market's name, else USD",
}
"""Options every vendor-neutral importer takes."""

_QUOTES: Final = ("FDUSD", "USDT", "USDC", "BUSD", "PUSD", "USD", "BTC", "ETH", "EUR", "GBP", "JPY", "TRY")


def choice(options: Mapping[str, Any], name: str, known: Sequence[str]) -> str:
    """One of `known`, the first by default. Errors: ConfigError."""
    value = options.get(name)
    if value is not None and value not in known:
        raise ConfigError(f"option {name} = {value!r}", f"one of {', '.join(known)}")
    return known[0] if value is None else str(value)


def positive(options: Mapping[str, Any], name: str) -> Decimal | None:
    """A positive decimal, None when not given. Errors: ConfigError."""
    if options.get(name) is None:
        return None
    try:
        value = decimal_of(options[name], name)
    except ValidationError as error:
        raise ConfigError(f"option {name}: {error.args[1]}", "give a decimal such as 0.01") from None
    if value <= 0:
        raise ConfigError(f"option {name} = {value} is not positive", "give a decimal such as 0.01")
    return value


class Terms:
    """The stated terms, and the market they describe once the recording's own units are known."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.price_unit = positive(options, "price_unit")
        self.lot = positive(options, "lot")
        self._tick = positive(options, "tick")
        self._size_step = positive(options, "size_step")
        self._kind = choice(options, "instrument_kind", ("spot", "binary"))
        self._base = str(options.get("base") or "")
        self._quote = str(options.get("quote") or "")

    def market(self, name: str, venue: str, price_unit: Decimal, lot: Decimal) -> MarketInfo:
        """Errors: ConfigError when tick or size step is no multiple of its unit."""
        tick, step = self._tick or price_unit, self._size_step or lot
        for what, value, unit in (("tick", tick, price_unit), ("size_step", step, lot)):
            if value % unit:
                finer = "price_unit" if what == "tick" else "lot"
                raise ConfigError(
                    f"{name}: {what} {plain(value)} is no multiple of {plain(unit)}", f"set {finer} finer"
                )
        base, quote = _assets(name)
        return MarketInfo(
            market=name,
            venue=venue,
            instrument_kind=self._kind,
            price_unit=plain(price_unit),
            lot=plain(lot),
            base=self._base or base,
            quote=self._quote or quote,
            tick=plain(tick),
            size_step=plain(step),
            size_min=plain(step),
            title=name,
        )


def _assets(name: str) -> tuple[str, str]:
    """("BTC", "USDT") of "BTCUSDT", ("XBT", "USD") of "XBTUSD"; (name, "USD") where no known money is in the name."""
    letters = (
        name.upper()
        .replace("-PERPETUAL", "USD")
        .replace("-PERP", "")
        .replace("-", "")
        .replace("_", "")
        .replace("/", "")
    )
    for quote in _QUOTES:
        if letters.endswith(quote) and len(letters) > len(quote):
            return letters.removesuffix(quote), quote
    return name, "USD"
