"""What the simulated venue answers when it says no: the venue's own text where its profile has one."""

from __future__ import annotations

from typing import Final

from execsim.core.errors import VenueError
from execsim.ports import VenueProfile

NEUTRAL: Final = {
    "post_only_cross": ("POST_ONLY", "post-only order would take liquidity"),
    "tick": ("TICK", "price {price} is not a multiple of the tick {tick}"),
    "size_min": ("SIZE_MIN", "size {size} is below the minimum {min}"),
    "size_step": ("SIZE_STEP", "size {size} is not a multiple of {step}"),
    "notional_min": ("NOTIONAL_MIN", "order value {value} is below the minimum {min}"),
    "price_range": ("PRICE_RANGE", "price {price} is outside {low} to {high}"),
    "balance": ("BALANCE", "not enough balance: {free} {asset} free, {needed} needed"),
    "allowance": ("ALLOWANCE", "not enough allowance: the venue may take {free} {asset} more, {needed} needed"),
    "duplicate": ("DUPLICATE", "order {order_id} is known already"),
    "expired": ("EXPIRED", "the order's time is over"),
    "expiry_min": ("EXPIRY", "expiration is too near"),
    "fok": ("FOK", "order couldn't be fully filled: FOK orders are filled at once or killed"),
    "ioc_no_match": ("IOC", "no liquidity to match"),
    "market_closed": ("CLOSED", "the market does not accept orders"),
    "unknown_market": ("UNKNOWN_MARKET", "no such market: {market}"),
    "order_gone": ("GONE", "order not found or already done"),
    "order_delayed": ("DELAYED", "order is waiting to be matched and cannot be changed"),
    "hold": ("HOLD", "price {price} is above the price {hold} its money was set aside for"),
    "self_trade": ("SELF_TRADE", "order would trade with another order of the same account"),
    "bound": ("BOUND", "price x size {value} is beyond what the venue can book"),
}


def refuse(venue: str, profile: VenueProfile, rule: str, **fields: object) -> VenueError:
    """The refusal of `rule` (a key of NEUTRAL) in the venue's words; fields the text does not use are ignored."""
    code, text = profile.texts.get(rule, NEUTRAL[rule])
    return VenueError(venue, code, text.format_map(_Fields(fields)))


class _Fields(dict[str, object]):
    """A field the venue's text names but we do not have stays as it is written."""

    def __missing__(self, key: str) -> str:
        return "{" + key + "}"
