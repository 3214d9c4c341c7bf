from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execsim.core.errors import DataError
from execsim.core.instrument import Asset, Instrument, InstrumentKind, Outcome
from execsim.core.order import OrderType, Side, TimeInForce
from execsim.core.units import NS_PER_S, Grid
from execsim.scenario import script
from execsim.scenario.script import load_script, utc
from execsim.strategy.orders import Action, ScriptedOrder

START_NS = 1_776_254_400 * NS_PER_S
"""2026-04-15T12:00:00Z"""
HEADER = "time,market,side,type,tif,price,size"
CENT, MICRO = Decimal("0.01"), Decimal("0.000001")
MARKETS = {
    "btc-up": Instrument(
        "polymarket",
        "btc-up",
        InstrumentKind.BINARY,
        Grid(CENT, CENT),
        Asset("YES", MICRO),
        Asset("pUSD", MICRO),
        complement=Asset("NO", MICRO),
    ),
    "BTCUSDT": Instrument(
        "binance", "BTCUSDT", InstrumentKind.SPOT, Grid(CENT, CENT), Asset("BTC", CENT), Asset("USDT", MICRO)
    ),
}


def load(folder: Path, text: str, end_ns: int | None = None) -> tuple[ScriptedOrder, ...]:
    path = folder / "orders.csv"
    path.write_text(text, encoding="utf-8")
    return load_script(path, MARKETS, START_NS, end_ns)


def one(folder: Path, row: str, more: str = "") -> ScriptedOrder:
    return load(folder, f"{HEADER}{more}\n{row}\n")[0]


def test_a_row_becomes_a_ready_value(tmp_path: Path) -> None:
    assert one(tmp_path, "+1.5s,btc-up,buy,limit,gtc,0.48,100") == ScriptedOrder(
        at_ns=START_NS + 1_500_000_000, id="row-2", market="btc-up", price=Decimal("0.48"), size=Decimal(100)
    )


def test_every_column(tmp_path: Path) -> None:
    columns = ",amount,outcome,expire,id,action"
    placed, market, cancel = load(
        tmp_path,
        f"{HEADER}{columns}\n"
        "+1s,btc-up,SELL,post-only,gtd,0.48,100,,no,+30s,mine,place\n"
        "+2s,BTCUSDT,buy,market,,,,25.5,,,,\n"
        "\n"
        "+3s,,,,,,,,,,mine,cancel\n",
    )
    assert (placed.side, placed.type, placed.tif) == (Side.SELL, OrderType.POST_ONLY, TimeInForce.GTD)
    assert (placed.outcome, placed.id, placed.expire_ns) == (Outcome.NO, "mine", START_NS + 31 * NS_PER_S)
    assert (market.type, market.tif, market.id) == (OrderType.MARKET, TimeInForce.IOC, "row-3")
    assert (market.price, market.size, market.amount) == (None, None, Decimal("25.5"))
    assert (cancel.action, cancel.id, cancel.at_ns) == (Action.CANCEL, "mine", START_NS + 3 * NS_PER_S)


@pytest.mark.parametrize(
    ("text", "after_ns"),
    [
        ("2026-04-15T12:00:01Z", 1_000_000_000),
        ("2026-04-15 12:00:01", 1_000_000_000),
        ("2026-04-15T12:01Z", 60_000_000_000),
        ("2026-04-16", 43_200_000_000_000),
        ("2026-04-15T14:00:01.123456789+02:00", 1_123_456_789),
        ("2026-04-15T12:00:00.5Z", 500_000_000),
        ("1776254401", 1_000_000_000),
        ("1776254400.123456789", 123_456_789),
        ("1776254400500", 500_000_000),
        ("1776254400500000.25", 500_000_250),
        ("1776254400500000001", 500_000_001),
        ("1776254400500 ms", 500_000_000),
        ("+0s", 0),
        ("+.25s", 250_000_000),
        ("+3us", 3_000),
        ("+2m", 120_000_000_000),
        ("+1h", 3_600_000_000_000),
    ],
)
def test_times_are_exact(tmp_path: Path, text: str, after_ns: int) -> None:
    assert one(tmp_path, f"{text},btc-up,buy,limit,gtc,0.48,100").at_ns == START_NS + after_ns


@given(st.integers(START_NS, START_NS + 10**17))
def test_an_instant_survives_its_own_text(tmp_path_factory: pytest.TempPathFactory, t_ns: int) -> None:
    assert one(tmp_path_factory.getbasetemp(), f"{utc(t_ns)},btc-up,buy,limit,gtc,0.48,100").at_ns == t_ns


def test_orders_come_by_time_and_equal_times_in_file_order(tmp_path: Path) -> None:
    rows = "\n".join(f"+{t}s,btc-up,buy,limit,gtc,0.48,{n + 1}" for n, t in enumerate([3, 1, 3, 2]))
    assert [int(order.size or 0) for order in load(tmp_path, f"{HEADER}\n{rows}\n")] == [2, 4, 1, 3]


@pytest.mark.parametrize(
    ("row", "column", "what", "hint"),
    [
        ("tomorrow,btc-up,buy,limit,gtc,0.48,1", "time", "'tomorrow' is no time", "write ISO 8601"),
        ("2026-13-01,btc-up,buy,limit,gtc,0.48,1", "time", "is no date and time", "check month"),
        ("+5,btc-up,buy,limit,gtc,0.48,1", "time", "'+5' has no unit", "write +1.5s"),
        ("+0.5ns,btc-up,buy,limit,gtc,0.48,1", "time", "finer than a nanosecond", "at most 9 decimals"),
        ("99999999999999999999,btc-up,buy,limit,gtc,0.48,1", "time", "out of range", ""),
        ("1700000000,btc-up,buy,limit,gtc,0.48,1", "time", "starts at 2026-04-15T12:00:00Z", "e.g. +1s"),
        (",btc-up,buy,limit,gtc,0.48,1", "time", "'' is no time", ""),
        ("+1s,btc,buy,limit,gtc,0.48,1", "market", "'btc' is not a market of this run", "btc-up, BTCUSDT"),
        ("+1s,btc-up,long,limit,gtc,0.48,1", "side", "'long' is unknown", "one of: buy, sell"),
        ("+1s,btc-up,,limit,gtc,0.48,1", "side", "'' is unknown", "one of: buy, sell"),
        ("+1s,btc-up,buy,stop,gtc,0.48,1", "type", "'stop' is unknown", "limit, market, post_only"),
        ("+1s,btc-up,buy,limit,day,0.48,1", "tif", "'day' is unknown", "gtc, gtd, ioc, fok"),
        ("+1s,btc-up,buy,limit,gtd,0.48,1", "expire", "a gtd order needs its expiry", "+30s after"),
        ("+1s,btc-up,buy,limit,gtc,,1", "price", "a limit order needs a price", "or type market"),
        ("+1s,btc-up,buy,market,ioc,0.5,1", "price", "a market order has no price", "tif ioc"),
        ("+1s,btc-up,buy,limit,gtc,0.485,1", "price", "0.485 is not a multiple of 0.01", "finest price"),
        ("+1s,btc-up,buy,limit,gtc,half,1", "price", "'half' is not a number", "like 0.48"),
        ("+1s,btc-up,buy,limit,gtc,nan,1", "price", "'nan' is not a number", ""),
        ("+1s,btc-up,buy,limit,gtc,0.48,-3", "size", "-3 is not positive", "`side` says the direction"),
        ("+1s,btc-up,buy,limit,gtc,0.48,", "size", "exactly one of size and amount", ""),
        ("+1s,btc-up,buy,limit,gtc,0.48,0.001", "size", "0.001 is not a multiple of 0.01", ""),
    ],
)
def test_a_wrong_cell_is_named_with_its_fix(tmp_path: Path, row: str, column: str, what: str, hint: str) -> None:
    with pytest.raises(DataError) as caught:
        one(tmp_path, row)
    where, said, fix = caught.value.args
    assert where == f"{tmp_path / 'orders.csv'}, line 2, column {column}"
    assert what in said
    assert hint in fix


@pytest.mark.parametrize(
    ("cells", "column", "what"),
    [
        ("limit,gtc,0.48,,5,,,,", "amount", "a limit order has no amount"),
        ("market,ioc,,1,5,,,,", "size", "exactly one of size and amount"),
        ("market,ioc,,,0.0000001,,,,", "amount", "is not a multiple of 0.000001"),
        ("limit,gtc,0.48,1,,maybe,,,", "outcome", "'maybe' is unknown"),
        ("limit,gtc,0.48,1,,,+5s,,", "expire", "a gtc order has no expiry"),
        ("limit,gtd,0.48,1,,,+0s,,", "expire", "is not after the order's time"),
        ("limit,gtc,0.48,1,,,,,amend", "action", "'amend' is unknown"),
        (",,,,,,,,cancel", "id", "a cancel row names no order"),
        (",,,,,,,ghost,cancel", "id", "no order 'ghost' is placed before this cancel"),
    ],
)
def test_a_wrong_optional_cell_is_named(tmp_path: Path, cells: str, column: str, what: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        one(tmp_path, f"+1s,btc-up,buy,{cells}", ",amount,outcome,expire,id,action")
    assert caught.value.args[0].endswith(f"line 2, column {column}")


def test_spot_has_no_outcomes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="BTCUSDT is a spot market and has no outcomes"):
        one(tmp_path, "+1s,BTCUSDT,buy,limit,gtc,50000,1,no", ",outcome")


def test_a_time_after_the_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="after the data, which ends at 2026-04-15T12:00:09Z"):
        load(tmp_path, f"{HEADER}\n+9.1s,btc-up,buy,limit,gtc,0.48,1\n", START_NS + 9 * NS_PER_S)


def test_ids_are_unique_and_cancels_come_later(tmp_path: Path) -> None:
    head = f"{HEADER},id,action\n"
    with pytest.raises(DataError, match=r"line 3, column id: 'a' is also the id of .*line 2; give each"):
        load(tmp_path, head + "+1s,btc-up,buy,limit,gtc,0.48,1,a,\n+2s,btc-up,buy,limit,gtc,0.48,1,a,\n")
    with pytest.raises(DataError, match="line 3, column id: no order 'a' is placed before"):
        load(tmp_path, head + "+2s,btc-up,buy,limit,gtc,0.48,1,a,\n+1s,,,,,,,a,cancel\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column time, market, side"),
        ("time,market,side,type,tif,price\n", "has no column size; a script needs time"),
        (f"{HEADER},colour\n", "column 'colour' is unknown; columns may be time"),
        (f"{HEADER},size\n", "column 'size' appears twice"),
        (f"{HEADER}\n", "holds no orders"),
        (f"{HEADER}\n+1s,btc-up\n", "line 2: has 2 cells, the header has 7; check its commas"),
        (f'{HEADER}\n"+1s,btc-up\n', "is not a CSV in UTF-8"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(tmp_path, text)


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content, message in (
        ("none.csv", None, "no such file"),
        ("none.parquet", None, "no such file"),
        ("orders.json", b"{}", "is neither .csv nor .parquet"),
        ("latin.csv", HEADER.encode() + b"\n\xff", "is not a CSV in UTF-8"),
        ("cut.parquet", b"PAR1 and then nothing", "cannot be read"),
    ):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=message):
            load_script(tmp_path / name, MARKETS, START_NS)
    monkeypatch.setattr(script, "SCRIPT_ROWS_MAX", 2)
    rows = "+1s,btc-up,buy,limit,gtc,0.48,1\n"
    assert len(load(tmp_path, f"{HEADER}\n{rows * 2}")) == 2
    with pytest.raises(DataError, match="has more than 2 rows; split the script"):
        load(tmp_path, f"{HEADER}\n{rows * 3}")


def test_a_byte_order_mark_and_spaces_do_not_matter(tmp_path: Path) -> None:
    assert (
        load(tmp_path, f"\ufeff{HEADER.replace(',', ' , ')}\n +1s , btc-up,buy ,limit,gtc, 0.48,1\n")[0].id == "row-2"
    )


def test_parquet_gives_the_same_orders(tmp_path: Path) -> None:
    columns = {
        "time": pa.array([datetime(2026, 4, 15, 12, 0, 1, tzinfo=UTC), datetime(2026, 4, 15, 12, 0, 2, tzinfo=UTC)]),
        "market": ["btc-up", "btc-up"],
        "side": ["buy", "sell"],
        "type": ["limit", "market"],
        "tif": ["gtc", None],
        "price": pa.array([0.48, float("nan")]),
        "size": pa.array([100, 7]),
    }
    pq.write_table(pa.table(columns), tmp_path / "orders.parquet")
    from_parquet = load_script(tmp_path / "orders.parquet", MARKETS, START_NS)
    csv = load(tmp_path, f"{HEADER}\n+1s,btc-up,buy,limit,gtc,0.48,100\n2026-04-15T12:00:02Z,btc-up,sell,market,,,7\n")
    assert [order.at_ns for order in from_parquet] == [order.at_ns for order in csv]
    assert [(order.price, order.size, order.tif) for order in from_parquet] == [
        (order.price, order.size, order.tif) for order in csv
    ]
    pq.write_table(pa.table({**columns, "size": [100, -7]}), tmp_path / "orders.parquet")
    with pytest.raises(DataError, match="row 2, column size: -7 is not positive"):
        load_script(tmp_path / "orders.parquet", MARKETS, START_NS)
    pq.write_table(pa.table({**columns, "time": pa.array([None, None], pa.timestamp("us"))}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="row 1, column time: '' is no time"):
        load_script(tmp_path / "t.parquet", MARKETS, START_NS)
