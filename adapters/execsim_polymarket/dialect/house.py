"""A desk as the venue keeps it: keys, accounts, books, names. Made when it is first asked for anything."""

from __future__ import annotations

from typing import Any

from execsim.core.errors import ExecError
from execsim.ports import Desk
from execsim_polymarket.auth import ApiKey
from execsim_polymarket.dialect.board import Board
from execsim_polymarket.dialect.clock import VenueClock
from execsim_polymarket.dialect.heartbeats import Heartbeats
from execsim_polymarket.dialect.judge import Judge
from execsim_polymarket.dialect.keys import KeyRing
from execsim_polymarket.dialect.listings import Listings
from execsim_polymarket.dialect.trader import Trader


class House:
    """Everything the dialect keeps of one venue."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.clock = VenueClock(desk)
        self.listings = Listings(desk)
        self.board = Board(desk, self.listings, self.clock)
        self.keys = KeyRing(desk.runtime.rng(f"{desk.venue_id}.api_keys"))
        self.seen: set[str] = set()
        """hashes of all orders the venue took, for as long as it runs: 64 characters each"""
        self._traders: dict[str, Trader] = {}
        self._address_of: dict[str, str] = {}
        self.judge = Judge(
            self.listings, self.clock, lambda market: desk.state(market).tick_i, self.seen.__contains__,
            desk.profile.gtd_early_ns,
        )  # fmt: skip
        self.heartbeats = Heartbeats(desk.runtime, self.clock, self._cancel_all)

    def admit(self, key: str, address: str) -> None:
        """A key was made: its account begins, with the scenario's deposit. Errors: AuthenticationError: no room."""
        self._address_of[key] = address
        self.trader(address)

    def trader(self, address: str) -> Trader:
        found = self._traders.get(address)
        if found is None:
            found = self._traders[address] = Trader(self.desk, address, self.clock, self.seen)
        return found

    def trader_of(self, key: ApiKey) -> Trader:
        return self.trader(key.address)

    async def _cancel_all(self, key: str) -> Any:
        try:
            return await self.trader(self._address_of[key]).cancel_where(lambda posted: posted.post.owner == key)
        except ExecError:
            return None  # a fault lost it: the venue does not promise it either (section 5.4)
