"""What is traded here: each market of the run by the engine's name and the venue's, with the terms as last read.

A market is chosen by its condition id (0x...), by a token id (digits), or by its slug, which has to be looked for in the
venue's list of markets: the first two are one request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from execsim.core.errors import ConfigError, InvalidResponse
from execsim.core.instrument import Instrument
from execsim.core.units import plain
from execsim.tape.schema import MarketInfo
from execsim_polymarket import endpoints
from execsim_polymarket.calls import Calls
from execsim_polymarket.catalog import NO_NAMES
from execsim_polymarket.entry import Terms
from execsim_polymarket.fills import Market
from execsim_polymarket.instruments import (
    LOT,
    NOTIONAL_MIN,
    PRICE_UNIT,
    QUOTE,
    SIZE_STEP,
    VENUE_ID,
    instrument,
)
from execsim_polymarket.wire.markets import MARKET_BY_TOKEN, MARKETS, ClobMarket

PAGES_MAX: Final = 50
"""Pages of GET /markets looked through for a slug."""


@dataclass(slots=True)
class Listed:
    """A market of the run. `name` is the engine's, `condition` the venue's."""

    name: str
    condition: str
    market: Market
    terms: Terms
    min_size: str
    neg_risk: bool

    @property
    def instrument(self) -> Instrument:
        return self.market.instrument

    def refresh(self, found: ClobMarket) -> None:
        """The terms as they are now: the tick moves, the rest does not."""
        self.terms = Terms(self.instrument.grid.price_i(found.tick_size), found.neg_risk)


def listed(name: str, found: ClobMarket, rules: Mapping[str, Any], venue: str = VENUE_ID) -> Listed:
    """`rules`: overrides as in `instruments.OVERRIDES`. Errors: ConfigError for a market that is not binary, or whose fee
    is not understood."""
    if len(found.tokens) != 2:
        raise ConfigError(
            f"market {found.condition_id} has {len(found.tokens)} tokens", "only YES/NO markets trade here"
        )
    yes, no = found.tokens
    if yes.outcome.lower() in NO_NAMES:
        yes, no = no, yes
    size_min = plain(found.min_order_size)
    info = MarketInfo(
        market=name,
        venue=VENUE_ID,
        instrument_kind="binary",
        price_unit=plain(PRICE_UNIT),
        lot=plain(LOT),
        base=f"{name}:YES",
        quote=QUOTE,
        tick=plain(found.tick_size),
        size_step=SIZE_STEP,
        size_min=size_min,
        notional_min=NOTIONAL_MIN,
        yes_token=yes.token_id,
        no_token=no.token_id,
        extra={**_fee_of(found, rules), "neg_risk": found.neg_risk},
    )
    made = replace(instrument(info, rules), venue=venue)
    market = Market(made, yes.token_id, no.token_id)
    terms = Terms(made.grid.price_i(found.tick_size), found.neg_risk)
    return Listed(name, found.condition_id, market, terms, size_min, found.neg_risk)


def _fee_of(found: ClobMarket, rules: Mapping[str, Any]) -> dict[str, Any]:
    """What `instruments.instrument` is told of the fee. Errors: ConfigError for a formula that is not known here."""
    fee = found.fee
    if fee is None:
        return {"fee_rate": "0"}
    if "fee_rate" not in rules and (not fee.taker_only or fee.exponent < 0 or fee.rate < 0):
        what = f"rate {plain(fee.rate)}, exponent {fee.exponent}, {'takers' if fee.taker_only else 'makers too'}"
        raise ConfigError(
            f"market {found.condition_id}: its fee is not understood ({what})",
            "fees would be booked wrong; give fee_rate among its rules to trade it all the same",
        )
    return {"fee_rate": plain(fee.rate), "fee_exponent": fee.exponent}


async def condition_of(calls: Calls, wanted: str) -> str:
    """The condition id of what the user named. Errors: ConfigError; as `Calls.get`."""
    if wanted.startswith("0x"):
        return wanted
    if wanted.isdecimal():
        return (await calls.get(MARKET_BY_TOKEN, endpoints.GET_MARKET_BY_TOKEN, name=wanted)).condition_id
    try:
        rows = await calls.pages(MARKETS, endpoints.GET_MARKETS, most=PAGES_MAX)
    except InvalidResponse as error:
        raise ConfigError(f"market {wanted!r} was not found", f"name its condition id (0x...); {error}") from None
    for row in rows:
        if wanted in (row.market_slug, row.question):
            return str(row.condition_id)
    raise ConfigError(f"the venue lists no market {wanted!r}", "name its condition id (0x...)")
