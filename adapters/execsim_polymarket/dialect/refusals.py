"""How the venue says no: HTTP status and text of whatever the exchange, a fault or a check of ours refuses.

Source: polymarket.md section 5.5 and, where it is silent, GitHub issues of the clients: `invalid signature`
(py-clob-client 198), `Could not create api key` (clob-client 202), `Could not derive api key!` (py-clob-client-v2 41).
A request that the simulated network loses is answered as its front door would: 502, or 504 when nobody answered in time.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final

from pydantic_core import to_json

from execsim.core.errors import (
    AuthenticationError,
    ExecError,
    ExecTimeout,
    NetworkError,
    OrderNotFound,
    RateLimitExceeded,
    VenueError,
)
from execsim.core.units import NS_PER_S
from execsim.ports import Response
from execsim_polymarket.wire.values import VENUE

JSON: Final = {"content-type": "application/json"}
POST_ONLY: Final = "post_only_mode"

_SECONDS: Final = re.compile(r",? ?retry_after_seconds (\d+)")
_NAMED: Final = re.compile(r"order \S+ is invalid")
_MONEY: Final = re.compile(r"(balance: |\(inc\. fees\): )(-?[0-9.]+)")
_UNIT: Final = Decimal("0.000001")


class Refused(VenueError):
    """(status, text): the venue says no, in these words. `fields` go into the answer beside the text."""

    def __init__(self, status: int, text: str, fields: dict[str, Any] | None = None) -> None:
        super().__init__(VENUE, str(status), text)
        self.status, self.text, self.fields = status, text, fields or {}

    def __reduce__(self) -> tuple[type[Refused], tuple[int, str, dict[str, Any]]]:
        return Refused, (self.status, self.text, self.fields)


def refused(error: ExecError, order_id: str = "") -> tuple[int, str, dict[str, Any], int]:
    """Status, text, further fields and seconds to wait (0: none) of an error. `order_id`: the hash the text may name."""
    if isinstance(error, Refused):
        return error.status, error.text, error.fields, 0
    if isinstance(error, RateLimitExceeded):
        return 429, "Too Many Requests", {}, max(1, -(-error.retry_after_ns // NS_PER_S))
    if isinstance(error, AuthenticationError):
        return 401, str(error.args[2]), {}, 0
    if isinstance(error, VenueError):
        return _said(str(error.args[1]), str(error.args[2]), order_id)
    if isinstance(error, ExecTimeout):
        return 504, "Gateway Timeout", {}, 0
    if isinstance(error, NetworkError):
        return 502, "Bad Gateway", {}, 0
    if isinstance(error, OrderNotFound):
        return 404, "order not found", {}, 0
    return 500, "could not run the execution", {}, 0


def _said(code: str, text: str, order_id: str) -> tuple[int, str, dict[str, Any], int]:
    """The exchange's words as the venue writes them: the order by its hash, money in base units."""
    if code == POST_ONLY:
        found = _SECONDS.search(text)
        seconds = int(found[1]) if found else 1
        fields = {"code": POST_ONLY, "retry_after_seconds": seconds}
        return 503, _SECONDS.sub("", text), fields, seconds
    if order_id:
        text = _NAMED.sub(f"order {order_id} is invalid", text)
    if text.startswith("not enough balance"):
        text = _MONEY.sub(lambda found: f"{found[1]}{int(Decimal(found[2]) / _UNIT)}", text)
    status = int(code) if code.isdecimal() and 400 <= int(code) < 600 else 400
    return status, text, {}, 0


def respond(error: ExecError, order_id: str = "") -> Response:
    """The answer to a request that is refused."""
    status, text, fields, seconds = refused(error, order_id)
    headers = {**JSON, "retry-after": str(seconds)} if seconds else JSON
    return Response(status, headers, to_json({"error": text, **fields}))
