from __future__ import annotations

from typing import Any

import pytest

from execsim.core.errors import ConfigError, InternalError
from execsim.market import TRADE_QUEUE_MAX, Books
from execsim.ports import NEVER, BookView, FeedSink, Stream
from tests.unit.market.fakes import FakeInterest, FakeReader, FakeRuntime, trade


class House:
    """Books on fakes, with what each reader was given."""

    def __init__(self) -> None:
        self.runtime = FakeRuntime(1_000)
        self.reader = FakeReader(self.runtime)
        self.interest = FakeInterest()
        self.books = Books(self.runtime, self.reader, self.interest, ["a", "b"])

    def collect(self, stream: Stream[Any], pause_ns: int = 0) -> list[Any]:
        got: list[Any] = []

        async def read() -> None:
            async for item in stream:
                got.append(item)
                if pause_ns:
                    await self.runtime.sleep(pause_ns)
            got.append("end")

        self.runtime.spawn(read(), "reader")
        return got

    def move(self, bid: int, ask: int, lots: int = 5, market: str = "a") -> None:
        self.reader.set(market, [(bid, lots)], [(ask, lots)])
        self.books.on_top(market, self.runtime.time_ns)
        self.books.on_book(market, self.runtime.time_ns)


@pytest.fixture
def house() -> House:
    return House()


def prices(got: list[Any]) -> list[Any]:
    return [item if item == "end" else (item.bid_i, item.ask_i) for item in got]


def test_is_a_book_view_and_a_feed_sink(house: House) -> None:
    view: BookView = house.books
    assert isinstance(house.books, FeedSink)
    assert view.tick_i("a") == 100


def test_first_read_waits_for_a_top_then_gets_each_change(house: House) -> None:
    got = house.collect(house.books.tops("a"))
    house.runtime.run()
    assert got == []
    for bid in (40, 41, 42):
        house.move(bid, 50)
        house.runtime.run()
    assert prices(got) == [(40, 50), (41, 50), (42, 50)]


def test_a_top_that_is_there_is_delivered_at_once(house: House) -> None:
    house.move(40, 50)
    got = house.collect(house.books.tops("a"))
    house.runtime.run()
    assert prices(got) == [(40, 50)]


def test_a_slow_reader_gets_only_the_newest(house: House) -> None:
    house.move(40, 50)
    got = house.collect(house.books.tops("a"), pause_ns=100)
    house.runtime.run()
    for bid in (41, 42, 43):
        house.move(bid, 50)
        house.runtime.run()
    house.runtime.run(2_000)
    assert prices(got) == [(40, 50), (43, 50)]


def test_an_unchanged_top_is_not_delivered_twice(house: House) -> None:
    got = house.collect(house.books.tops("a"))
    house.move(40, 50)
    house.runtime.run()
    house.move(40, 50)
    house.runtime.run()
    house.move(41, 50)
    house.move(40, 50)  # away and back before the reader runs
    house.runtime.run()
    assert prices(got) == [(40, 50)]
    house.move(40, 50, lots=6)
    house.runtime.run()
    assert prices(got) == [(40, 50), (40, 50)]  # a new size is a change
    house.reader.set("a", [], [])
    house.books.on_top("a", 1_000)
    house.runtime.run()
    assert prices(got)[-1] == (None, None)  # so is an empty book


def test_the_state_is_read_at_delivery_and_only_then(house: House) -> None:
    house.collect(house.books.tops("a"))
    house.runtime.run()
    house.move(40, 50)
    house.move(41, 50)
    reads = house.reader.reads
    house.runtime.run()
    assert house.reader.reads == reads + 1


def test_books_deliver_changes_within_their_levels(house: House) -> None:
    got = house.collect(house.books.books("a", levels=2))
    house.reader.set("a", [(40, 1), (39, 1), (38, 1)], [(50, 1)])
    house.books.on_book("a", 1_000)
    house.runtime.run()
    house.reader.set("a", [(40, 1), (39, 1), (38, 7)], [(50, 1)])  # below what is asked for
    house.books.on_book("a", 1_000)
    house.runtime.run()
    house.reader.set("a", [(40, 1), (39, 2), (38, 7)], [(50, 1)])
    house.books.on_book("a", 1_000)
    house.runtime.run()
    assert [depth.bids for depth in got] == [((40, 1), (39, 1)), ((40, 1), (39, 2))]


def test_trades_are_all_delivered_in_order(house: House) -> None:
    got = house.collect(house.books.trades("a"), pause_ns=10)
    sent = [trade("a", 1_000, lots=n) for n in range(1, 6)]
    for item in sent:
        house.books.on_trade(item)
    house.runtime.run(2_000)
    assert got == sent


def test_a_full_queue_is_an_error_naming_the_market(house: House) -> None:
    house.books.trades("b")
    for n in range(TRADE_QUEUE_MAX):
        house.books.on_trade(trade("b", n))
    with pytest.raises(InternalError, match="trades stream of b holds 65536"):
        house.books.on_trade(trade("b", 0))


def test_the_feed_hears_the_union_of_what_is_read(house: House) -> None:
    calls = house.interest.calls
    first, second = house.books.tops("a"), house.books.tops("a")
    prints = house.books.trades("a")
    house.books.books("b")
    assert calls == [("a", True, False, False), ("a", True, True, False), ("b", False, False, True)]
    calls.clear()
    close(house, first)
    assert calls == []  # somebody still reads the tops
    close(house, second)
    close(house, second)
    close(house, prints)
    assert calls == [("a", False, True, False), ("a", False, False, False)]


def test_closing_ends_a_waiting_reader_and_its_subscription(house: House) -> None:
    stream = house.books.tops("a")
    got = house.collect(stream)
    house.runtime.run()
    close(house, stream)
    house.move(40, 50)
    house.runtime.run()
    assert got == ["end"]


def test_streams_of_a_resolved_market_end_and_the_others_go_on(house: House) -> None:
    tops, other = house.collect(house.books.tops("a")), house.collect(house.books.tops("b"))
    prints = house.collect(house.books.trades("a"), pause_ns=10)
    house.runtime.run()
    house.books.on_trade(trade("a", 1_000, lots=1))
    house.books.on_trade(trade("a", 1_000, lots=2))
    house.move(99, 100)
    house.books.on_resolve("a", 1_000, 10_000)
    house.runtime.run(2_000)
    assert tops == ["end"]  # the last top of a market that has paid out is no news
    assert [item if item == "end" else item.lots for item in prints] == [1, 2, "end"]
    assert other == []
    assert house.books.resolved("a")
    assert house.books.payoff_i("a") == 10_000
    assert not house.books.resolved("b")
    assert house.interest.calls[-1] == ("a", False, False, False)
    late = house.collect(house.books.tops("a"))
    house.runtime.run(3_000)
    assert late == ["end"]
    assert house.interest.calls[-1] == ("a", False, False, False)


def test_the_end_of_the_feed_ends_every_stream_after_the_last_state(house: House) -> None:
    tops, trades = house.collect(house.books.tops("a")), house.collect(house.books.trades("b"))
    house.runtime.run()
    house.move(40, 50)
    house.books.end()
    house.runtime.run()
    assert prices(tops) == [(40, 50), "end"]
    assert trades == ["end"]
    late = house.collect(house.books.tops("b"))
    house.runtime.run()
    assert late == ["end"]


def test_a_cancelled_reader_leaves_the_stream_usable(house: House) -> None:
    stream = house.books.tops("a")
    house.collect(stream)
    house.runtime.run()
    house.runtime.tasks[0].cancel()
    got = house.collect(stream)
    house.move(40, 50)
    house.runtime.run()
    assert prices(got) == [(40, 50)]


def test_two_tasks_on_one_stream_are_refused(house: House) -> None:
    stream = house.books.tops("a")
    house.collect(stream)
    house.collect(stream)
    with pytest.raises(ConfigError, match="two tasks read one stream"):
        house.runtime.run()


def test_waits_are_named_and_one_per_waiting_reader(house: House) -> None:
    house.collect(house.books.tops("a"))
    house.collect(house.books.trades("b"))
    house.runtime.run()
    assert house.runtime.pendings == ["top of a", "trades of b"]
    assert len(house.runtime.tasks) == 2


def test_staleness_counts_from_the_last_row_known(house: House) -> None:
    assert house.books.stale_ns("a") == NEVER
    house.books.on_tick("a", 1_000, 10)
    house.runtime.run(1_500)
    assert house.books.stale_ns("a") == 500
    house.reader.set("b", [(1, 1)], [])  # nobody reads b, so the feed never stops for it
    house.runtime.run(1_700)
    assert house.books.stale_ns("b") == 200


def test_gaps_open_and_close(house: House) -> None:
    house.books.on_gap("a", 1_000, True)
    assert house.books.in_gap("a")
    assert not house.books.in_gap("b")
    house.books.on_gap("a", 1_100, False)
    assert not house.books.in_gap("a")


@pytest.mark.parametrize(
    "name", ["top", "depth", "tick_i", "tops", "trades", "books", "stale_ns", "in_gap", "resolved"]
)
def test_an_unknown_market_is_refused_with_the_known_ones(house: House, name: str) -> None:
    with pytest.raises(ConfigError, match="'c' is not part of this run; its markets: a, b"):
        getattr(house.books, name)("c")


def test_a_book_has_at_least_one_level(house: House) -> None:
    for ask in (house.books.depth, house.books.books):
        with pytest.raises(ConfigError, match="0 levels"):
            ask("a", 0)


def close(house: House, stream: Stream[Any]) -> None:
    house.runtime.spawn(stream.aclose(), "close")
    house.runtime.run()
