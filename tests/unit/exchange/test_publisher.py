"""Who follows a market hears of it, and the tape stops only for markets that somebody follows."""

from __future__ import annotations

from typing import Any

import pytest

from execsim.core.errors import ConfigError
from execsim.core.events import Depth, Top, Trade
from execsim.core.instrument import Outcome
from execsim.core.order import MarketId
from execsim.exchange.publisher import Publisher


class Shelf:
    """Books that a test writes, and what is watched of them."""

    def __init__(self) -> None:
        self.bids: dict[str, tuple[tuple[int, int], ...]] = {"a": (), "b": ()}
        self.watched: dict[str, tuple[bool, bool]] = {}

    def top(self, market: str) -> Top:
        raise NotImplementedError

    def depth(self, market: str, levels: int) -> Depth:
        return Depth(MarketId(market), 7, self.bids[market][:levels], ())

    def tick_i(self, market: str) -> int:
        return 100

    def watch(
        self, market: str, *, top: bool = False, sizes: bool = True, trades: bool = False, book: bool = False
    ) -> None:
        self.watched[market] = (trades, book)


class Ear:
    """A MarketSink that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *args: self.heard.append((name.removeprefix("on_"), *args))

    def take(self) -> list[tuple[Any, ...]]:
        heard, self.heard = self.heard, []
        return heard


def test_only_markets_that_are_followed_stop_the_tape() -> None:
    shelf = Shelf()
    publisher = Publisher(shelf, "ab")
    one, two = Ear(), Ear()
    close = publisher.follow(one, ["a"])
    assert shelf.watched == {"a": (True, True)}
    leave = publisher.follow(two, ["a", "b"])
    assert shelf.watched == {"a": (True, True), "b": (True, True)}
    close()
    close()
    assert shelf.watched == {"a": (True, True), "b": (True, True)}
    leave()
    assert shelf.watched == {"a": (False, False), "b": (False, False)}


def test_the_whole_book_first_and_then_what_changed() -> None:
    shelf = Shelf()
    publisher = Publisher(shelf, "ab")
    ear = Ear()
    publisher.follow(ear, ["a"])
    assert ear.take() == [("tick", "a", 7, 100)]  # no book is known yet
    shelf.bids["a"] = ((48, 5), (47, 6))
    publisher.on_book("a", 10)
    assert ear.take() == [("snapshot", "a", 10, [(48, 5), (47, 6)], [])]
    shelf.bids["a"] = ((49, 1), (48, 5), (47, 7))
    publisher.on_book("a", 11)
    assert ear.take() == [("levels", "a", 11, [(1, 49, 1), (1, 47, 7)])]
    publisher.on_book("a", 12)
    publisher.on_top("a", 12)
    assert ear.take() == []
    shelf.bids["a"] = ()
    publisher.on_book("a", 13)
    assert ear.take() == [("levels", "a", 13, [(1, 49, 0), (1, 48, 0), (1, 47, 0)])]
    late = Ear()
    publisher.follow(late, ["a"])
    assert late.take() == [("tick", "a", 7, 100), ("snapshot", "a", 7, [], [])]


def test_who_comes_late_hears_of_gap_payoff_and_end() -> None:
    publisher = Publisher(Shelf(), "ab")
    trade = Trade(MarketId("a"), 5, 48, 1, None, Outcome.YES, False)
    early = Ear()
    publisher.follow(early, ["a", "b"])
    early.take()
    publisher.on_trade(trade)
    publisher.on_tick("b", 6, 10)
    publisher.on_gap("a", 7, True)
    publisher.on_resolve("b", 8, 100)
    publisher.end(9)
    assert early.take() == [
        ("trade", trade), ("tick", "b", 6, 10), ("gap", "a", 7, True), ("resolve", "b", 8, 100), ("end", 9),
    ]  # fmt: skip
    assert publisher.in_gap("a")
    late = Ear()
    publisher.follow(late, ["a", "b"])
    assert [call for call in late.take() if call[0] != "tick"] == [
        ("gap", "a", 7, True),
        ("resolve", "b", 8, 100),
        ("end", 9),
    ]
    with pytest.raises(ConfigError, match="no such market: 'c'"):
        publisher.follow(late, ["a", "c"])
    assert late.take() == []
