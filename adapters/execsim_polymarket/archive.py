"""Importer `polymarket`: raw market-channel frames, as anybody records them, become a tape.

Reads JSON lines (plain or gzip), saved REST books, and parquet with one frame a row; see frames.py for the envelopes,
replay.py for what a message becomes and what a gap is, inference.py for trades of recordings without trade messages.
Two passes: the first learns which markets, tokens and times there are.
"""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from execsim.core.errors import ConfigError, DataError, ValidationError
from execsim.core.units import NS_PER_S, decimal_of
from execsim.tape.schema import RowBuffer, RowSink, SourceInfo
from execsim_polymarket.book import Given, Scale
from execsim_polymarket.canon import At
from execsim_polymarket.frames import PAYLOAD_KEYS, Layout, Row, is_keepalive, messages, rows, sha256
from execsim_polymarket.instruments import LOT, PRICE_UNIT
from execsim_polymarket.replay import MarketReplay
from execsim_polymarket.survey import Plan, Survey, event_of

SNIFF_BYTES: Final = 4_096
RECORDER: Final = b'{"recorder":"execsim",'
"""How a recording of `execsim record` begins (recorder.py)."""
KEEP_BYTES: Final = 64_000_000
"""Payload text kept in memory between the two passes; a larger recording is read twice."""
OBJECT_BYTES: Final = 20_000
"""What a payload that came parsed (JSON lines) counts as: a book of 200 levels takes about that."""
UNUSED: Final = frozenset({"best_bid_ask", "new_market"})
"""Event types that carry nothing the books do not."""

COMMON_OPTIONS: Final = {
    "markets": "list of condition ids or slugs to keep; default all",
    "yes_tokens": "mapping of condition id or slug to its YES token, or a list of YES tokens the recording holds; "
    "default: what the recording says, else the token with more messages",
    "price_unit": "finest price, default 0.0001",
    "lot": "finest size, default 0.000001",
    "gap_s": "least silence (s) that is a gap, default 2 (and 20 x the median interval); 0: none",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """The options both importers share, read and checked."""

    wanted: frozenset[str]
    yes_tokens: Mapping[str, str] | frozenset[str]
    scale: Scale
    gap_ns: int

    @classmethod
    def read(cls, options: Mapping[str, Any], known: Mapping[str, str]) -> Settings:
        """Errors: ConfigError naming the option."""
        unknown = sorted(set(options) - set(known))
        if unknown:
            raise ConfigError(f"unknown option {unknown[0]!r}", f"known: {', '.join(known)}")
        markets, tokens = options.get("markets", ()), options.get("yes_tokens", ())
        markets = [markets] if isinstance(markets, str) else markets
        tokens = [tokens] if isinstance(tokens, str) else tokens
        for name, value in (("markets", markets), ("yes_tokens", tokens)):
            if not isinstance(value, Mapping | Sequence | frozenset | set):
                raise ConfigError(f"option {name}: {value!r}", known[name])
        try:
            unit = decimal_of(options.get("price_unit", PRICE_UNIT), "price_unit")
            lot = decimal_of(options.get("lot", LOT), "lot")
            gap_s = decimal_of(options.get("gap_s", 2), "gap_s")
            if min(unit, lot) <= 0 or gap_s < 0:
                raise ConfigError(
                    f"price_unit {unit}, lot {lot}, gap_s {gap_s}", "the units positive, gap_s not negative"
                )
            scale = Scale(unit, lot)
        except ValidationError as error:
            raise ConfigError(f"options price_unit, lot, gap_s: {error}", "give decimals as text") from None
        chosen = (
            {str(k): str(v) for k, v in tokens.items()} if isinstance(tokens, Mapping) else frozenset(map(str, tokens))
        )
        return cls(frozenset(map(str, markets)), chosen, scale, int(gap_s * NS_PER_S))


class PolymarketFrames:
    """Importer of recorded market-channel frames. Rows, gaps and inferred trades: see the modules named above."""

    name: Final = "polymarket"
    version: Final = 1
    options: Mapping[str, str] = {
        **COMMON_OPTIONS,
        "recv_key": "key or column of the receive time; default: guessed (recv_ts, received_at_utc, ts, ...)",
        "payload_key": f"key or column of the frame; default: the first of {', '.join(PAYLOAD_KEYS)}, or the line itself",
        "recv_unit": "s, ms, us or ns; default: by magnitude",
        "on_error": "stop (default) at a malformed line, or skip and count it",
    }

    def sniff(self, path: Path) -> bool:
        """Whether the first bytes, or the parquet columns, look like recorded frames."""
        try:
            with path.open("rb") as file:
                head = file.read(SNIFF_BYTES)
            if head[:4] == b"PAR1":
                names = set(pq.read_schema(path).names)
                return bool(names & set(PAYLOAD_KEYS)) and bool(names & {"asset_id", "market", "slug", "hash"})
            if head[:2] == b"\x1f\x8b":
                with gzip.open(path, "rb") as file:
                    head = file.read(SNIFF_BYTES)
        except (OSError, EOFError, pa.ArrowInvalid):
            return False
        frame = b'"asset_id"' in head or b"price_changes" in head or b'\\"asset_id\\"' in head
        if head.startswith(RECORDER):
            return b'"venue":"polymarket"' in head
        return (frame and b"market" in head) or (b'"condition_id"' in head and b'"up_token"' in head)

    def run(self, sources: Sequence[Path], options: Mapping[str, Any], sink: RowSink) -> None:
        """Errors: DataError naming file and line for anything malformed (unless on_error is "skip"), truncated or empty;
        ConfigError for an option."""
        settings = Settings.read(options, self.options)
        policy = options.get("on_error", "stop")
        if policy not in ("stop", "skip"):
            raise ConfigError(f"option on_error: {policy!r}", "use stop or skip")
        layout = Layout(
            str(options.get("recv_key", "")),
            str(options.get("payload_key", "")),
            str(options.get("recv_unit", "")),
            settings.wanted,
        )
        _Run(sources, layout, settings, sink, skip=policy == "skip").import_all()


class _Run:
    """One import: the two passes over the same files."""

    def __init__(
        self, sources: Sequence[Path], layout: Layout, settings: Settings, sink: RowSink, *, skip: bool
    ) -> None:
        self._sources = sources
        self._layout = layout
        self._settings = settings
        self._sink = sink
        self._skip = skip
        self._unused: Counter[str] = Counter()
        self._malformed: set[tuple[Path, int]] = set()
        """rows the first pass could not read and the second must not"""
        self._kept: list[tuple[Path, Row]] | None = []
        self._kept_bytes = 0

    def import_all(self) -> None:
        survey, counts = Survey(), []
        for path in self._sources:
            before = survey.frames
            for row in rows(path, self._layout, self._bad):
                self._keep(path, row)
                try:
                    survey.see(row)
                except (KeyError, TypeError, ValueError, ValidationError) as error:
                    self._malformed.add((path, row.number))
                    self._bad(_where(path, row), why(error))
            counts.append(survey.frames - before)
        if not survey.heard and self._settings.wanted:
            missing = ", ".join(sorted(self._settings.wanted))
            raise DataError("option markets", f"{missing}: not in the recording", "give slugs or condition ids it has")
        if not survey.heard:
            names = ", ".join(str(path) for path in self._sources)
            raise DataError(names, "no market-channel frame found", "check the format, or the option payload_key")
        replays = start_replays(survey, self._settings, self._sink, infer_trades=survey.trades == 0)
        for path, frames in zip(self._sources, counts, strict=True):
            info = SourceInfo(path.name, sha256(path), path.stat().st_size, frames)
            buffer = RowBuffer(self._sink, self._sink.source(info))
            for row in self._again(path):
                self._replay(path, row, replays, buffer)
            if path == self._sources[-1]:
                for replay in replays.values():
                    replay.finish(buffer)
            buffer.flush()
        self._notes(survey, replays)

    def _keep(self, path: Path, row: Row) -> None:
        """Keep a small recording's rows for the second pass: decoding a parquet column twice costs more than the rest."""
        if self._kept is None:
            return
        self._kept_bytes += len(row.payload) if isinstance(row.payload, str) else OBJECT_BYTES
        if self._kept_bytes > KEEP_BYTES:
            self._kept = None
        else:
            self._kept.append((path, row))

    def _again(self, path: Path) -> Iterator[Row]:
        """The rows of one file for the second pass."""
        if self._kept is None:
            yield from rows(path, self._layout, _quiet)
        else:
            yield from (row for where, row in self._kept if where == path)

    def _replay(self, path: Path, row: Row, replays: Mapping[str, MarketReplay], buffer: RowBuffer) -> None:
        if row.note is not None and "gap" in row.note:
            lost(row.note, replays, buffer)
        if row.payload is None or is_keepalive(row.payload) or (path, row.number) in self._malformed:
            return
        given = Given(row.tick, row.last)
        try:
            for frame in messages(row.payload):
                self._message(frame, row.recv_ns, given, replays, buffer)
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            self._bad(_where(path, row), why(error))

    def _message(
        self, frame: Mapping[str, Any], recv_ns: int, given: Given, replays: Mapping[str, MarketReplay], rows: RowBuffer
    ) -> None:
        event = event_of(frame)
        if event in UNUSED:
            self._unused[event] += 1
            return
        if event not in ("book", "price_change", "last_trade_price", "tick_size_change", "market_resolved"):
            self._sink.defect("unknown_event")
            return
        replay = replays.get(frame["market"])
        if replay is None:
            return
        play(event, frame, At.of(frame, recv_ns), given, replay, rows, self._sink)

    def _notes(self, survey: Survey, replays: Mapping[str, MarketReplay]) -> None:
        sink = self._sink
        for event, count in sorted(self._unused.items()):
            sink.note(f"{count} {event} frames carry nothing the books do not and were not used")
        common_notes(replays, sink)
        if any(replay.inferred for replay in replays.values()):
            sink.note(
                "the recording holds no trades: they are inferred from consecutive books and the last trade price"
            )

    def _bad(self, where: str, what: str) -> None:
        if not self._skip:
            raise DataError(where, what, 'remove the line, or set on_error = "skip" to count and drop such lines')
        self._sink.defect("malformed_row")


def start_replays(survey: Survey, settings: Settings, sink: RowSink, *, infer_trades: bool) -> dict[str, MarketReplay]:
    """One replay per wanted market. Errors: DataError for a market that is not there, ConfigError for a wrong token."""
    markets = survey.wanted(settings.wanted)
    plans: Iterator[Plan] = (survey.plan(market, settings.yes_tokens, settings.gap_ns) for market in markets)
    return {plan.card.market: MarketReplay(plan, settings.scale, sink, infer_trades=infer_trades) for plan in plans}


def play(
    event: str, frame: Mapping[str, Any], at: At, given: Given, replay: MarketReplay, rows: RowBuffer, sink: RowSink
) -> None:
    """Hand one message of a known kind to its market."""
    if event == "book":
        replay.book(frame, at, given, rows)
    elif event == "price_change":
        replay.change(frame, at, given, rows)
    elif event == "last_trade_price":
        replay.trade(frame, at, rows)
    elif event == "tick_size_change":
        replay.tick(frame, at, rows)
    elif replay.plan.card.payoff is None:
        sink.defect("resolution_unreadable")
    else:
        replay.resolve(replay.plan.card.payoff, at, rows)


def lost(note: Mapping[str, Any], replays: Mapping[str, MarketReplay], rows: RowBuffer) -> None:
    """The recorder says that it heard nothing for a while: of the markets in `of`, or of all."""
    for market in note.get("of") or replays:
        if market in replays:
            replays[market].lose(str(note["gap"]), rows)


def common_notes(replays: Mapping[str, MarketReplay], sink: RowSink) -> None:
    """Assumptions a reader of the tape must know."""
    assumed = [replay.plan.card for replay in replays.values() if replay.plan.assumed]
    for card in assumed[:3]:
        sink.note(
            f"YES of {card.slug or card.market} is assumed to be token {card.yes_token}: the recording does not say"
        )
    if len(assumed) > 3:
        sink.note(f"YES is assumed in {len(assumed) - 3} more markets (extra.yes_assumed in the manifest)")
    unverifiable = sum(replay.unverifiable for replay in replays.values())
    if unverifiable:
        sink.note(f"{unverifiable} hashes could not be verified: the recording lacks what they are computed from")


def _quiet(where: str, what: str) -> None:
    """The first pass has already raised for this line or counted it."""


def _where(path: Path, row: Row) -> str:
    return f"{path}:{row.number}" if path.suffix != ".parquet" else f"{path}: row {row.number}"


def why(error: Exception) -> str:
    """What is wrong with a frame, in words."""
    if isinstance(error, KeyError):
        return f"the frame has no {error.args[0]!r}"
    return f"malformed frame: {error}"
