"""The market channel of the adapter: books with the venue's hash, prints once, ticks, a new dump where a hash is wrong."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

from polymarket_news import CID, NO, START_NS, YES
from polymarket_script import ScriptedVenue

from execsim.core.events import MarketResolved, TickChanged, Trade, VenueEvent
from execsim.core.order import Side, VenueId
from execsim.core.units import NS_PER_S
from execsim.ports import VenueConfig
from execsim.runtime import VirtualRuntime
from execsim_polymarket.client import PolymarketVenue

S = NS_PER_S


class Heard:
    """A MarketSink that notes everything."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.trades: list[Trade] = []

    def on_snapshot(self, market: str, ts_ns: int, bids: Any, asks: Any) -> None:
        self.rows.append(("book", market))
        self.bids, self.asks = dict(bids), dict(asks)

    def on_levels(self, market: str, ts_ns: int, changes: Any) -> None:
        for side, price_i, lots in changes:
            held = self.bids if side > 0 else self.asks
            held[price_i] = lots
            if not lots:
                del held[price_i]
        self.rows.append(("levels", len(changes)))

    def on_trade(self, trade: Trade) -> None:
        self.trades.append(trade)

    def on_tick(self, market: str, ts_ns: int, tick_i: int) -> None:
        self.rows.append(("tick", tick_i))

    def on_gap(self, market: str, ts_ns: int, open_gap: bool) -> None:
        self.rows.append(("gap", open_gap))

    def on_resolve(self, market: str, ts_ns: int, payoff_i: int) -> None:
        self.rows.append(("resolve", payoff_i))

    def on_end(self, ts_ns: int) -> None:
        self.rows.append(("end",))


class Feed:
    """A venue whose market data are heard."""

    def __init__(self) -> None:
        self.runtime = VirtualRuntime(7, START_NS)
        self.server = ScriptedVenue(self.runtime)
        extra = {"identity": self.server.identity(), "markets": {"rain": CID}}
        self.venue = PolymarketVenue(
            VenueConfig(VenueId("polymarket"), extra=extra), self.server.transport(), self.runtime
        )
        self.sink = Heard()
        self.events: list[VenueEvent] = []

    def trade(self, token: str, price: str, side: str, transaction: str = "0xaa") -> None:
        message = {
            "event_type": "last_trade_price", "market": CID, "asset_id": token, "price": price, "size": "3", "side": side,
            "timestamp": "1790000000000", "fee_rate_bps": "0", "transaction_hash": transaction,
        }  # fmt: skip
        self.server.push("/ws/market", message)


def fed(script: Callable[[Feed], Coroutine[Any, Any, None]]) -> Feed:
    feed = Feed()

    async def main() -> None:
        await feed.venue.start()
        feed.venue.events(feed.events.append)
        feed.venue.feed(feed.sink)
        await feed.runtime.sleep(S)
        await script(feed)
        await feed.runtime.sleep(S)
        await feed.venue.aclose()

    feed.runtime.run(main=main())
    return feed


def test_a_book_and_its_changes() -> None:
    async def script(f: Feed) -> None:
        f.server.level("BUY", "0.51", "0")
        f.server.level("SELL", "0.52", "7.5")

    f = fed(script)
    assert f.sink.rows == [("book", "rain"), ("levels", 1), ("levels", 1)]
    assert (f.sink.bids, f.sink.asks) == (
        {5_000: 100_000_000},
        {5_200: 7_500_000, 5_300: 30_000_000, 5_400: 90_000_000},
    )


def test_a_wrong_hash_is_a_gap_until_a_new_dump() -> None:
    async def script(f: Feed) -> None:
        f.server.level("BUY", "0.49", "1", wrong=True)

    f = fed(script)
    assert f.sink.rows == [("book", "rain"), ("gap", True), ("book", "rain"), ("gap", False)]
    assert f.sink.bids[4_900] == 1_000_000


def test_a_lost_connection_is_a_gap_until_the_next_dump() -> None:
    async def script(f: Feed) -> None:
        f.server.drop("/ws/market")
        f.server.bids["0.51"] = "41"
        await f.runtime.sleep(3 * S)

    f = fed(script)
    assert f.sink.rows == [("book", "rain"), ("gap", True), ("book", "rain"), ("gap", False)]
    assert f.sink.bids[5_100] == 41_000_000


def test_a_print_on_either_token_counts_once() -> None:
    async def script(f: Feed) -> None:
        f.trade(YES, "0.53", "BUY")
        f.trade(NO, "0.47", "SELL")  # the same one, from the other side
        f.trade(NO, "0.48", "BUY", "0xbb")

    f = fed(script)
    assert [(trade.price_i, trade.aggressor) for trade in f.sink.trades] == [(5_300, Side.BUY), (5_200, Side.SELL)]


def test_a_change_after_a_print_we_have_not_heard_of_is_right() -> None:
    async def script(f: Feed) -> None:
        f.server.last = "0.530"
        f.server.level("SELL", "0.53", "20")

    assert ("gap", True) not in fed(script).sink.rows


def test_a_finer_tick_is_told_and_the_terms_are_read_again() -> None:
    async def script(f: Feed) -> None:
        f.server.market["mts"] = 0.001
        for token in (YES, NO):
            message = {
                "event_type": "tick_size_change", "market": CID, "asset_id": token, "old_tick_size": "0.01",
                "new_tick_size": "0.001", "timestamp": "1790000000000",
            }  # fmt: skip
            f.server.push("/ws/market", message)
        await f.runtime.sleep(S)
        assert f.venue.by_name["rain"].terms.tick_i == 10
        f.server.level("BUY", "0.511", "9")

    f = fed(script)
    assert f.sink.rows == [("book", "rain"), ("tick", 10), ("levels", 1)]
    assert [(e.market, e.tick_i) for e in f.events if isinstance(e, TickChanged)] == [("rain", 10)]
    assert sum("clob-markets" in r.path for r in f.server.requests) == 2


def test_a_tick_that_moved_while_the_connection_was_lost_is_told_with_the_next_dump() -> None:
    async def script(f: Feed) -> None:
        f.server.drop("/ws/market")
        f.server.market["mts"] = 0.001
        await f.runtime.sleep(3 * S)

    rows = fed(script).sink.rows
    assert rows == [("book", "rain"), ("gap", True), ("tick", 10), ("book", "rain"), ("gap", False)]


def test_a_resolution_is_told_by_name() -> None:
    async def script(f: Feed) -> None:
        f.server.push("/ws/market", {
            "event_type": "market_resolved", "id": "1", "market": CID, "assets_ids": [YES, NO], "winning_asset_id": NO,
            "winning_outcome": "No", "timestamp": "1790000000000",
        })  # fmt: skip

    f = fed(script)
    assert f.sink.rows[-1] == ("resolve", 0)
    assert [(e.market, e.payoff_i, e.paid) for e in f.events if isinstance(e, MarketResolved)] == [("rain", 0, False)]


def test_what_cannot_be_read_is_a_gap_not_an_end() -> None:
    async def script(f: Feed) -> None:
        f.server.push("/ws/market", b"{not json")
        f.server.level("BUY", "0.51", "41")
        change = {"asset_id": YES, "price": "7", "size": "1", "side": "BUY", "hash": ""}
        f.server.push(
            "/ws/market", {"event_type": "price_change", "market": CID, "timestamp": "1", "price_changes": [change]}
        )

    f = fed(script)
    assert f.sink.rows == [("book", "rain"), ("levels", 1), ("gap", True), ("book", "rain"), ("gap", False)]


def test_hashes_that_never_fit_are_no_flood_of_requests() -> None:
    """An hour of wrong hashes, ten a second: asked at once, then after 2, 4, 8 ... seconds, at most every five minutes."""
    asked_ns: list[int] = []

    async def script(f: Feed) -> None:
        start_ns, seen = f.runtime.now_ns(), 1
        while f.runtime.now_ns() < start_ns + 3_600 * S:
            f.server.level("BUY", "0.49", "1", wrong=True)
            await f.runtime.sleep(S // 10)
            (socket,) = f.server.sockets["/ws/market"]
            told = [frame for frame in socket.said if b'"subscribe"' in frame]
            if len(told) >= seen:
                seen = len(told) + 1
                asked_ns.append(f.runtime.now_ns() - start_ns)
        await f.runtime.sleep(301 * S)  # and once it is right again, it is believed

    f = fed(script)
    gaps = [round((after - before) / S) for before, after in pairwise(asked_ns)]
    assert gaps[:8] == [2, 4, 8, 16, 32, 64, 128, 256]
    assert set(gaps[8:]) == {300}
    assert len(asked_ns) < 22
    assert f.sink.rows[-1] == ("gap", False)


def test_a_book_that_was_right_for_long_is_asked_for_at_once() -> None:
    async def script(f: Feed) -> None:
        for _ in range(3):
            f.server.level("BUY", "0.49", "1", wrong=True)
            await f.runtime.sleep(S)
            assert f.sink.rows[-1] == ("gap", False)
            await f.runtime.sleep(70 * S)

    fed(script)


def test_a_request_that_is_not_due_ends_with_the_stream() -> None:
    async def script(f: Feed) -> None:
        f.server.level("BUY", "0.49", "1", wrong=True)
        await f.runtime.sleep(S // 10)
        f.server.level("BUY", "0.49", "2", wrong=True)
        await f.runtime.sleep(S // 10)
        assert f.sink.rows[-1] == ("gap", True)

    f = fed(script)
    assert f.runtime.now_ns() < START_NS + 4 * S
