"""Books kept from a wire: the ladder against sorting, and the whole way from the kernel against the kernel's own books."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native_worlds import Memory
from worlds import MS, START_NS, Tape, binary

from execsim.core.errors import ConfigError
from execsim.core.events import Trade
from execsim.core.instrument import Outcome
from execsim.core.order import MarketId
from execsim.exchange import KernelBooks
from execsim.kernel import LOCAL
from execsim.market.ladders import Ladder, Ladders
from execsim.tape.schema import Kind

PRICES = st.integers(1, 99).map(lambda n: n * 100)
LEVELS = st.lists(st.tuples(PRICES, st.integers(1, 50)), max_size=6, unique_by=lambda level: level[0])


@pytest.mark.parametrize("side", [1, -1])
@given(start=LEVELS, changes=st.lists(st.tuples(PRICES, st.integers(0, 5)), max_size=30))
def test_a_ladder_is_its_levels_in_order(
    side: int, start: list[tuple[int, int]], changes: list[tuple[int, int]]
) -> None:
    ladder, known = Ladder(side), dict(start)
    ladder.replace(start)
    for price_i, lots in changes:
        ladder.put(price_i, lots)
        known[price_i] = lots
        best_first = sorted(((p, q) for p, q in known.items() if q), reverse=side > 0)
        assert list(ladder.levels(100)) == best_first
        assert ladder.best() == (best_first[0] if best_first else (None, 0))
        assert list(ladder.levels(2)) == best_first[:2]


class Note:
    """A FeedSink that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []

    def on_top(self, market: str, ts_ns: int) -> None:
        self.heard.append(("top", ts_ns))

    def on_trade(self, trade: Trade) -> None:
        self.heard.append(("trade", trade.ts_ns))

    def on_book(self, market: str, ts_ns: int) -> None:
        self.heard.append(("book", ts_ns))

    def on_tick(self, market: str, ts_ns: int, tick_i: int) -> None:
        self.heard.append(("tick", ts_ns, tick_i))

    def on_gap(self, market: str, ts_ns: int, open_gap: bool) -> None:
        self.heard.append(("gap", ts_ns, open_gap))

    def on_resolve(self, market: str, ts_ns: int, payoff_i: int) -> None:
        self.heard.append(("resolve", ts_ns, payoff_i))


def test_only_what_is_watched_is_told() -> None:
    note = Note()
    ladders = Ladders({"m": 100}, note)
    trade = Trade(MarketId("m"), 5, 4800, 1, None, Outcome.YES, False)

    def everything(ts_ns: int) -> None:
        ladders.on_snapshot("m", ts_ns, [(4800, 5)], [(5200, 5)])
        ladders.on_levels("m", ts_ns + 1, [(1, 4800, 6)])
        ladders.on_levels("m", ts_ns + 2, [(-1, 5300, 6)])
        ladders.on_levels("m", ts_ns + 3, [(1, 4900, 1)])
        ladders.on_trade(trade)

    everything(10)
    assert note.heard == []
    ladders.watch("m", top=True, sizes=False)
    everything(20)
    assert note.heard == [("top", 20), ("top", 23)]
    note.heard.clear()
    ladders.watch("m", top=True)
    everything(30)
    assert note.heard == [("top", 30), ("top", 31), ("top", 33)]
    note.heard.clear()
    ladders.watch("m", book=True, trades=True)
    everything(40)
    assert note.heard == [("book", 40), ("book", 41), ("book", 42), ("book", 43), ("trade", 5)]
    note.heard.clear()
    ladders.on_tick("m", 50, 100)
    ladders.on_tick("m", 51, 10)
    ladders.on_gap("m", 52, True)
    ladders.on_resolve("m", 53, 10_000)
    ladders.on_end(54)
    assert note.heard == [("tick", 51, 10), ("gap", 52, True), ("resolve", 53, 10_000)]
    assert (ladders.tick_i("m"), ladders.ended_ns) == (10, 54)


def test_another_market_is_no_part_of_the_run() -> None:
    ladders = Ladders({"m": 100})
    for call in (lambda: ladders.top("x"), lambda: ladders.watch("x"), lambda: ladders.on_snapshot("x", 0, [], [])):
        with pytest.raises(ConfigError, match="'x' is not part of this run"):
            call()


@st.composite
def tapes(draw: st.DrawFn) -> Tape:
    """A market that does a bit of everything, a step of 10 ms each."""
    tape = Tape()
    if draw(st.booleans()):
        tape.book(0, *_sides(draw))
    for step in range(1, draw(st.integers(1, 15))):
        at_ns = step * 10 * MS
        match draw(st.integers(0, 6)):
            case 0:
                tape.book(at_ns, *_sides(draw), resync=draw(st.booleans()))
            case 1:
                tape.trade(at_ns, draw(st.sampled_from([1, -1, 0])), draw(PRICES), draw(st.integers(1, 9)))
            case 2:
                tape.add(at_ns, Kind.TICK, price=draw(st.sampled_from([10, 100])))
            case 3:
                tape.gap(at_ns, draw(st.booleans()))
            case _:
                for _ in range(draw(st.integers(1, 3))):
                    side = draw(st.sampled_from([1, -1]))
                    price_i = draw(st.integers(1, 49)) * 100 if side > 0 else draw(st.integers(51, 99)) * 100
                    tape.level(at_ns, side, price_i, draw(st.integers(0, 20)))
    return tape


def _sides(draw: st.DrawFn) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    sizes = st.integers(1, 50)
    bids = draw(st.dictionaries(st.integers(1, 49), sizes, max_size=5))
    asks = draw(st.dictionaries(st.integers(51, 99), sizes, max_size=5))
    return [(p * 100, q) for p, q in bids.items()], [(p * 100, q) for p, q in asks.items()]


@settings(max_examples=120, deadline=None)
@given(tapes(), st.integers(0, 12))
def test_the_client_reads_what_a_strategy_beside_the_exchange_would(tape: Tape, joins: int) -> None:
    """Kernel, publisher, frames, ladders: after every instant the books are those of the kernel's strategy side, also for
    one who joins late and sees the market as it stands."""
    w = Memory(tape, [binary()])
    truth = KernelBooks(w.kernel, ["rain"])

    async def script() -> None:
        late = w.client(w.transport, "late")
        await late.start()
        ladders = Ladders({"rain": 100})
        for step in range(17):
            await w.runtime.sleep_until(START_NS + step * 10 * MS + 5 * MS)
            if step == joins:
                late.feed(ladders)
                await w.runtime.sleep(MS)
            for seen in [w._trader.ladders, *([ladders] if step >= joins else [])]:
                found, known = seen.depth("rain", 1_000), truth.depth("rain", 1_000)
                assert (found.bids, found.asks) == (known.bids, known.asks)
                assert seen.tick_i("rain") == truth.tick_i("rain")
            assert w.books.in_gap("rain") == w.kernel.in_gap(LOCAL, 0)
        await late.aclose()

    w.run(script())
