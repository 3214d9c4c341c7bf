"""What Kalshi lets an account ask: two token buckets, one for reads and one for writes.

Source: kalshi.md sections 4 and 7 (docs getting_started/rate_limits, spring 2026; OpenAPI 3.30.0). [doc] published, [?]
assumed: that a Basic write bucket and every read bucket hold one second of budget (write buckets above Basic hold two:
[doc]).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from execsim.core.limits import Bucket, LimitRule
from execsim.core.request import RequestKind

COST: Final = 10
"""[doc] default tokens of a request; a batch pays for every order."""
WRITE_COST: Final = {RequestKind.CANCEL: 2}
"""[doc] a cancel costs 2; placing, amending and decreasing cost the default."""

_READS: Final = frozenset({RequestKind.QUERY})
_WRITES: Final = frozenset({RequestKind.PLACE, RequestKind.BATCH, RequestKind.AMEND, RequestKind.CANCEL})


def _tier(reads_per_s: int, writes_per_s: int, write_seconds: int = 2) -> tuple[LimitRule, ...]:
    """Budgets of one account. A refusal is 429 without Retry-After [doc]."""
    return (
        LimitRule("read", _READS, Bucket(str(reads_per_s), reads_per_s), cost_default=COST, tells_wait=False),
        LimitRule(
            "write", _WRITES, Bucket(str(writes_per_s), write_seconds * writes_per_s), cost=WRITE_COST,
            cost_default=COST, per_order=True, tells_wait=False,
        ),
    )  # fmt: skip


TIERS: Final[Mapping[str, tuple[LimitRule, ...]]] = {
    "basic": _tier(200, 100, 1),
    "advanced": _tier(300, 300),
    "premier": _tier(1_000, 1_000),
    "paragon": _tier(2_000, 2_000),
    "prime": _tier(4_000, 4_000),
}
"""[doc] published budgets in tokens a second. The specification also names `expert` and `prestige`, without figures."""
