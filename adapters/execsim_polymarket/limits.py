"""What Polymarket lets a trader ask: windows per address that slow down, and token buckets per signer that refuse.

Source: polymarket.md section 10 (docs api-reference/rate-limits and trading-rate-limits, 2026). [doc] published,
[?] assumed: that the windows slide, that requests wait at most MAX_DELAY_NS before they are answered 429, that an amend
counts as an order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from execsim.core.limits import ALL, CANCELS, ORDERS, Bucket, LimitRule, Sliding
from execsim.core.request import RequestKind
from execsim.core.units import NS_PER_S
from execsim.ports import VenueTraits

SHORT_NS: Final = 10 * NS_PER_S
LONG_NS: Final = 600 * NS_PER_S
MAX_DELAY_NS: Final = 5 * NS_PER_S
"""[?] "excess is delayed/queued, later 429": how much later is not published; half of the clients' read timeout."""

_API: Final = ALL - {RequestKind.TOKENS}  # tokens are split and merged on chain, not over the API
_SINGLE: Final = frozenset({RequestKind.PLACE, RequestKind.AMEND})
_BATCH: Final = frozenset({RequestKind.BATCH})
_QUERY: Final = frozenset({RequestKind.QUERY})


def _window(name: str, kinds: frozenset[RequestKind], n: int, per_ns: int) -> LimitRule:
    """A Cloudflare window of one address: what is too much waits, then is answered 429."""
    return LimitRule(name, kinds, Sliding(n, per_ns), scope="ip", max_delay_ns=MAX_DELAY_NS)


LIMITS: Final = (
    _window("general", _API, 15_000, SHORT_NS),  # [doc]
    _window("clob", _API, 9_000, SHORT_NS),  # [doc]
    _window("post_order_10s", _SINGLE, 5_000, SHORT_NS),  # [doc]
    _window("post_order_10min", _SINGLE, 120_000, LONG_NS),  # [doc]
    _window("post_orders_10s", _BATCH, 2_000, SHORT_NS),  # [doc]
    _window("post_orders_10min", _BATCH, 21_000, LONG_NS),  # [doc]
    _window("delete_order_10s", CANCELS, 5_000, SHORT_NS),  # [doc]
    _window("delete_order_10min", CANCELS, 120_000, LONG_NS),  # [doc]
    _window("data_10s", _QUERY, 500, SHORT_NS),  # [doc] /data/orders and /data/trades, 500 each: taken as one
)


def _calls(n: int, *topics: str) -> LimitRule:
    """A Cloudflare window of one address over some calls (their paths without `/`)."""
    name = "ledger_10s" if len(topics) > 1 else f"{topics[0]}_10s"
    return LimitRule(
        name, _QUERY, Sliding(n, SHORT_NS), scope="ip", max_delay_ns=MAX_DELAY_NS, topics=frozenset(topics)
    )


DOOR: Final = (
    LimitRule("address", _QUERY, Sliding(15_000, SHORT_NS), scope="ip", max_delay_ns=MAX_DELAY_NS),  # [doc] general
    LimitRule("address_clob", _QUERY, Sliding(9_000, SHORT_NS), scope="ip", max_delay_ns=MAX_DELAY_NS),  # [doc]
    _calls(1_500, "book"), _calls(1_500, "price"), _calls(1_500, "midpoint"),  # [doc]
    _calls(500, "books"), _calls(500, "prices"), _calls(500, "midpoints"),  # [doc]
    _calls(1_000, "prices-history"), _calls(200, "tick-size"), _calls(100, "ok"),  # [doc]
    _calls(500, "data/orders"), _calls(500, "data/trades"), _calls(125, "notifications"),  # [doc]
    _calls(900, "data/orders", "data/trades", "data/order", "notifications"),  # [doc] a "ledger group": of what, [?]
    _calls(200, "balance-allowance"), _calls(50, "balance-allowance/update"), _calls(100, "auth"),  # [doc]
    _calls(250, "cancel-all"), _calls(1_500, "cancel-market-orders"), _calls(2_000, "orders/cancel"),  # [doc]
)  # fmt: skip
"""What one address may ask of the REST host, whoever signs: counted by `execsim serve` before a request is looked at."""


def _signer(orders_per_s: int, orders: int, cancels_per_s: int, cancels: int) -> tuple[LimitRule, ...]:
    """Buckets of one signer [doc]: an order or order id costs 1, a batch passes whole or not at all, 429 has Retry-After."""
    return (
        LimitRule("signer_orders", ORDERS, Bucket(str(orders_per_s), orders), per_order=True),
        LimitRule("signer_cancels", CANCELS, Bucket(str(cancels_per_s), cancels), per_order=True),
    )


TIERS: Final[Mapping[str, tuple[LimitRule, ...]]] = {
    "standard": _signer(40, 60, 80, 120),
    "copper": _signer(60, 90, 120, 180),
    "bronze": _signer(80, 120, 160, 240),
    "silver": _signer(200, 300, 400, 600),
    "gold": _signer(400, 600, 800, 1_200),
    "platinum": _signer(450, 675, 900, 1_350),
    "diamond": _signer(525, 787, 1_050, 1_575),
    "elite": _signer(600, 900, 1_200, 1_800),
}
"""By 30-day volume: 0, 30k, 50k, 100k, 500k, 2.5M, 5M, 10M dollars. The venue announced them in warning mode on 2026-07-24;
when they are enforced is open [?]: a scenario that stands before that says `limits.enforced = false`."""

TRAITS: Final = VenueTraits(amends=False, batch_max=15, acceptance_ns=30 * NS_PER_S)
"""No amend endpoint; POST /orders takes 15 (section 5.1). How long a posted order may still be taken is not published: an
assumption, far beyond the slowest answers seen."""
