"""Market data as frames: a `MarketSink` that writes them, and what reads them back into a `MarketSink`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from execsim.core.events import Trade
from execsim.ports import FrameSink, Levels, MarketSink
from execsim_native.codec import BadMessage, build, plain
from execsim_native.wire import Frame, dump

Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A whole book; levels are [price_i, lots], best first."""

    market: str
    ts_ns: int
    bids: Pairs
    asks: Pairs


@dataclass(frozen=True, slots=True)
class Changes:
    """Levels that changed: [side (1 bid, -1 ask), price_i, lots]; 0 lots: gone."""

    market: str
    ts_ns: int
    levels: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """The market's tick, in price units."""

    market: str
    ts_ns: int
    tick_i: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Nothing is known of the market while a gap is open."""

    market: str
    ts_ns: int
    open: bool


@dataclass(frozen=True, slots=True)
class Resolve:
    """The market has paid out: what a YES share is worth, in price units."""

    market: str
    ts_ns: int
    payoff_i: int


@dataclass(frozen=True, slots=True)
class End:
    """The recording is over."""

    ts_ns: int


KINDS = {
    "book": Snapshot, "levels": Changes, "trade": Trade, "tick": Tick, "gap": Gap, "resolve": Resolve, "end": End,
}  # fmt: skip
NAMES = {kind: name for name, kind in KINDS.items()}


class FrameWriter:
    """Hears market data and pushes frames. `next_seq` numbers them."""

    def __init__(self, push: FrameSink, next_seq: Callable[[], int]) -> None:
        self._push = push
        self._next_seq = next_seq

    def _write(self, item: object) -> None:
        self._push(dump({"seq": self._next_seq(), "kind": NAMES[type(item)], "data": plain(item)}))

    def on_snapshot(self, market: str, ts_ns: int, bids: Levels, asks: Levels) -> None:
        self._write(Snapshot(market, ts_ns, tuple(bids), tuple(asks)))

    def on_levels(self, market: str, ts_ns: int, changes: Sequence[tuple[int, int, int]]) -> None:
        self._write(Changes(market, ts_ns, tuple(changes)))

    def on_trade(self, trade: Trade) -> None:
        self._write(trade)

    def on_tick(self, market: str, ts_ns: int, tick_i: int) -> None:
        self._write(Tick(market, ts_ns, tick_i))

    def on_gap(self, market: str, ts_ns: int, open_gap: bool) -> None:
        self._write(Gap(market, ts_ns, open_gap))

    def on_resolve(self, market: str, ts_ns: int, payoff_i: int) -> None:
        self._write(Resolve(market, ts_ns, payoff_i))

    def on_end(self, ts_ns: int) -> None:
        self._write(End(ts_ns))


def publish(frame: Frame, sink: MarketSink) -> bool:
    """Tell the sink what a frame says; False once nothing more will come. Errors: BadMessage."""
    kind = KINDS.get(frame.kind)
    if kind is None:
        raise BadMessage("kind", f"{frame.kind[:64]!r} is none of: {', '.join(KINDS)}")
    item = build(kind, frame.fields.get("data"), "data")
    match item:
        case Snapshot():
            sink.on_snapshot(item.market, item.ts_ns, item.bids, item.asks)
        case Changes():
            sink.on_levels(item.market, item.ts_ns, item.levels)
        case Trade():
            sink.on_trade(item)
        case Tick():
            sink.on_tick(item.market, item.ts_ns, item.tick_i)
        case Gap():
            sink.on_gap(item.market, item.ts_ns, item.open)
        case Resolve():
            sink.on_resolve(item.market, item.ts_ns, item.payoff_i)
        case End():
            sink.on_end(item.ts_ns)
            return False
    return True
