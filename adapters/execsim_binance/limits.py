"""What Binance lets a trader ask: request weight per address, unfilled orders per account, and a ban for who goes on.

Source: binance.md sections 10 and 11 (rest-api.md, faqs/order_count_decrement.md, exchangeInfo sample). [doc] published,
[?] assumed.
"""

from __future__ import annotations

from typing import Final

from execsim.core.limits import ALL, ORDERS, Ban, Fixed, LimitRule, Unfilled
from execsim.core.request import RequestKind
from execsim.core.units import NS_PER_S

MINUTE_NS: Final = 60 * NS_PER_S
DAY_NS: Final = 86_400 * NS_PER_S

BAN: Final = Ban(
    after=10,  # [?] "repeatedly violating": no number is published
    first_ns=2 * MINUTE_NS,  # [doc] 2 minutes to 3 days
    max_ns=3 * DAY_NS,
    text="Way too much request weight used; IP banned.",
)

WEIGHT: Final = LimitRule(
    "request_weight",
    ALL - {RequestKind.TOKENS},
    Fixed(
        6_000, MINUTE_NS
    ),  # [doc] REQUEST_WEIGHT, windows aligned to the clock; an order or a cancel 1. Since 2026-04-02
    # only those that fail: here all, which is stricter (what a request comes to is not known at the door)
    scope="ip",
    cost={
        RequestKind.QUERY: 4,
        RequestKind.AMEND: 4,
    },  # [doc] one order's status; openOrders (6), account (20) taken as it
    text="Too much request weight used; current limit is 6000 request weight per 1 MINUTE.",
    counts_refused=True,  # [?]
    ban=BAN,
)

UNFILLED: Final = Unfilled(taker=1, maker=5)
"""[doc] first fill as taker gives back 1; as maker more, 5 in the example of the FAQ."""

LIMITS: Final = (
    WEIGHT,
    LimitRule(
        "orders_10s", ORDERS, Fixed(50, 10 * NS_PER_S), per_order=True, unfilled=UNFILLED, code="-1015",
        text="Too many new orders; current limit is 50 orders per 10 SECOND.",
    ),
    LimitRule(
        "orders_1d", ORDERS, Fixed(160_000, DAY_NS), per_order=True, unfilled=UNFILLED, code="-1015",
        text="Too many new orders; current limit is 160000 orders per 1 DAY.",
    ),
)  # fmt: skip
"""[doc] sample of exchangeInfo; account-wide over all keys, addresses and APIs, days are UTC days. An amend is counted as
the cancelReplace it mostly is (one that only shrinks costs 0 there)."""
