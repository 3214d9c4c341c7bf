"""What the venue says when it says no: one table from its texts to our errors.

A row's `key` is the word for it inside the adapter (`duplicate`: the venue has this very order already). What is not in the
table: a 400, 401, 403 or 404 with an error in JSON is a VenueError with the raw text; all else leaves the fate of an order
unknown, so the engine asks for it by its hash and never guesses. Source: polymarket.md section 5.5; [?] there where `fate`
is our reading of a text alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from execsim.core.errors import (
    AuthenticationError,
    ExecError,
    ExecTimeout,
    InvalidResponse,
    NetworkError,
    RateLimitExceeded,
    Reached,
    VenueError,
)
from execsim.core.units import NS_PER_MS, NS_PER_S, decimal_of
from execsim_polymarket.wire.trading import ERROR_BODY, ErrorBody
from execsim_polymarket.wire.values import VENUE


class Fate(StrEnum):
    """What an answer means for the order or call, and which error says so."""

    REFUSED = "refused"
    """VenueError: they said no, nothing happened"""
    LOGIN = "login"
    """AuthenticationError: the credentials were refused"""
    LATER = "later"
    """RateLimitExceeded: not now; nothing happened, the same call may be made again after a while"""
    RESTART = "restart"
    """RateLimitExceeded: the matching engine comes back in a minute; nothing happened"""
    DOWN = "down"
    """NetworkError, reached no: nobody was there to take it; it may be sent again"""
    LOST = "lost"
    """ExecTimeout, reached no: it timed out inside the venue and may be sent again"""
    OPEN = "open"
    """InvalidResponse, reached unknown: the answer does not tell whether the order lives"""


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of answer: statuses it comes with (empty: any), and how its text begins or what stands in it."""

    key: str
    fate: Fate
    statuses: tuple[int, ...]
    text: re.Pattern[str]


def _row(key: str, fate: Fate, statuses: tuple[int, ...], text: str) -> Row:
    return Row(key, fate, statuses, re.compile(text, re.IGNORECASE))


_R: Final = Fate.REFUSED
_ANY: Final = ()

ROWS: Final = (
    # by status alone
    _row("rate_limit", Fate.LATER, (429,), ""),
    _row("engine_restart", Fate.RESTART, (425,), ""),
    _row("login_l1", Fate.LOGIN, (401,), "invalid l1 request headers"),
    _row("login", Fate.LOGIN, (401,), ""),
    # the order is known
    _row("duplicate", _R, _ANY, r"order \S+ is invalid\. Duplicated|INVALID_ORDER_DUPLICATED"),
    # the order
    _row("tick", _R, _ANY, r"breaks minimum tick size rule|INVALID_ORDER_MIN_TICK_SIZE"),
    _row("size_min", _R, _ANY, r"lower than the minimum|INVALID_ORDER_MIN_SIZE"),
    _row("notional_min", _R, _ANY, r"invalid amount for a marketable BUY order"),
    _row("accuracy", _R, _ANY, r"invalid amounts,"),
    _row("post_only_cross", _R, _ANY, r"order crosses book|crosses the book|INVALID_POST_ONLY_ORDER$"),
    _row("post_only_kind", _R, _ANY, r"INVALID_POST_ONLY_ORDER_TYPE"),
    _row("expired", _R, _ANY, r"invalid expiration|INVALID_ORDER_EXPIRATION"),
    _row("allowance", _R, _ANY, r"not enough balance / allowance: the allowance is not enough"),
    _row("balance", _R, _ANY, r"not enough balance|INVALID_ORDER_NOT_ENOUGH_BALANCE|insufficient balance"),
    _row("fok", _R, _ANY, r"order couldn't be fully filled|FOK_ORDER_NOT_FILLED_ERROR"),
    _row("ioc_no_match", _R, _ANY, r"no orders found to match with FAK order|there are no matching orders"),
    _row("version", _R, _ANY, r"order_version_mismatch"),
    _row("wallet", _R, _ANY, r"maker address not allowed"),
    _row("cancelled_on_chain", _R, _ANY, r"order canceled in the CTF exchange contract"),
    _row(
        "payload",
        _R,
        _ANY,
        r"invalid order payload|invalid payload|payload exceeds the limit|invalid order params payload",
    ),
    _row("batch", _R, _ANY, r"too many orders in payload"),
    _row("rounding", _R, _ANY, r"the trade contains rounding issues"),
    _row("invalid", _R, _ANY, r"INVALID_ORDER_ERROR"),
    # the account
    _row("owner", _R, _ANY, r"the order owner has to be the owner of the API KEY"),
    _row("signer", _R, _ANY, r"the order signer address has to be the address of the API KEY"),
    _row("banned", _R, _ANY, r"address banned"),
    _row("closed_only", _R, _ANY, r"address in closed only mode"),
    # the market
    _row("unknown_market", _R, _ANY, r"no orderbook exists|market not found"),
    _row("not_ready", _R, _ANY, r"the market is not yet ready|MARKET_NOT_READY"),
    # the venue
    _row("disabled", _R, _ANY, r"trading is (currently )?disabled"),
    _row("cancel_only", _R, _ANY, r"trading is (currently )?cancel-only"),
    _row("post_only_mode", _R, _ANY, r"post-only mode|post_only_mode"),
    _row("starting", Fate.DOWN, _ANY, r"service is not ready"),
    _row("timed_out", Fate.LOST, _ANY, r"order timed out"),
    _row("delayed", Fate.OPEN, _ANY, r"order match delayed|ORDER_DELAYED|DELAYING_ORDER_ERROR"),
    _row("not_run", Fate.OPEN, _ANY, r"could not run the execution|EXECUTION_ERROR"),
    _row("not_stored", Fate.OPEN, _ANY, r"could not insert order"),
    # queries
    _row("query", _R, _ANY, r"invalid token id|invalid side|invalid orderID"),
    # the way there
    _row("geoblock", _R, (403,), ""),
)
"""Looked through in order."""

RESTART_NS: Final = 1_500 * NS_PER_MS
"""How long nothing is ordered after a 425: the venue asks for 1 to 2 s (section 5.5). Cancels are asked for all the same."""
_UNKNOWN: Final = Row("unknown", Fate.REFUSED, (), re.compile(""))
_SAID_NO: Final = (400, 401, 403, 404)
"""Statuses a refusal may have whose text is not in the table, if it is an error in JSON: what lies between us and the venue
answers others, and then nobody knows whether the order arrived."""
_BROKEN: Final = Row("broken", Fate.OPEN, (), re.compile(""))
_GEOBLOCK_HINT: Final = "403 comes from the venue's front door: see polymarket.com/api/geoblock for this address"


def classify(status: int, text: str) -> Row:
    """The row of an answer; `unknown` or `broken` (a 5xx) for what the table does not have."""
    for row in ROWS:
        if (not row.statuses or status in row.statuses) and row.text.search(text):
            return row
    return _BROKEN if status >= 500 else _UNKNOWN


def error_of(status: int, text: str, retry_after_ns: int = 0) -> ExecError:
    """The error for a refusal, or for the `errorMsg` of a batch's entry (with its status 200)."""
    row, code = classify(status, text), str(status)
    text = text or f"HTTP {status}"
    match row.fate:
        case Fate.LOGIN:
            return AuthenticationError(VENUE, code, text)
        case Fate.LATER:
            return RateLimitExceeded(VENUE, text, retry_after_ns)
        case Fate.RESTART:
            return RateLimitExceeded(VENUE, text, max(retry_after_ns, RESTART_NS))
        case Fate.DOWN:
            return NetworkError(VENUE, text, Reached.NO.value)
        case Fate.LOST:
            return ExecTimeout(VENUE, text, Reached.NO.value)
        case Fate.OPEN:
            return InvalidResponse(VENUE, code, text)
        case Fate.REFUSED:
            return VenueError(VENUE, code, f"{text}; {_GEOBLOCK_HINT}" if row.key == "geoblock" else text)


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> ExecError:
    """The error for an answer that is not 200. Header names in any case."""
    told = _body(body)
    text = told.text or body[:300].decode(errors="replace").strip()
    if classify(status, text) is _UNKNOWN and not (status in _SAID_NO and told.text):
        return InvalidResponse(VENUE, str(status), text or f"HTTP {status}")
    return error_of(status, text, _retry_after_ns(headers, told))


def key_of(error: ExecError) -> str:
    """The `key` of the row an error came from; "" for errors that are not the venue's."""
    if isinstance(error, VenueError):
        return classify(int(error.args[1]), str(error.args[2])).key if str(error.args[1]).isdecimal() else ""
    if isinstance(error, RateLimitExceeded):
        return "rate_limit" if error.args[0] == VENUE else ""  # a 425, too: its row cannot be told any more
    return ""


def _body(body: bytes) -> ErrorBody:
    try:
        return ERROR_BODY.from_venue(body)
    except InvalidResponse:
        return ErrorBody()


def _retry_after_ns(headers: Mapping[str, str], told: ErrorBody) -> int:
    if told.retry_after_seconds is not None:
        return max(0, told.retry_after_seconds) * NS_PER_S
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return int(decimal_of(text) * NS_PER_S) if re.fullmatch(r"\d{1,6}(\.\d{1,9})?", text) else 0
