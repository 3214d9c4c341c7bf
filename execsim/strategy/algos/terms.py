"""What a parent order asks for, read and checked at the door."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from execsim.core.errors import ConfigError
from execsim.core.instrument import Instrument, InstrumentKind, Outcome
from execsim.core.order import Side
from execsim.core.units import Number, plain

if TYPE_CHECKING:
    from enum import StrEnum

    from execsim.engine.context import Context

Name = TypeVar("Name", bound="StrEnum")


@dataclass(frozen=True, slots=True)
class Terms:
    """`lots` of one outcome of one market to buy or sell, at `limit_i` (price of the outcome) or better."""

    market: str
    instrument: Instrument
    side: Side
    outcome: Outcome
    lots: int
    limit_i: int | None


def terms_of(
    ctx: Context,
    market: str,
    side: Side | str,
    size: Number,
    limit: Number | None,
    outcome: Outcome | str,
) -> Terms:
    """Errors: ConfigError for a market, side or outcome that does not exist, and a size the market can never trade to the
    last lot; ValidationError for a size or limit off the grid."""
    instrument = ctx.instrument(market)
    lots = instrument.grid.lots(size)
    step, least = instrument.size_step_lots, max(1, instrument.size_min_lots)
    if lots < least or lots % step:
        what = f"a parent order of {size} in {market}"
        rule = f"a multiple of {plain(instrument.grid.size(step))}, at least {plain(instrument.grid.size(least))}"
        raise ConfigError(f"{what} cannot be traded to the last lot", f"the market takes {rule}")
    token = named(Outcome, outcome, "outcome")
    if token is Outcome.NO and instrument.kind is not InstrumentKind.BINARY:
        raise ConfigError(f"{market} is a spot market and has no NO side", "trade YES")
    limit_i = None if limit is None else instrument.grid.price_i(limit)
    return Terms(market, instrument, named(Side, side, "side"), token, lots, limit_i)


def named(kind: type[Name], value: Name | str, what: str) -> Name:
    """A member by itself or by its text in any case. Errors: ConfigError listing the members."""
    try:
        return kind(str(value).lower())
    except ValueError:
        known = ", ".join(member.value for member in kind)
        raise ConfigError(f"{what} {value!r} does not exist", f"one of: {known}") from None
