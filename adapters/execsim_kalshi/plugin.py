"""What execsim finds under the entry point `kalshi`: instruments and the venue's way of refusing. Recordings come in the
vendor-neutral formats (`generic`).

Codes: kalshi.md section 6 (docs getting_started/order_errors, field reports). The venue answers {"error": {code, message}};
clients switch on the code, and its messages are not published in full: the texts say what the code means.
"""

from __future__ import annotations

from typing import Final

from execsim.ports import VenuePlugin, VenueProfile, VenueTraits
from execsim_kalshi.instruments import VENUE_ID, instrument
from execsim_kalshi.limits import TIERS

TEXTS: Final = {
    "post_only_cross": ("invalid_order", "post only cross"),
    "tick": ("invalid_order", "price {price} is not on the market's grid of {tick}"),
    "price_range": ("invalid_order", "price {price} is outside {low} to {high}"),
    "size_min": ("invalid_order", "count {size} is below {min}"),
    "size_step": ("invalid_order", "count {size} is not a multiple of {step}"),
    "balance": ("insufficient_balance", "insufficient balance"),
    # an id is used up even by a killed FOK order [3p]; here only by orders that were booked
    "duplicate": ("order_already_exists", "client_order_id {order_id} was seen before"),
    "expired": ("invalid_order", "expiration_time is in the past"),
    "fok": ("fill_or_kill_insufficient_resting_volume", "fill or kill order could not be filled"),  # HTTP 409
    # [?] one source: it may instead come back accepted with fill_count 0
    "ioc_no_match": ("immediate_or_cancel_insufficient_resting_volume", "no resting volume to match"),
    "market_closed": ("market_not_active", "the market is not open for trading"),  # [?] the code's name
    "unknown_market": ("not_found", "market {market} not found"),
    "rate_limit": ("429", "too many requests"),
    "order_gone": ("not_found", "order not found"),
}

PROFILE: Final = VenueProfile(
    texts=TEXTS,
    tiers=TIERS,
    client_per_s="10",
    client_burst=10,
    # amends price and size in place; the largest batch scales with the write budget: 10 orders are a Basic second of it
    traits=VenueTraits(amends=True, batch_max=10),
)

VENUE: Final = VenuePlugin(VENUE_ID, (), instrument, PROFILE)
