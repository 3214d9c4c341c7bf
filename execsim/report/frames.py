"""The tables of `--out DIR`: orders, fills, positions and equity, as pandas frames and parquet files.

Every amount stands there twice: as an exact decimal in text, and as an integer whose column name says its unit
(`_i` price units of the market's grid, `_lots`, `_units` of the quote asset, `_ns`). `COLUMNS` documents each column; the
same text is in the parquet file as the field's metadata (`description`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from execsim.core.order import FillStatus, Order
from execsim.core.position import Position
from execsim.core.units import plain
from execsim.report.files import replacing
from execsim.report.run import RunRecord
from execsim.tape.grades import grade_at

INT64_MAX: Final = 2**63 - 1


class Column(NamedTuple):
    """One documented column; `dtype` is text, int (never missing), int? (may be missing) or time (UTC, ns)."""

    name: str
    dtype: str
    doc: str


_PANDAS: Final = {"text": "str", "int": "int64", "int?": "Int64", "time": "datetime64[ns, UTC]"}
_ARROW: Final = {"text": pa.string(), "int": pa.int64(), "int?": pa.int64(), "time": pa.timestamp("ns", tz="UTC")}

_WHERE: Final = (
    Column("venue", "text", "venue id"),
    Column("market", "text", "market id"),
    Column("quote", "text", "asset that money columns count"),
)

COLUMNS: Final[Mapping[str, tuple[Column, ...]]] = {
    "orders": (
        Column("order_id", "text", "our id; joins fills.order_id and the journal"),
        *_WHERE,
        Column("venue_order_id", "text", "the venue's id, missing if it never booked the order"),
        Column("side", "text", "buy or sell"),
        Column("outcome", "text", "token traded: yes or no; yes for spot"),
        Column("type", "text", "limit, market or post_only"),
        Column("tif", "text", "gtc, gtd, ioc or fok"),
        Column("status", "text", "last known state"),
        Column("created", "time", "when the strategy made it"),
        Column("created_ns", "int", "the same, ns since the epoch"),
        Column("updated_ns", "int", "last change of state, ns since the epoch"),
        Column("expire_ns", "int?", "when a gtd order lapses, ns since the epoch"),
        Column("price", "text", "limit price of the traded outcome, missing for a market order without one"),
        Column("price_i", "int?", "the same, in price units"),
        Column("size", "text", "size wanted, missing when the order names an amount of money"),
        Column("size_lots", "int?", "the same, in lots"),
        Column("quote_amount", "text", "money to spend, missing when the order names a size"),
        Column("quote_amount_units", "int?", "the same, in units of the quote asset"),
        Column("filled_size", "text", "size filled"),
        Column("filled_lots", "int", "the same, in lots"),
        Column("avg_fill_price", "text", "average price of the fills, 12 significant digits"),
        Column("filled_cash", "text", "money that changed hands, unsigned, without fees"),
        Column("filled_cash_units", "int?", "the same, in units of the quote asset"),
        Column("fees", "text", "fees paid, negative for a rebate"),
        Column("fees_units", "int?", "the same, in units of the quote asset"),
        Column("reason", "text", "why it was refused, cancelled or expired"),
        Column("tag", "text", "the strategy's own label"),
    ),
    "fills": (
        Column("fill_id", "text", "id of the fill"),
        Column("order_id", "text", "our id of the order"),
        *_WHERE,
        Column("at", "time", "when it happened at the venue"),
        Column("ts_ns", "int", "the same, ns since the epoch"),
        Column("side", "text", "buy or sell"),
        Column("outcome", "text", "token traded: yes or no; yes for spot"),
        Column("price", "text", "price of the traded outcome"),
        Column("price_i", "int", "the same, in price units"),
        Column("size", "text", "size"),
        Column("size_lots", "int", "the same, in lots"),
        Column("cash", "text", "money received (paid: negative), without the fee"),
        Column("cash_units", "int?", "the same, in units of the quote asset"),
        Column("fee", "text", "fee, negative for a rebate"),
        Column("fee_units", "int?", "the same, in units of the quote asset"),
        Column("liquidity", "text", "maker or taker"),
        Column("cause", "text", "why the simulated exchange filled it; reported when a real venue said so"),
        Column("evidence", "text", "recorded or inferred: what kind of tape row it rests on"),
        Column("row_seq", "int?", "that row's seq on the tape"),
        Column(
            "grade", "text", "of that minute of the recording (A, B, C, F: data check), missing where there is none"
        ),
        Column("status", "text", "provisional, confirmed or voided"),
        Column("position_size", "text", "net YES size of the market after this fill, counting fills only"),
        Column("position_lots", "int", "the same, in lots"),
        Column("realised", "text", "profit this fill realised, before its fee; 0 for a voided fill"),
        Column("realised_units", "int?", "the same, in units of the quote asset"),
    ),
    "positions": (
        *_WHERE,
        Column("size", "text", "net YES size, negative when short"),
        Column("net_lots", "int", "the same, in lots"),
        Column("yes_lots", "int", "YES tokens (or base asset) held, in lots"),
        Column("no_lots", "int", "NO tokens held, in lots"),
        Column("traded_lots", "int", "size of all fills, in lots"),
        Column("avg_price", "text", "average entry price in YES terms, 12 significant digits; missing when flat"),
        Column("mark", "text", "YES price the position was valued at, missing where there was none"),
        Column("mark_i", "int?", "the same, in price units"),
        Column("cost", "text", "what the net position cost in YES terms, negative when received"),
        Column("cost_units", "int?", "the same, in units of the quote asset"),
        Column("cash", "text", "money in minus money out, fees included"),
        Column("cash_units", "int?", "the same, in units of the quote asset"),
        Column("realised", "text", "profit of closed size, before fees"),
        Column("realised_units", "int?", "the same, in units of the quote asset"),
        Column("unrealised", "text", "profit of open size at the mark, missing without a mark"),
        Column("unrealised_units", "int?", "the same, in units of the quote asset"),
        Column("fees", "text", "fees paid, rebates taken off"),
        Column("fees_units", "int?", "the same, in units of the quote asset"),
        Column("net", "text", "realised + unrealised - fees, missing without a mark"),
        Column("net_units", "int?", "the same, in units of the quote asset"),
    ),
    "equity": (
        Column("at", "time", "sample time"),
        Column("ts_ns", "int", "the same, ns since the epoch"),
        Column("item", "text", "net_pnl (of a quote asset) or inventory (of a market)"),
        Column("name", "text", "quote asset or market id"),
        Column("value", "text", "net profit after fees, or net YES size"),
        Column("value_i", "int?", "the same as an integer: quote units or lots"),
        Column("unit", "text", "what value_i counts: units or lots"),
    ),
}
"""Table -> its columns in order. A `_units` column is missing where the amount does not fit 64 bits; its text has it."""

Values = dict[str, Any]


def values(table: str, record: RunRecord) -> Iterator[Values]:
    """The rows of orders, fills or positions, by column name."""
    if table == "orders":
        yield from (_order_row(order) for order in record.orders)
    elif table == "fills":
        yield from _fill_rows(record)
    else:
        yield from (_position_row(p, record.marks.get(m)) for m, p in record.positions.items())


def orders_frame(record: RunRecord) -> pd.DataFrame:
    """One row an order, in the order they were made."""
    return _frame("orders", values("orders", record))


def fills_frame(record: RunRecord) -> pd.DataFrame:
    """One row a fill, in booking order. Positions and realised profit are folded from the fills alone: splits, merges
    and the payout of a resolved market are not fills and do not show here (see positions)."""
    return _frame("fills", values("fills", record))


def positions_frame(record: RunRecord) -> pd.DataFrame:
    """One row a market that has a position or had one."""
    return _frame("positions", values("positions", record))


def equity_frame(record: RunRecord) -> pd.DataFrame:
    """Long form, one row a sample and series; `frame.pivot(index="ts_ns", columns="name", values="value_i")` is wide."""
    equity, assets = record.equity, record.assets()
    series: list[tuple[str, str, str, Sequence[int], Callable[[int], Decimal]]] = [
        *(("net_pnl", name, "units", units, assets[name].decimal) for name, units in equity.net.items()),
        *(("inventory", m, "lots", lots, record.instruments[m].grid.size) for m, lots in equity.net_lots.items()),
    ]
    return _frame(
        "equity",
        (
            {
                "at": ts_ns,
                "ts_ns": ts_ns,
                "item": item,
                "name": name,
                "value": plain(decimal(values[i])),
                "value_i": _fitting(values[i]),
                "unit": unit,
            }
            for item, name, unit, values, decimal in series
            for i, ts_ns in enumerate(equity.ts_ns)
        ),
    )


def write_frames(record: RunRecord, folder: Path) -> list[Path]:
    """Write orders, fills, positions and equity.parquet into `folder`, each atomically; returns their paths.

    Errors: ConfigError when the folder cannot be written.
    """
    frames = {
        "orders": orders_frame(record),
        "fills": fills_frame(record),
        "positions": positions_frame(record),
        "equity": equity_frame(record),
    }
    return write_tables(frames, folder)


def write_tables(frames: Mapping[str, pd.DataFrame], folder: Path, format: str = "parquet") -> list[Path]:
    """Write documented frames as parquet or csv files, each atomically; returns their paths. In csv a missing value is an
    empty cell and times are ISO 8601, UTC. Errors: ConfigError when the folder cannot be written."""
    paths = []
    for name, frame in frames.items():
        path = folder / f"{name}.{format}"
        with replacing(path) as temporary:
            if format == "csv":
                frame.to_csv(temporary, index=False)
            else:
                table = pa.Table.from_pandas(frame, schema=_schema(name), preserve_index=False)
                pq.write_table(table, temporary, compression="zstd")
        paths.append(path)
    return paths


def _order_row(order: Order) -> Values:
    inst = order.instrument
    quote = inst.quote.decimal
    return {
        "order_id": order.id,
        **_where(inst.venue, inst.market, inst.quote.name),
        "venue_order_id": order.venue_order_id,
        "side": order.side,
        "outcome": order.outcome,
        "type": order.type,
        "tif": order.tif,
        "status": order.status,
        "created": order.created_ns,
        "created_ns": order.created_ns,
        "updated_ns": order.updated_ns,
        "expire_ns": order.expire_ns,
        **_exact("price", order.price_i, inst.grid.price, "_i"),
        **_exact("size", order.size_lots, inst.grid.size, "_lots"),
        **_exact("quote_amount", order.quote_amount, quote),
        "filled_size": plain(inst.grid.size(order.filled_lots)),
        "filled_lots": order.filled_lots,
        "avg_fill_price": rounded(order.avg_fill_price),
        **_exact("filled_cash", order.filled_cash, quote),
        **_exact("fees", order.fees_paid, quote),
        "reason": order.reason,
        "tag": order.tag,
    }


def _fill_rows(record: RunRecord) -> Iterator[Values]:
    folded: dict[str, Position] = {}
    for order, fill in record.fills:
        inst = order.instrument
        position = folded.setdefault(inst.market, Position(inst))
        before = position.realised
        if fill.status is not FillStatus.VOIDED:
            position.apply(fill)
        yield {
            "fill_id": fill.id,
            "order_id": fill.order_id,
            **_where(inst.venue, inst.market, inst.quote.name),
            "at": fill.ts_ns,
            "ts_ns": fill.ts_ns,
            "side": fill.side,
            "outcome": fill.outcome,
            **_exact("price", fill.price_i, inst.grid.price, "_i"),
            **_exact("size", fill.lots, inst.grid.size, "_lots"),
            **_exact("cash", fill.cash, inst.quote.decimal),
            **_exact("fee", fill.fee, inst.quote.decimal),
            "liquidity": fill.liquidity,
            "cause": fill.cause,
            "evidence": fill.evidence,
            "row_seq": fill.row_seq,
            "grade": grade_at(record.grades.get(inst.market, ()), fill.ts_ns),
            "status": fill.status,
            "position_size": plain(position.size),
            "position_lots": position.net_lots,
            **_exact("realised", position.realised - before, inst.quote.decimal),
        }


def _position_row(position: Position, mark_i: int | None) -> Values:
    inst = position.instrument
    quote = inst.quote.decimal
    unrealised = None if mark_i is None else position.unrealised(mark_i)
    if not position.net_lots:
        unrealised = 0
    net = None if unrealised is None else position.realised + unrealised - position.fees
    return {
        **_where(inst.venue, inst.market, inst.quote.name),
        "size": plain(position.size),
        "net_lots": position.net_lots,
        "yes_lots": position.yes_lots,
        "no_lots": position.no_lots,
        "traded_lots": position.traded_lots,
        "avg_price": rounded(position.avg_price),
        **_exact("mark", mark_i, inst.grid.price, "_i"),
        **_exact("cost", position.cost, quote),
        **_exact("cash", position.cash, quote),
        **_exact("realised", position.realised, quote),
        **_exact("unrealised", unrealised, quote),
        **_exact("fees", position.fees, quote),
        **_exact("net", net, quote),
    }


def _where(venue: str, market: str, quote: str) -> Values:
    return {"venue": venue, "market": market, "quote": quote}


def _exact(name: str, value: int | None, decimal: Callable[[int], Decimal], suffix: str = "_units") -> Values:
    text = None if value is None else plain(decimal(value))
    return {name: text, name + suffix: None if value is None else _fitting(value)}


def _fitting(value: int) -> int | None:
    return value if -INT64_MAX <= value <= INT64_MAX else None


def rounded(value: Decimal | None) -> str | None:
    """A quotient (an average price) as text with 12 significant digits: its exact form may not end."""
    return None if value is None else plain(Decimal(f"{value:.12g}"))


def _frame(table: str, rows: Iterable[Values]) -> pd.DataFrame:
    """Rows as a frame with the documented dtypes, the same when there are none."""
    columns = COLUMNS[table]
    held = list(rows)
    data = {}
    for column in columns:
        values = [row[column.name] for row in held]
        if column.dtype == "text":
            values = [None if value is None else str(value) for value in values]
        data[column.name] = pd.Series(values, dtype=_PANDAS[column.dtype])
    return pd.DataFrame(data, columns=[column.name for column in columns])


def _schema(table: str) -> pa.Schema:
    return pa.schema(
        [
            pa.field(c.name, _ARROW[c.dtype], nullable=c.dtype in ("text", "int?"), metadata={"description": c.doc})
            for c in COLUMNS[table]
        ]
    )
