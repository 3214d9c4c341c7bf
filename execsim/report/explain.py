"""One order's life in words: `execsim explain RUN ORDER_ID`, from the journal and the venue's trace of a finished run.

The journal is what our side knew and when; the trace is what happened at the venue. Both are merged by time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from execsim.core.errors import ConfigError, OrderNotFound
from execsim.core.units import NS_PER_MS, NS_PER_S, plain
from execsim.journal import JournalRow, read
from execsim.tape.rows import SOURCE_SHIFT
from execsim.tape.schema import Kind

JOURNAL: Final = "journal.sqlite"
TRACE: Final = "trace.sqlite"

ASKED: Final = ("intent", "cancel", "amend_ask")
"""Journal rows of what we ask for."""

ROW_KINDS: Final = {
    int(Kind.SNAPSHOT): "the book was read anew", int(Kind.LEVEL): "the level changed", int(Kind.TRADE): "a trade printed",
    int(Kind.BBO): "the best price changed",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened. `where`: "us" or "venue"; `queue`: a mere move of the queue position."""

    ts_ns: int
    where: str
    text: str
    queue: bool = False


@dataclass(slots=True)
class Life:
    """An order's life: what it was, what happened to it, and the money."""

    order_id: str
    title: str
    lines: list[Line] = field(default_factory=list)
    money: str = ""


@dataclass(frozen=True, slots=True)
class Units:
    """How the integers of one market read."""

    price_unit: Decimal
    lot: Decimal
    quote: str
    quote_unit: Decimal

    def price(self, price_i: int | None) -> str:
        return "market" if price_i is None else plain(price_i * self.price_unit)

    def size(self, lots: int | None) -> str:
        return "" if lots is None else plain(lots * self.lot)

    def money(self, units: int) -> str:
        return f"{plain(units * self.quote_unit)} {self.quote}"


def explain(run: Path, order_id: str) -> Life:
    """Read an order's life from the folder that `execsim run --out` wrote.

    Errors: ConfigError when the folder has no journal or no trace; OrderNotFound naming orders it does have; JournalError.
    """
    for name in (JOURNAL, TRACE):
        if not (run / name).is_file():
            what = f"{run} has no {name}"
            raise ConfigError(what, "name a folder written by `execsim run SCENARIO --out DIR`, with its journal on")
    journal = [row for row in read(run / JOURNAL) if row.order_id == order_id]
    if not journal:
        known = list(dict.fromkeys(row.order_id for row in read(run / JOURNAL) if row.order_id))
        some = ", ".join(known[:5]) + (", ..." if len(known) > 5 else "")
        raise OrderNotFound(order_id, f"the run has {len(known)} orders: {some}" if known else "the run has no orders")
    trace, markets = [], {}
    for row in read(run / TRACE):
        if row.kind == "market":
            markets[row.body["market"]] = _units(row.body)
        elif row.order_id == order_id:
            trace.append(row)
    intent = next((row.body for row in journal if "market" in row.body), {})
    units = markets.get(intent.get("market", ""), Units(Decimal(1), Decimal(1), "", Decimal(1)))
    life = Life(order_id, _title(intent, units))
    told = [(row.ts_ns, 1, rank, line) for rank, row in enumerate(trace) for line in _venue(row, units)]
    # at one instant we ask first, then it travels, and what we hear comes last
    for rank, row in enumerate(journal):
        told += [(line.ts_ns, 0 if row.kind in ASKED else 2, rank, line) for line in _ours(row, units)]
    life.lines = [line for *_, line in sorted(told, key=lambda item: item[:3])]
    life.money = _money(journal, units)
    return life


def _units(body: Mapping[str, Any]) -> Units:
    return Units(Decimal(body["price_unit"]), Decimal(body["lot"]), body["quote"], Decimal(body["quote_unit"]))


def _title(intent: Mapping[str, Any], units: Units) -> str:
    size = units.size(intent.get("size_lots"))
    if intent.get("quote_units") is not None:
        size = f"for {units.money(intent['quote_units'])}"
    said = (
        intent.get("market", "?"), f"{intent.get('side', '')} {size} {str(intent.get('outcome', '')).upper()}",
        f"at {units.price(intent.get('price_i'))}", f"{intent.get('type', '')} {intent.get('tif', '')}",
    )  # fmt: skip
    return " · ".join(said)


def _ours(row: JournalRow, units: Units) -> Iterator[Line]:
    """What our side knew."""
    body = row.body
    if row.kind == "intent":
        if body["created_ns"] < row.ts_ns:
            yield Line(body["created_ns"], "us", "made by the strategy")
        yield Line(row.ts_ns, "us", "checked and sent" if body["created_ns"] < row.ts_ns else "made, checked and sent")
    elif row.kind == "ack":
        yield Line(row.ts_ns, "us", f"heard that the venue booked it as {body['venue_order_id']}")
    elif row.kind == "fill":
        yield Line(row.ts_ns, "us", f"heard of fill {body['fill_id']}: {units.size(body['lots'])}")
    elif row.kind in ("void", "mined", "confirm"):
        words = {"void": "failed on chain: undone", "mined": "was mined", "confirm": "is final"}
        yield Line(row.ts_ns, "us", f"heard that fill {body['fill_id']} {words[row.kind]}")
    elif row.kind == "refuse":
        by = "we refused it" if body["by"] == "ours" else "heard that the venue refused it"
        yield Line(row.ts_ns, "us", f"{by}: {body['reason']}")
    elif row.kind == "silence":
        yield Line(row.ts_ns, "us", f"nobody answered the {body['call']}: {body['reason']}")
    elif row.kind == "cancel":
        yield Line(row.ts_ns, "us", "asked for a cancel")
    elif row.kind in ("gone", "lapse"):
        yield Line(row.ts_ns, "us", f"over: {body['reason']}")
    elif row.kind in ("amend_ask", "amend"):
        what = [f"price {units.price(body['price_i'])}"] if body["price_i"] is not None else []
        what += [f"size {units.size(body['size_lots'])}"] if body["size_lots"] is not None else []
        verb = "asked for" if row.kind == "amend_ask" else "amended to"
        yield Line(row.ts_ns, "us", f"{verb} {' and '.join(what)}")
    else:
        said = ", ".join(f"{key} {value}" for key, value in body.items() if value not in ("", None))
        yield Line(row.ts_ns, "us", f"{row.kind}: {said}")


def _venue(row: JournalRow, units: Units) -> Iterator[Line]:
    """What happened at the venue, which our side could not see."""
    body, kind = row.body, row.kind
    if kind == "sent":
        ms = (body["arrives_ns"] - row.ts_ns) / NS_PER_MS
        yield Line(row.ts_ns, "venue", f"{body['request']} request under way, {ms:.3f} ms")
    elif kind == "booked":
        takes = f", takes {units.size(body['takes'])} at once" if body["takes"] else ""
        yield Line(row.ts_ns, "venue", f"arrived and booked as {body['venue_order_id']}{takes}")
    elif kind == "rests":
        ahead = "" if body["ahead"] is None else f" behind {units.size(body['ahead'])}"
        yield Line(row.ts_ns, "venue", f"joins the queue with {units.size(body['left'])}{ahead}")
    elif kind == "queue":
        why = ROW_KINDS.get(body["row_kind"], "the market moved")
        at = f"{units.size(body['row_size'])} at {units.price(body['row_price_i'])}, row {_seq(body['row_seq'])}"
        moved = f"{units.size(body['before'])} → {units.size(body['ahead'])}"
        yield Line(row.ts_ns, "venue", f"queue ahead {moved}: {why} ({at})", queue=True)
    elif kind == "fill":
        cause = body["cause"].replace("_", " ")
        evidence = (
            f"{body['evidence']} row {_seq(body['row_seq'])}" if body["row_seq"] is not None else body["evidence"]
        )
        what = f"{units.size(body['lots'])} at {units.price(body['price_i'])} as {body['liquidity']}"
        settles = "" if body["match"] == "swap" else f" ({body['match']})"
        cash = f"cash {units.money(body['cash_units'])}, fee {units.money(body['fee_units'])}"
        said = f"fill {body['fill_id']}: {what}{settles}, because of {cause}, {evidence}; {cash}"
        yield Line(row.ts_ns, "venue", f"{said}; {units.size(body['left'])} left")
    elif kind == "ended":
        yield Line(row.ts_ns, "venue", f"ended: {body['status']}")
    elif kind == "refused":
        yield Line(row.ts_ns, "venue", f"arrived and refused: {body['reason']}")
    elif kind == "delayed":
        yield Line(row.ts_ns, "venue", f"would take: waits {body['wait_ns'] / NS_PER_MS:g} ms")
    elif kind == "shrunk":
        yield Line(row.ts_ns, "venue", f"made smaller, keeps its place: {units.size(body['left'])} left")
    elif kind in ("mined", "confirmed", "voided"):
        words = {"mined": "is in a block", "confirmed": "is final", "voided": "failed on chain"}
        yield Line(row.ts_ns, "venue", f"fill {body['fill_id']} {words[kind]}")
    elif kind == "request_lost":
        yield Line(row.ts_ns, "venue", f"{body['request']} request lost on the way ({body['how']})")
    elif kind in ("answer_lost", "answer_late"):
        late = "" if kind == "answer_lost" else f" by {body['late_ns'] / NS_PER_MS:g} ms"
        yield Line(row.ts_ns, "venue", f"answer to the {body['request']} {kind.removeprefix('answer_')}{late}")
    elif kind == "refused_at_door":
        yield Line(row.ts_ns, "venue", f"refused at the door: {body['reason']}")
    elif kind == "throttled":
        yield Line(row.ts_ns, "venue", f"held at the door for {body['wait_ns'] / NS_PER_MS:g} ms")


def _seq(row_seq: int) -> str:
    """A tape row as `data`'s number, and its row there."""
    source, seq = row_seq >> SOURCE_SHIFT, row_seq & ((1 << SOURCE_SHIFT) - 1)
    return f"{seq}" if source == 0 else f"{seq} of data[{source}]"


def _money(journal: list[JournalRow], units: Units) -> str:
    fills = {row.body["fill_id"]: row.body for row in journal if row.kind == "fill"}
    voided = [row.body["fill_id"] for row in journal if row.kind == "void"]
    standing = [body for fill_id, body in fills.items() if fill_id not in voided]
    cash, fees = sum(b["cash_units"] for b in standing), sum(b["fee_units"] for b in standing)
    lots = sum(b["lots"] for b in standing)
    if not fills:
        return "no fill, no money moved"
    average = f", {plain(round(abs(cash) * units.quote_unit / (lots * units.lot), 6))} on average" if lots else ""
    undone = f"; {len(voided)} of {len(fills)} fills were undone" if voided else ""
    verb = "paid" if cash < 0 else "received"
    return f"{units.size(lots)} traded{average}: {verb} {units.money(abs(cash))}, fees {units.money(fees)}{undone}"


def as_text(life: Life, queue_lines_max: int | None) -> Iterator[str]:
    """The life as lines for a terminal: time of day, time since it was sent, where, what. At most `queue_lines_max` moves of
    the queue are shown in a row (None: all of them)."""
    yield f"order {life.order_id}: {life.title}"
    start_ns = life.lines[0].ts_ns if life.lines else 0
    run: list[Line] = []
    for line in [*life.lines, Line(0, "", "")]:
        if line.queue:
            run.append(line)
            continue
        yield from _queue_moves(run, start_ns, queue_lines_max)
        run = []
        if line.where:
            yield _shown(line, start_ns)
    yield f"money: {life.money}"


def _queue_moves(run: list[Line], start_ns: int, most: int | None) -> Iterator[str]:
    if most is None or len(run) <= most:
        yield from (_shown(line, start_ns) for line in run)
        return
    first = (most + 1) // 2
    yield from (_shown(line, start_ns) for line in run[:first])
    yield f"{'':33}  ... {len(run) - most} more moves of the queue (--all shows them) ..."
    yield from (_shown(line, start_ns) for line in run[len(run) - most // 2 :] if most > 1)


def _shown(line: Line, start_ns: int) -> str:
    stamp = datetime.fromtimestamp(line.ts_ns // NS_PER_S, UTC).strftime("%H:%M:%S")
    since = (line.ts_ns - start_ns) / NS_PER_MS
    return f"{stamp}.{line.ts_ns % NS_PER_S // 1000:06d}  {since:>+12.3f} ms  {line.where:<5}  {line.text}"
