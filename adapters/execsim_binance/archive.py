"""Import Binance combined-stream recordings (format "binance").

The book is rebuilt while reading, for two reasons: removals of levels nobody knows are left out of the tape, and after
each depth update the best prices and sizes are compared with the venue's own bookTicker stream (check "book_ticker").

Rows: a snapshot becomes SNAPSHOT rows, a depth diff LEVEL rows (the last one of a message has Flag.LAST), a trade one
TRADE row. bookTicker serves the check only (as rows it would double the book); other streams are counted.
Clocks: venue time is the transaction time T where the message has one, else the event time E; the snapshot of a spot
market states no time and takes that of the first diff after it. Diffs that waited for the snapshot are received when
the book became known: nobody could have used them earlier.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from execsim.core.errors import ConfigError, DataError, ValidationError
from execsim.core.units import decimal_of, plain
from execsim.tape.schema import Flag, GapInfo, Kind, MarketInfo, RowBuffer, RowSink, SideCode
from execsim_binance.book import DepthBook, TickerCheck
from execsim_binance.capture import Survey, lines, looks_like, source_info, survey
from execsim_binance.instruments import NOTIONAL_MIN, VENUE_ID, assets_of, market_id
from execsim_binance.session import Action, DepthSync, Step
from execsim_binance.wire import Diff, Scale, Snapshot, diff_of, recv_ns, snapshot_of, stream_of

_RECENT_TRADES: Final = 4_096
"""Trade ids remembered to tell a duplicate from a late one."""
_MALFORMED: Final = (ValueError, KeyError, TypeError, IndexError, AttributeError)
"""What reading a message of unexpected shape raises."""
_LEVEL, _BID, _ASK, _LAST = int(Kind.LEVEL), int(SideCode.BID), int(SideCode.ASK), int(Flag.LAST)
_OPTIONS: Final = {
    "symbol": "which symbol to import; needed only if the recording holds several",
    "price_unit": "finest price step as a decimal; default: the finest seen in the recording",
    "lot": "finest size step as a decimal; default: the finest seen in the recording",
    "contract": "guess | spot | usdm; default guess: depth messages with `pu` are USD-M futures",
    "on_error": "stop | skip: what to do with a malformed line; default stop, skip counts it as defect bad_line",
}


class BinanceCapture:
    """Recordings of Binance's combined streams: depth, trade (else aggTrade), bookTicker, and the REST snapshot line.
    Several files are one recording in the order given: book state and trade ids carry over."""

    name = VENUE_ID
    version = 2
    options: Mapping[str, str] = _OPTIONS

    def sniff(self, path: Path) -> bool:
        """Whether the first line is a receive time followed by a combined-stream message or a depth snapshot."""
        return looks_like(path)

    def run(self, sources: Sequence[Path], options: Mapping[str, Any], sink: RowSink) -> None:
        """Read the recording into `sink`. Errors: ConfigError for options, DataError naming file and line."""
        unknown = sorted(set(options) - set(_OPTIONS))
        if unknown:
            raise ConfigError(f"format {VENUE_ID} has no option {unknown[0]!r}", f"known: {', '.join(_OPTIONS)}")
        contract = _choice(options, "contract", ("guess", "spot", "usdm"))
        skip = _choice(options, "on_error", ("stop", "skip")) == "skip"
        price_unit, lot = _unit(options, "price_unit"), _unit(options, "lot")
        found = survey(sources, str(options.get("symbol") or "").upper(), contract)
        _Recording(found, price_unit or found.price_unit, lot or found.lot, skip, sink).read(sources)


def _choice(options: Mapping[str, Any], name: str, known: tuple[str, ...]) -> str:
    value = options.get(name, known[0])
    if value not in known:
        raise ConfigError(f"option {name} = {value!r}", f"one of {', '.join(known)}")
    return str(value)


def _unit(options: Mapping[str, Any], name: str) -> Decimal | None:
    if options.get(name) is None:
        return None
    try:
        value = decimal_of(options[name], name)
    except ValidationError as error:
        raise ConfigError(f"option {name}: {error.args[1]}", "give a decimal such as 0.01") from None
    if value <= 0:
        raise ConfigError(f"option {name} = {value} is not positive", "give a decimal such as 0.01")
    return value


class _Recording:
    """One market being read: sequence machine, book, check and row buffer together."""

    def __init__(self, found: Survey, price_unit: Decimal, lot: Decimal, skip: bool, sink: RowSink) -> None:
        self._sink = sink
        self._skip = skip
        self._streams = found.streams
        self._trades = "trade" if "trade" in found.streams.values() else "aggTrade"
        self._price = Scale(price_unit, "price")
        self._size = Scale(lot, "size")
        self._sync = DepthSync(found.futures)
        self._book = DepthBook()
        self._check = TickerCheck(self._price, self._size, lambda ok: sink.check("book_ticker", ok))
        self._info = _market(found, price_unit, lot)
        self._market = sink.market(self._info)
        self._buffer: RowBuffer
        self._place = ""
        self._gap: GapInfo | None = None
        self._resets = 0
        self._venue_ns = -1
        self._recv_ns = -1
        self._trade_id: int | None = None
        self._recent: deque[int] = deque(maxlen=_RECENT_TRADES)
        self._recent_set: set[int] = set()
        self._ignored: dict[str, int] = {}
        self._unknown_removals = 0
        sink.note(f"{self._info.market}: price unit {plain(price_unit)}, lot {plain(lot)}")
        if found.futures:
            sink.note(f"{self._info.market} is a USD-M futures contract, traded here as if it were a spot pair")

    def read(self, sources: Sequence[Path]) -> None:
        for path in sources:
            self._buffer = RowBuffer(self._sink, self._sink.source(source_info(path)))
            self._read_file(path)
            self._buffer.flush()
        self._finish(sources)

    def _read_file(self, path: Path) -> None:
        streams, check = self._streams, self._check
        for number, head, payload in lines(path):
            self._place = f"{path}:{number}"
            try:
                stream = stream_of(payload)
                channel = streams.get(stream)
                if channel == "bookTicker":
                    check.ticker(payload)
                elif channel == "depth":
                    self._follow(self._sync.diff(diff_of(json.loads(payload)["data"], recv_ns(head), self._place)))
                elif channel == self._trades:
                    self._trade(json.loads(payload)["data"], recv_ns(head))
                elif channel is not None:
                    self._ignored[channel] = self._ignored.get(channel, 0) + 1
                elif not stream:
                    self._answer(json.loads(payload), recv_ns(head))
            except ValidationError as error:
                # The grid is a property of the whole recording: a finer number is never a line to be skipped.
                option = "lot" if error.args[0] == "size" else "price_unit"
                raise DataError(self._place, error.args[1], f"set a finer {option}") from None
            except _MALFORMED as error:
                if not self._skip:
                    what = f"malformed line ({type(error).__name__}: {error})"
                    raise DataError(self._place, what, "repair it, or set on_error = skip") from None
                self._sink.defect("bad_line")

    def _answer(self, body: Any, received_ns: int) -> None:
        """A line that is no stream message: a REST answer."""
        if isinstance(body, dict) and "lastUpdateId" in body:
            self._follow(self._sync.snapshot(snapshot_of(body, received_ns, self._place)))
        elif isinstance(body, dict) and "code" in body:
            self._sink.defect("rest_error")
        else:
            raise ValueError("neither a combined-stream message nor a depth snapshot")

    def _follow(self, actions: list[Action]) -> None:
        try:
            self._do(actions)
        except _MALFORMED:
            # The message is lost, and with it the book.
            self._sync.lose()
            if self._resets and self._gap is None:
                self._open_gap(self._recv_ns, "bad_line")
            raise

    def _do(self, actions: list[Action]) -> None:
        known_ns = 0
        for at, (step, item) in enumerate(actions):
            self._place = item.place
            if step is Step.RESET:
                first = actions[at + 1][1]
                known_ns = max(item.recv_ns, first.recv_ns, actions[-1][1].recv_ns)
                self._reset(item, item.venue_ns if item.venue_ns >= 0 else first.venue_ns, known_ns)
            elif step is Step.APPLY:
                self._apply(item, max(item.recv_ns, known_ns))
            else:
                self._break(item)

    def _reset(self, snapshot: Snapshot | Diff, venue_ns: int, received_ns: int) -> None:
        book, add, market = self._book, self._buffer.add, self._market
        bids = book.bids.reset(snapshot.bids, self._price, self._size)
        asks = book.asks.reset(snapshot.asks, self._price, self._size)
        rows = [(SideCode.BID, *level) for level in bids] + [(SideCode.ASK, *level) for level in asks]
        rows = rows or [(SideCode.NONE, 0, 0)]
        deepest_bid = min((price_i for price_i, _ in bids), default=0)
        self._check.reaches(deepest_bid, max((price_i for price_i, _ in asks), default=0))
        if self._gap is not None:
            self._gap.end_ns = max(venue_ns, self._gap.start_ns)
            self._sink.gap(self._gap)
            self._gap = None
            add(venue_ns, received_ns, market, Kind.GAP, 0, 0, 0)
        for at, (side, price_i, lots) in enumerate(rows):
            flags = 0 if at else Flag.FIRST | (Flag.RESYNC if self._resets else 0)
            if at == len(rows) - 1:
                flags |= Flag.LAST
            add(venue_ns, received_ns, market, Kind.SNAPSHOT, side, price_i, lots, 0, 0, int(flags))
        self._resets += 1
        self._seen(venue_ns, received_ns)

    def _apply(self, diff: Snapshot | Diff, received_ns: int) -> None:
        book, add, market, venue_ns = self._book, self._buffer.add, self._market, diff.venue_ns
        bids, unknown_bids = book.bids.update(diff.bids, self._price, self._size)
        asks, unknown_asks = book.asks.update(diff.asks, self._price, self._size)
        self._unknown_removals += unknown_bids + unknown_asks
        final = len(bids) - 1 if not asks else -1
        for at, (price_i, lots) in enumerate(bids):
            add(venue_ns, received_ns, market, _LEVEL, _BID, price_i, lots, 0, 0, _LAST if at == final else 0)
        final = len(asks) - 1
        for at, (price_i, lots) in enumerate(asks):
            add(venue_ns, received_ns, market, _LEVEL, _ASK, price_i, lots, 0, 0, _LAST if at == final else 0)
        if book.crossed:
            self._sink.defect("crossed_book")
        self._check.book(diff.last, book.top)
        self._seen(venue_ns, received_ns)

    def _break(self, diff: Snapshot | Diff) -> None:
        """Updates are missing before `diff`. The venue's book is unknown from the last row before it; that something
        is missing is learned with `diff`."""
        self._sink.defect("sequence_break")
        if self._gap is None:
            self._open_gap(max(diff.recv_ns, self._recv_ns), "sequence")

    def _open_gap(self, received_ns: int, why: str) -> None:
        self._gap = GapInfo(self._market, self._venue_ns, self._venue_ns, why)
        self._buffer.add(self._venue_ns, received_ns, self._market, Kind.GAP, 0, 0, 1)

    def _trade(self, data: dict[str, Any], received_ns: int) -> None:
        trade_id = data["t"] if self._trades == "trade" else data["a"]
        if self._is_duplicate(trade_id):
            self._sink.defect("trade_duplicate")
            return
        if self._trade_id is not None and trade_id > self._trade_id + 1:
            self._sink.defect("trade_id_gap")
        elif self._trade_id is not None and trade_id < self._trade_id:
            self._sink.defect("trade_late")
        self._trade_id = max(trade_id, self._trade_id or trade_id)
        # Insurance fund, liquidation (ADL) and "NA" prints of the futures stream never met the book.
        if data.get("X", "MARKET") != "MARKET":
            self._sink.defect("trade_off_book")
            return
        price_i, lots = self._price[data["p"]], self._size[data["q"]]
        if lots == 0 or price_i == 0:
            self._sink.defect("trade_empty")
            return
        venue_ns = (data["T"] if "T" in data else data["E"]) * 1_000_000
        aggressor = SideCode.ASK if data["m"] else SideCode.BID
        self._buffer.add(venue_ns, received_ns, self._market, Kind.TRADE, aggressor, price_i, lots, aggressor)
        self._seen(venue_ns, received_ns)

    def _is_duplicate(self, trade_id: int) -> bool:
        if trade_id in self._recent_set:
            return True
        if len(self._recent) == _RECENT_TRADES:
            self._recent_set.discard(self._recent[0])
        self._recent.append(trade_id)
        self._recent_set.add(trade_id)
        return False

    def _seen(self, venue_ns: int, received_ns: int) -> None:
        self._venue_ns = max(self._venue_ns, venue_ns)
        self._recv_ns = max(self._recv_ns, received_ns)

    def _finish(self, sources: Sequence[Path]) -> None:
        sink, sync, market = self._sink, self._sync, self._info.market
        if not self._resets:
            names = ", ".join(str(path) for path in sources)
            what = "no depth snapshot line" if not sync.snapshots else "no depth snapshot that joins the depth updates"
            raise DataError(
                names,
                f"market {market} without a snapshot: the recording holds {what}",
                f"import it together with the file that holds the snapshot line: EARLIER_FILE {sources[0]}",
            )
        if self._gap is not None:
            self._gap.end_ns = self._venue_ns
            sink.gap(self._gap)
            sink.note(f"{market}: no snapshot after the last sequence break, so the book stays unknown to the end")
        for name, count in (("stale_depth", sync.stale_diffs), ("book_ticker_backwards", self._check.backwards)):
            if count:
                sink.defect(name, count)
        if self._check.beyond:
            sink.note(
                f"{market}: {self._check.beyond} books were not judged by the ticker: its best level lay deeper than the "
                "snapshot reached, where levels are unknown until they change"
            )
        if sync.snapshots_unused:
            sink.note(f"{market}: {sync.snapshots_unused} snapshot lines were not needed or did not join")
        if self._unknown_removals:
            sink.note(
                f"{market}: {self._unknown_removals} removals of levels not in the book left out "
                "(normal: the venue reports levels below the snapshot's depth)"
            )
        for channel, count in sorted(self._ignored.items()):
            sink.note(f"{market}: {count} {channel} messages ignored")


def _market(found: Survey, price_unit: Decimal, lot: Decimal) -> MarketInfo:
    base, quote = assets_of(found.symbol)
    return MarketInfo(
        market=market_id(found.symbol, found.futures),
        venue=VENUE_ID,
        instrument_kind="spot",
        price_unit=plain(price_unit),
        lot=plain(lot),
        base=base,
        quote=quote,
        tick=plain(price_unit),
        size_step=plain(lot),
        size_min=plain(lot),
        notional_min=NOTIONAL_MIN,
        title=f"{found.symbol} {'USD-M futures' if found.futures else 'spot'}",
        extra={"contract": "usdm" if found.futures else "spot", "symbol": found.symbol},
    )
