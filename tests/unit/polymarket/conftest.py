"""A sink of lists, the plainest possible book builder, and a market that writes frames with true hashes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from execsim.tape.schema import Flag, Importer, Kind, SideCode
from execsim.testing import MemorySink, SinkRow
from execsim_polymarket.archive import PolymarketFrames
from execsim_polymarket.book import Scale, book_hash

ROOT = Path(__file__).resolve().parents[3]
CID = "0x" + "ab" * 32
YES, NO = "111111", "222222"
T0_MS = 1_776_259_500_000

Levels = tuple[tuple[int, int], ...]


Row = SinkRow


class Book:
    """The canonical book, rebuilt row by row."""

    def __init__(self) -> None:
        self.sides: dict[int, dict[int, int]] = {SideCode.BID: {}, SideCode.ASK: {}}

    def take(self, row: Row) -> None:
        if row.kind == Kind.SNAPSHOT and row.flags & Flag.FIRST:
            self.sides = {SideCode.BID: {}, SideCode.ASK: {}}
        if row.kind in (Kind.SNAPSHOT, Kind.LEVEL) and row.side:
            self.sides[row.side][row.price_i] = row.size_i
            if not row.size_i:
                del self.sides[row.side][row.price_i]

    def levels(self) -> tuple[Levels, Levels]:
        """(bids, asks), by price."""
        return tuple(sorted(self.sides[SideCode.BID].items())), tuple(sorted(self.sides[SideCode.ASK].items()))


class ListSink(MemorySink):
    """Knows the books its rows make."""

    def final(self) -> dict[str, tuple[Levels, Levels]]:
        """Condition id -> the book after the last row."""
        books = [Book() for _ in self.markets]
        for row in self.data:
            books[row.market].take(row)
        return {info.market: book.levels() for info, book in zip(self.markets, books, strict=True)}

    def states(self, market: int = 0) -> dict[int, tuple[Levels, Levels]]:
        """Venue time -> the book after the last row of that time."""
        book, states = Book(), {}
        for row in self.data:
            if row.market == market:
                book.take(row)
                states[row.ts_venue_ns] = book.levels()
        return states


class FakeMarket:
    """A market of both tokens that changes level by level; every message carries its true hash. Times in ms from T0."""

    def __init__(self, bids: Mapping[str, str], asks: Mapping[str, str], last: str = "0.500") -> None:
        self.scale = Scale(Decimal("0.0001"), Decimal("0.000001"))
        self.bids = {Decimal(p): s for p, s in bids.items()}
        self.asks = {Decimal(p): s for p, s in asks.items()}
        self.last, self.tick = last, "0.01"

    def book(self, at_ms: int, asset: str = YES, **extra: Any) -> dict[str, Any]:
        """A full book message; it says tick and last price like the venue's first one unless told None."""
        full = self._full(asset, at_ms)
        frame = {key: full[key] for key in ("market", "asset_id", "timestamp", "bids", "asks")}
        frame |= {"event_type": "book", "hash": book_hash(full, self.scale), "tick_size": self.tick}
        frame |= {"last_trade_price": self.last} | extra
        return {key: value for key, value in frame.items() if value is not None}

    def set(self, at_ms: int, side: str, price: str, size: str, tokens: Sequence[str] = (YES, NO)) -> dict[str, Any]:
        """Change one YES level and return the price_change message (of these tokens)."""
        book = self.bids if side == "BUY" else self.asks
        if size == "0":
            book.pop(Decimal(price), None)
        else:
            book[Decimal(price)] = size
        entries = [self._entry(asset, at_ms, side, Decimal(price), size) for asset in tokens]
        return {"event_type": "price_change", "market": CID, "timestamp": str(T0_MS + at_ms), "price_changes": entries}

    def trade(self, at_ms: int, price: str, size: str, side: str, asset: str = YES, tx: str = "") -> dict[str, Any]:
        """A last_trade_price message."""
        self.last = f"{Decimal(price):.3f}"
        frame = {"event_type": "last_trade_price", "market": CID, "asset_id": asset, "price": price, "size": size}
        frame |= {"side": side, "fee_rate_bps": "0", "timestamp": str(T0_MS + at_ms)}
        return frame | ({"transaction_hash": tx} if tx else {})

    def _entry(self, asset: str, at_ms: int, side: str, price: Decimal, size: str) -> dict[str, Any]:
        full = self._full(asset, at_ms)
        if asset == NO:
            price, side = 1 - price, "SELL" if side == "BUY" else "BUY"
        best = full["bids"][-1]["price"] if full["bids"] else "0", full["asks"][-1]["price"] if full["asks"] else "1"
        entry = {"asset_id": asset, "price": _plain(price), "size": size, "side": side}
        return entry | {"hash": book_hash(full, self.scale), "best_bid": best[0], "best_ask": best[1]}

    def _full(self, asset: str, at_ms: int) -> dict[str, Any]:
        bids, asks = self.bids, self.asks
        if asset == NO:
            bids, asks = {1 - p: s for p, s in self.asks.items()}, {1 - p: s for p, s in self.bids.items()}
        return {
            "market": CID,
            "asset_id": asset,
            "timestamp": str(T0_MS + at_ms),
            "hash": "",
            "bids": [{"price": _plain(p), "size": bids[p]} for p in sorted(bids)],
            "asks": [{"price": _plain(p), "size": asks[p]} for p in sorted(asks, reverse=True)],
            "min_order_size": "5",
            "tick_size": self.tick,
            "neg_risk": False,
            "last_trade_price": self.last,
        }


def _plain(price: Decimal) -> str:
    return format(price.normalize(), "f")


@pytest.fixture
def fake() -> FakeMarket:
    """Bids 0.48 x 100, 0.47 x 50; asks 0.52 x 80, 0.53 x 60."""
    return FakeMarket({"0.47": "50", "0.48": "100"}, {"0.53": "60", "0.52": "80"})


@pytest.fixture(scope="session")
def load() -> Callable[..., ListSink]:
    """Run an importer over files into a ListSink."""

    def run(*paths: Path, importer: Importer | None = None, **options: Any) -> ListSink:
        sink = ListSink()
        (importer or PolymarketFrames()).run(paths, options, sink)
        return sink

    return run


@pytest.fixture
def play(tmp_path: Path, load: Callable[..., ListSink]) -> Callable[..., ListSink]:
    """Write frames as `{"recv_ms", "raw"}` lines (received 20 ms after the venue's time) and import them."""

    def run(*frames: Mapping[str, Any], **options: Any) -> ListSink:
        path = tmp_path / "frames.jsonl"
        lines = [json.dumps({"recv_ms": int(frame["timestamp"]) + 20, "raw": frame}) for frame in frames]
        path.write_text("\n".join(lines) + "\n")
        options.setdefault("yes_tokens", {CID: YES})
        return load(path, **options)

    return run


@pytest.fixture(scope="session")
def cronos() -> Path:
    return ROOT / "scenarios/data/polymarket_cronosvirus00/btc-updown-5m_20260415T1200_1500_book_events.parquet"


@pytest.fixture(scope="session")
def pranay() -> Path:
    return ROOT / "scenarios/data/polymarket_ws_pranay_excerpt/session_btc_excerpt.jsonl"


@pytest.fixture(scope="session")
def fed() -> Path:
    return ROOT / "scenarios/data/polymarket_fed_event_books"


@pytest.fixture(scope="session")
def golden() -> Path:
    return ROOT / "tests/data/polymarket/book_hash.json"
