"""What the venue has and this exchange does not play, and why: answered 404 with the reason, not with something made up."""

from __future__ import annotations

from typing import Final

PROGRAMMES: Final = "reward and rebate programmes are not paid here (estimates: docs/fees.md)"
BUILDERS: Final = "builder keys and attribution are not kept here"
READ_ONLY: Final = "read-only keys are not kept here: what the venue answers about them is not published"
RFQ: Final = "requests for quotes are not traded here"
ACTIVITY: Final = "who traded in a market is not told here"

REASONS: Final[tuple[tuple[str, str], ...]] = (
    ("/rewards/", PROGRAMMES),
    ("/rebates/", PROGRAMMES),
    ("/auth/builder-api-key", BUILDERS),
    ("/builder/", BUILDERS),
    ("/auth/readonly-api-key", READ_ONLY),
    ("/rfq/", RFQ),
    ("/markets/live-activity/", ACTIVITY),
    ("/data/pre-migration-orders", "there was no migration here"),
)
"""Beginnings of paths."""


def reason(path: str) -> str:
    """Why a path is not served; "not found" for what the venue does not have either."""
    return next((f"not served by execsim: {why}" for head, why in REASONS if path.startswith(head)), "not found")
