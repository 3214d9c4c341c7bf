"""What a trader asks a venue for: latency models, rate limits and faults tell requests apart by this."""

from __future__ import annotations

from enum import StrEnum


class RequestKind(StrEnum):
    """One kind a call of `VenueAdapter`; a batch is one request that carries several orders."""

    PLACE = "place"
    BATCH = "batch"
    CANCEL = "cancel"
    AMEND = "amend"
    QUERY = "query"
    """status, open orders, balances"""
    TOKENS = "tokens"
    """split, merge, convert, redeem (binary markets)"""
