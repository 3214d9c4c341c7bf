"""Tokens of binary markets change form at the venue's contracts; our portfolio and journal follow when it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from execsim.core.errors import ValidationError, VenueNotSupported
from execsim.engine.blotter import Blotter
from execsim.engine.portfolio import Portfolio
from execsim.engine.route import Route
from execsim.engine.view import LiveView
from execsim.ports import TokenDesk


class Tokens:
    """Split, merge, convert, redeem, for venues whose adapter is a `TokenDesk`.

    Errors of every call: ConfigError for an unknown market; VenueNotSupported where the venue has no such contracts; the
    contract's refusal. Nothing is booked unless the venue did it.
    """

    def __init__(
        self,
        routes: Mapping[str, Route],
        blotter: Blotter,
        portfolio: Portfolio,
        view: LiveView,
        marks: Callable[[], Mapping[str, int]],
    ) -> None:
        self._routes = routes
        self._blotter = blotter
        self._portfolio = portfolio
        self._view = view
        self._marks = marks

    async def split(self, market: str, lots: int) -> None:
        """`lots` of cash become full sets (one YES and one NO each)."""
        await self._desk(market, "split").split_tokens(market, lots)
        self._portfolio.split(market, lots)
        self._blotter.tokens("split", {"market": market, "lots": lots})

    async def merge(self, market: str, lots: int) -> None:
        """`lots` full sets become cash."""
        await self._desk(market, "merge").merge_tokens(market, lots)
        self._portfolio.merge(market, lots)
        self._blotter.tokens("merge", {"market": market, "lots": lots})

    async def convert(self, markets: Sequence[str], lots: int) -> None:
        """`lots` NO of each of `markets` become YES of the event's other outcomes, and cash for all but one of them."""
        if not markets:
            raise ValidationError("convert", "no market is named", "name outcomes of one neg-risk event")
        event = await self._desk(markets[0], "convert").convert_tokens(tuple(markets), lots)
        marks = {market: mark_i for market, mark_i in self._marks().items() if market in markets}
        self._portfolio.convert(markets, event, lots, marks)
        body = {"markets": list(markets), "event": list(event), "lots": lots, "marks": marks}
        self._blotter.tokens("convert", body)

    async def redeem(self, market: str) -> int:
        """Tokens of a finished market become cash; returns its payoff (YES, price units)."""
        payoff_i = await self._desk(market, "redeem").redeem_tokens(market)
        if market not in self._blotter.resolved:
            self._blotter.resolve(market, payoff_i)
        return payoff_i

    def offered(self, market: str) -> bool:
        """Whether the venue of the market has such contracts."""
        return isinstance(self._routes[self._view.instrument(market).venue].adapter, TokenDesk)

    def _desk(self, market: str, what: str) -> TokenDesk:
        venue = self._view.instrument(market).venue
        adapter = self._routes[venue].adapter
        if not isinstance(adapter, TokenDesk):
            raise VenueNotSupported(f"{venue} ({what} of tokens)", "")
        return cast(TokenDesk, adapter)
