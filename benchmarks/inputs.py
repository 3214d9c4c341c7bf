"""Where the benchmarks find the repository's scenarios and recordings, and how a tape looks to hftbacktest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from execsim.kernel import MarketSpan
from execsim.scenario import model
from execsim.scenario.build import load_data
from execsim.tape.rows import KIND, KIND_BITS, PRICE, SIDE, SIZE, TS_LOCAL, TS_VENUE
from execsim.tape.schema import Kind

ROOT = Path(__file__).resolve().parents[1]
"""The repository."""

SPAN = MarketSpan(100, 1, 100, 10_000)
"""The synthetic market as the kernel must know it."""


def binary_instrument() -> Any:
    """A binary market of Polymarket with its rules."""
    loaded = load_data(model.load(ROOT / "scenarios/handwritten.toml"), ROOT / "scenarios")
    return loaded.markets[0].instrument


def hftbacktest_events(rows: Any) -> Any:
    """Rows of a merged tape as hftbacktest's event array: each valid at the exchange and locally."""
    import hftbacktest as hb
    from hftbacktest.binding import event_dtype

    events = np.zeros(len(rows), event_dtype)
    kinds = rows[:, KIND] & ((1 << KIND_BITS) - 1)
    codes = {Kind.SNAPSHOT: hb.DEPTH_SNAPSHOT_EVENT, Kind.LEVEL: hb.DEPTH_EVENT, Kind.TRADE: hb.TRADE_EVENT}
    code = np.zeros(len(rows), np.uint64)
    for kind, value in codes.items():
        code[kinds == kind] = value
    sides = np.where(rows[:, SIDE] > 0, np.uint64(hb.BUY_EVENT), np.uint64(hb.SELL_EVENT))
    events["ev"] = code | sides | np.uint64(hb.EXCH_EVENT | hb.LOCAL_EVENT)
    events["exch_ts"], events["local_ts"] = rows[:, TS_VENUE], rows[:, TS_LOCAL]
    events["px"], events["qty"] = rows[:, PRICE] / 10_000, rows[:, SIZE] / 1e6
    return events


def hftbacktest(events: Any, entry_ns: int = 0, response_ns: int = 0) -> Any:
    """hftbacktest with the depth that is faster on a bounded price range, and the queue model that is ours too."""
    import hftbacktest as hb

    asset = hb.BacktestAsset().data(events).linear_asset(1.0).constant_order_latency(entry_ns, response_ns)
    asset = asset.risk_adverse_queue_model().no_partial_fill_exchange().trading_value_fee_model(0.0, 0.0)
    asset = asset.tick_size(0.01).lot_size(0.01).last_trades_capacity(0).roi_lb(0.0).roi_ub(1.0)
    return hb.ROIVectorMarketDepthBacktest([asset])
