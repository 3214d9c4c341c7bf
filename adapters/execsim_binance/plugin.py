"""What this package offers to execsim: the Binance recording format, spot rules, and how the venue refuses."""

from __future__ import annotations

from typing import Final

from execsim.core.units import NS_PER_S
from execsim.ports import VenuePlugin, VenueProfile, VenueTraits
from execsim_binance.archive import BinanceCapture
from execsim_binance.instruments import VENUE_ID, instrument
from execsim_binance.limits import LIMITS

_FILTER: Final = "-1013"
_REJECTED: Final = "-2010"

PROFILE: Final = VenueProfile(
    # Codes and texts: Binance spot errors.md, as collected in the fact sheet this project was given (section 10).
    # An unfilled FOK or IOC rest is no error there: the order ends EXPIRED with this reason.
    texts={
        "post_only_cross": (_REJECTED, "Order would immediately match and take."),
        "balance": (_REJECTED, "Account has insufficient balance for requested action."),
        "duplicate": (_REJECTED, "Duplicate order sent."),
        "market_closed": (_REJECTED, "Market is closed."),
        "tick": (_FILTER, "Filter failure: PRICE_FILTER"),
        "price_range": (_FILTER, "Filter failure: PRICE_FILTER"),
        "size_min": (_FILTER, "Filter failure: LOT_SIZE"),
        "size_step": (_FILTER, "Filter failure: LOT_SIZE"),
        "notional_min": (_FILTER, "Filter failure: NOTIONAL"),
        "unknown_market": ("-1121", "Invalid symbol."),
        "rate_limit": ("-1015", "Too many new orders; current limit is 50 orders per 10 SECOND."),
        "order_gone": ("-2011", "Unknown order sent."),
        "fok": ("", "UNFILLED_FOK_ORDER_EXPIRED"),
        "ioc_no_match": ("", "UNFILLED_IOC_QUANTITY_EXPIRED"),
    },
    limits=LIMITS,
    unmatched="expire",
    client_per_s="20",
    client_burst=50,
    # spot has no batch of orders, and an amend (keepPriority) can only make an order smaller; recvWindow is 5 s by default
    traits=VenueTraits(amends=False, batch_max=1, acceptance_ns=5 * NS_PER_S),
)

VENUE: Final = VenuePlugin(venue_id=VENUE_ID, importers=(BinanceCapture(),), instrument=instrument, profile=PROFILE)
