"""A request as the dialect's handlers see it, and how answers are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic_core import to_json

from execsim.core.errors import ValidationError
from execsim.ports import Response
from execsim_polymarket.auth import ApiKey
from execsim_polymarket.dialect.house import House
from execsim_polymarket.dialect.judge import NO_BOOK
from execsim_polymarket.dialect.listings import Listing
from execsim_polymarket.dialect.refusals import JSON, Refused
from execsim_polymarket.dialect.trader import Trader
from execsim_polymarket.wire.trading import Page
from execsim_polymarket.wire.values import CURSOR_END, CURSOR_START, Codec, cursor_of, offset_of

T = TypeVar("T")

TOKENS_MAX: Final = 500
"""Tokens one batch of market data may ask for."""


@dataclass(frozen=True, slots=True)
class Call:
    """`name` is the last part of a path that ends in one; `key` who asks, None where nobody has to say."""

    house: House
    name: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    key: ApiKey | None

    @property
    def trader(self) -> Trader:
        assert self.key is not None, "an L2 endpoint"
        return self.house.trader_of(self.key)

    @property
    def owner(self) -> ApiKey:
        assert self.key is not None, "an L2 endpoint"
        return self.key

    def listing(self, token: str) -> Listing:
        """Errors: Refused."""
        if not token.isascii() or not token.isdecimal():
            raise Refused(400, "Invalid token id")
        found = self.house.listings.by_token.get(token)
        if found is None:
            raise Refused(404, NO_BOOK)
        return found

    def second(self, name: str) -> int | None:
        """A whole number of the query, None where it is not there. Errors: Refused."""
        told = self.query.get(name)
        if not told:
            return None
        if not told.isascii() or not told.isdecimal() or len(told) > 16:
            raise Refused(400, f"Invalid {name}")
        return int(told)

    def token(self) -> tuple[Listing, str]:
        token = self.query.get("token_id", "")
        return self.listing(token), token

    def read(self, codec: Codec[T], text: str = "Invalid payload") -> T:
        """The body. Errors: Refused."""
        try:
            return codec.from_client(self.body)
        except ValidationError:
            raise Refused(400, text) from None


def plain_json(value: Any) -> Response:
    return Response(200, JSON, to_json(value))


def written(codec: Codec[T], value: T) -> Response:
    return Response(200, JSON, codec.to_bytes(value))


def page_of(rows: list[Any], cursor: str, limit: int) -> Page[Any]:
    """One page of rows from a cursor on. Errors: Refused."""
    try:
        start = offset_of(cursor or CURSOR_START)
    except ValidationError:
        raise Refused(400, "Invalid next_cursor") from None
    if start < 0:
        return Page((), CURSOR_END, limit, 0)
    shown = tuple(rows[start : start + limit])
    after = start + len(shown)
    return Page(shown, cursor_of(after) if after < len(rows) else CURSOR_END, limit, len(shown))
