"""The parquet files: round trip, exact text beside integers, documented columns, nothing half-written."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

from execsim.core.errors import ConfigError
from execsim.core.order import FillStatus
from execsim.report.files import replacing
from execsim.report.frames import (
    COLUMNS,
    equity_frame,
    fills_frame,
    orders_frame,
    positions_frame,
    rounded,
    write_frames,
)
from execsim.report.run import RunRecord

FRAMES = {"orders": orders_frame, "fills": fills_frame, "positions": positions_frame, "equity": equity_frame}

KINDS = {"text": "str", "int": "int64", "int?": "Int64", "time": "datetime64[ns, UTC]"}


@pytest.mark.parametrize("which", ["demo", "several", "empty"])
def test_files_read_back_as_the_frames_with_documented_columns(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    record: RunRecord = request.getfixturevalue(which)
    paths = write_frames(record, tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(f"{name}.parquet" for name in FRAMES)
    for path in paths:
        frame = FRAMES[path.stem](record)
        assert_frame_equal(pd.read_parquet(path), frame, check_dtype=False)
        assert [(f.name, f.metadata[b"description"].decode()) for f in pq.read_schema(path)] == [
            (c.name, c.doc) for c in COLUMNS[path.stem]
        ]
        dtypes = {c.name: str(frame[c.name].dtype) for c in COLUMNS[path.stem]}
        assert dtypes == {c.name: KINDS[c.dtype] for c in COLUMNS[path.stem]}


def test_every_fill_has_its_order_and_text_says_what_the_integers_say(several: RunRecord) -> None:
    orders, fills = orders_frame(several), fills_frame(several)
    assert len(fills) == len(several.fills) > 50
    assert set(fills["order_id"]) <= set(orders["order_id"])
    units = {i.market: (i.grid.price_unit, i.grid.lot, i.quote.unit) for i in several.instruments.values()}
    for row in fills.to_dict("records"):
        price_unit, lot, unit = units[row["market"]]
        assert Decimal(row["price"]) == row["price_i"] * price_unit
        assert Decimal(row["size"]) == row["size_lots"] * lot
        assert Decimal(row["cash"]) == row["cash_units"] * unit
        assert Decimal(row["fee"]) == row["fee_units"] * unit


def test_fills_fold_to_the_positions(several: RunRecord) -> None:
    fills, positions = fills_frame(several), positions_frame(several).set_index("market")
    for market, part in fills.groupby("market"):
        assert part["realised_units"].sum() == positions.loc[market, "realised_units"]
        assert part["fee_units"].sum() == positions.loc[market, "fees_units"]
        assert part["position_lots"].iloc[-1] == positions.loc[market, "net_lots"]
    net = positions["realised_units"] + positions["unrealised_units"] - positions["fees_units"]
    assert net.tolist() == positions["net_units"].tolist()


def test_positions_agree_with_the_equity_at_the_end(several: RunRecord) -> None:
    equity, positions = equity_frame(several), positions_frame(several)
    last = equity[equity["ts_ns"] == equity["ts_ns"].max()].set_index("name")["value_i"]
    for quote, part in positions.groupby("quote"):
        assert part["net_units"].sum() == last[quote]
    for row in positions.to_dict("records"):
        assert last[row["market"]] == row["net_lots"]


def test_an_open_position_without_a_mark_has_no_unrealised_profit(demo: RunRecord) -> None:
    bare = RunRecord(**{n: getattr(demo, n) for n in demo.__slots__} | {"marks": {}})
    row = positions_frame(bare).iloc[0]
    assert row["net_lots"] != 0
    assert row[["mark", "unrealised", "net", "net_units"]].isna().all()


def test_a_voided_fill_is_listed_but_moves_nothing(demo: RunRecord) -> None:
    order, fill = demo.fills[0]
    voided = replace(fill, status=FillStatus.VOIDED)
    row = fills_frame(RunRecord(**{n: getattr(demo, n) for n in demo.__slots__} | {"fills": [(order, voided)]})).iloc[0]
    assert (row["status"], row["position_lots"], row["realised_units"]) == ("voided", 0, 0)


def test_an_amount_beyond_64_bits_keeps_its_text(demo: RunRecord) -> None:
    order, fill = demo.fills[0]
    huge = replace(fill, cash=-(2**63) - 5, row_seq=None)
    row = fills_frame(RunRecord(**{n: getattr(demo, n) for n in demo.__slots__} | {"fills": [(order, huge)]})).iloc[0]
    assert row["cash"] == "-9223372036854.775813"
    assert pd.isna(row["cash_units"])
    assert pd.isna(row["row_seq"])


def test_large_integers_beside_missing_ones_stay_exact(demo: RunRecord) -> None:
    order, fill = demo.fills[0]
    pairs = [(order, replace(fill, row_seq=2**62 + 1)), (order, replace(fill, row_seq=None))]
    frame = fills_frame(RunRecord(**{n: getattr(demo, n) for n in demo.__slots__} | {"fills": pairs}))
    assert frame["row_seq"].iloc[0] == 2**62 + 1


def test_an_average_is_rounded_text() -> None:
    assert rounded(Decimal(1) / 3) == "0.333333333333"
    assert rounded(None) is None


def test_a_failure_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]


def test_a_folder_that_cannot_be_written_is_one_clear_error(demo: RunRecord, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file, not a folder")
    with pytest.raises(ConfigError, match=r"cannot write .*orders\.parquet"):
        write_frames(demo, tmp_path / "out")
