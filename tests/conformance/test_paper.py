"""A recorded market twice: replayed, and fed to a paper venue message by message as it was received. With the same orders at
the same times the fills are the same, to the lot and the nanosecond."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest

from execsim.core.events import Trade
from execsim.core.instrument import Instrument, Outcome
from execsim.core.order import Fill, MarketId, Order, Side
from execsim.core.units import NS_PER_MS, NS_PER_S
from execsim.engine.context import Context
from execsim.engine.session import ExecutionEngine
from execsim.exchange.paper import Late
from execsim.ports import MarketSink, Runtime, Task
from execsim.runtime import VirtualRuntime
from execsim.scenario import model
from execsim.scenario.build import Loaded, engine_config, load_data, strategy_of
from execsim.scenario.paper import PaperVenue
from execsim.scenario.run import run
from execsim.scenario.summary import Tally
from execsim.scenario.wall import Feed
from execsim.tape.reader import TapeReader
from execsim.tape.schema import Flag, Kind

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = ROOT / "scenarios"
STRATEGY = """
async def run(ctx):
    # every quarter second by the clock alone: what it does depends on the books it sees, never on when an answer comes
    market, made, step = ctx.markets[0], [], 0
    while True:
        await ctx.sleep(250_000_000)
        step += 1
        depth = ctx.depth(market, 1)
        if not depth.bids or not depth.asks:
            continue
        bid_i, ask_i = depth.bids[0][0], depth.asks[0][0]
        side = "buy" if step % 2 else "sell"
        near, far = (bid_i, ask_i) if side == "buy" else (ask_i, bid_i)
        if step % 7 == 0:
            ctx.place_i(market, side, price_i=far, lots=10_000_000, tif="ioc")
        else:
            made.append((step, ctx.place_i(market, side, price_i=near, lots=10_000_000)))
        while made and made[0][0] < step - 20:
            ctx.cancel(made.pop(0)[1])
"""
SETTINGS = [
    "risk.policies=[]",
    "venues.polymarket.feed={model='constant',ms=0}",
    "venues.polymarket.entry={model='constant',ms=60}",
    "venues.polymarket.response={model='constant',ms=20}",
    "venues.polymarket.balances={pUSD=100000}",
    "venues.polymarket.sets={btc-up=20000}",
]


class Recorded:
    """A `MarketSource`: the rows of a tape, each message at its receive time, with its venue time."""

    def __init__(self, loaded: Loaded, runtime: Runtime) -> None:
        self._loaded, self._runtime = loaded, runtime

    async def start(self) -> None:
        """Nothing to ask for."""

    async def aclose(self) -> None:
        """Nothing to close."""

    def instruments(self) -> Mapping[str, Instrument]:
        return {market.id: market.instrument for market in self._loaded.markets}

    def feed(self, sink: MarketSink) -> Task:
        return self._runtime.spawn(self._play(sink), "market data")

    async def _play(self, sink: MarketSink) -> None:
        market = self._loaded.markets[0]
        rows: list[Any] = []
        for row in self.rows():
            rows.append(row)
            book = row.kind in (Kind.SNAPSHOT, Kind.LEVEL)
            if book and not row.flags & Flag.LAST:
                continue
            if row.ts_recv_ns > self._runtime.now_ns():
                await self._runtime.sleep_until(row.ts_recv_ns)
            tell(sink, market.id, rows)
            rows = []

    def rows(self) -> Iterator[Any]:
        """By receive time, one named tuple each."""
        market = self._loaded.markets[0]
        for columns in TapeReader(self._loaded.tapes[market.tape], markets=[market.index]):
            names = list(columns)
            kind: Any = NamedTuple("Row", [(name, int) for name in names])
            for values in zip(*(columns[name].tolist() for name in names), strict=True):
                yield kind(*values)


def tell(sink: MarketSink, market: str, rows: list[Any]) -> None:
    """One message."""
    row = rows[-1]
    ts_ns = row.ts_venue_ns
    if row.kind == Kind.SNAPSHOT:
        sides = [[(each.price_i, each.size_i) for each in rows if each.side == side] for side in (1, -1)]
        sink.on_snapshot(market, ts_ns, *sides)
    elif row.kind == Kind.LEVEL:
        sink.on_levels(market, ts_ns, [(each.side, each.price_i, each.size_i) for each in rows])
    elif row.kind == Kind.TRADE:
        aggressor = {1: Side.BUY, -1: Side.SELL}.get(row.aggressor)
        outcome = Outcome.NO if row.flags & Flag.NO_TOKEN else Outcome.YES
        inferred = bool(row.flags & Flag.INFERRED)
        sink.on_trade(Trade(MarketId(market), ts_ns, row.price_i, row.size_i, aggressor, outcome, inferred))
    elif row.kind == Kind.TICK:
        sink.on_tick(market, ts_ns, row.price_i)
    elif row.kind == Kind.GAP and row.size_i:
        sink.on_gap(market, ts_ns, True)


def scenario(tmp_path: Path, *settings: str) -> model.Scenario:
    (tmp_path / "clockwork.py").write_text(STRATEGY)
    given = [*SETTINGS, f"strategy.file={tmp_path / 'clockwork.py'}", *settings]
    return model.load(SCENARIOS / "polymarket_btc_5m.toml", None, given, replace_strategy=True)


def seen(fills: list[tuple[Order, Fill]], until_ns: int) -> list[tuple[Any, ...]]:
    """What matters of fills, in the order of the venue."""
    found = [
        (
            fill.ts_ns,
            order.created_ns,
            order.side,
            order.price_i,
            fill.price_i,
            fill.lots,
            fill.fee,
            fill.cause,
            fill.evidence,
        )
        for order, fill in fills
        if fill.ts_ns <= until_ns
    ]
    return sorted(found)


def on_paper(checked: model.Scenario, loaded: Loaded) -> tuple[list[tuple[Order, Fill]], Late]:
    """The fills of a paper venue fed with the recording, in virtual time."""
    runtime = VirtualRuntime(checked.seed, loaded.start_ns)
    venue = PaperVenue(checked, SCENARIOS, Recorded(loaded, runtime), runtime)
    engine = ExecutionEngine(engine_config(checked.engine), runtime)
    tally = Tally(engine)

    async def main() -> None:
        await venue.start()
        feed = Feed(cast(Any, runtime), venue.instruments().values(), lambda: None)
        engine.register_adapter(venue)
        engine.attach_books(feed.books)
        data = venue.feed(feed)
        span_ns = (loaded.start_ns, loaded.end_ns)
        strategy, params = strategy_of(checked.strategy, venue.instruments(), span_ns, SCENARIOS, checked.seed)
        context = Context(engine, runtime, feed.books, name="strategy", params=params, markets=("btc-up",))
        task = runtime.spawn(strategy(context), "strategy", daemon=True)
        await data.join()
        await runtime.sleep(10 * NS_PER_S)
        task.cancel()
        await venue.aclose()
        venue.ledger.check()

    runtime.run(main=main())
    assert venue._market is not None
    return tally.fills, venue._market.late


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return load_data(model.load(SCENARIOS / "polymarket_btc_5m.toml"), SCENARIOS)


@pytest.fixture(scope="module")
def longest_ms(loaded: Loaded) -> int:
    """The longest way of any row from the venue to the recorder, whole ms, rounded up."""
    rows = Recorded(loaded, VirtualRuntime(0, 0)).rows()
    return -(-max(row.ts_recv_ns - row.ts_venue_ns for row in rows) // NS_PER_MS)


@pytest.mark.parametrize("queue", ["risk_averse", "proportional"])
def test_with_a_hold_that_suffices_the_fills_are_those_of_a_replay(
    loaded: Loaded, longest_ms: int, tmp_path: Path, queue: str
) -> None:
    checked = scenario(tmp_path, f"paper.hold_ms={longest_ms}", f"exchange.queue={queue}")
    replayed = run(checked, "btc", SCENARIOS, loaded=loaded).record.fills
    paper, late = on_paper(checked, loaded)
    end_ns = loaded.end_ns - NS_PER_S
    expected = seen(replayed, end_ns)
    assert len(expected) > 100
    assert {fill[7] for fill in expected} >= {"taker_walk", "trade_through"}
    assert late.rows == 0
    assert seen(paper, end_ns) == expected


def test_a_hold_that_does_not_suffice_says_so_and_by_how_much(loaded: Loaded, longest_ms: int, tmp_path: Path) -> None:
    """Some fills differ then: late rows act when they come. The hold that is named would have sufficed."""
    checked = scenario(tmp_path, "paper.hold_ms=5")
    paper, late = on_paper(checked, loaded)
    assert late.rows > 0
    assert -(-late.slowest_ns // NS_PER_MS) == longest_ms
    assert late.slowest_ns == 5 * NS_PER_MS + late.worst_ns
    replayed = run(checked, "btc", SCENARIOS, loaded=loaded).record.fills
    end_ns = loaded.end_ns - NS_PER_S
    assert seen(paper, end_ns) != seen(replayed, end_ns)
