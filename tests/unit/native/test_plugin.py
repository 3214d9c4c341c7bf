"""The plugin: found by its entry point, a neutral venue's instruments."""

from __future__ import annotations

import dataclasses
from decimal import Decimal

import pytest

from execsim import plugins
from execsim.core.errors import ConfigError
from execsim.core.instrument import InstrumentKind, Outcome
from execsim.tape.schema import MarketInfo
from execsim_native import NativeDialect, NativeVenue
from execsim_native.plugin import instrument

INFO = MarketInfo(
    market="coin", venue="", instrument_kind="binary", price_unit="0.0001", lot="0.000001", base="coin:YES", quote="pUSD",
    tick="0.01", size_step="0.01", size_min="5", notional_min="1",
)  # fmt: skip


def test_it_is_found_by_its_entry_point() -> None:
    plugin = plugins.venue("native")
    assert (plugin.dialect, plugin.connect) == (NativeDialect, NativeVenue)
    assert plugins.dialect("native") is NativeDialect
    with pytest.raises(ConfigError, match="there is no dialect 'binance'; there are: native"):
        plugins.dialect("binance")


def test_a_binary_market_of_no_venue() -> None:
    found = instrument(INFO, {})
    assert (found.venue, found.kind, found.tick_i, found.size_min_lots) == (
        "native",
        InstrumentKind.BINARY,
        100,
        5_000_000,
    )
    assert (found.asset_of(Outcome.YES).name, found.asset_of(Outcome.NO).name) == ("coin:YES", "coin:NO")
    assert found.quote.decimal(found.cash(4_800, 5_000_000)) == Decimal("2.4")
    assert found.quote.decimal(found.par(1_000_000)) == 1
    assert found.quote.decimal(found.notional_min) == 1
    assert (found.price_min_i, found.price_max_i) == (1, 9_999)


def test_a_spot_market_of_no_venue() -> None:
    spot = dataclasses.replace(INFO, instrument_kind="spot", base="BTC", quote="USDT", price_unit="0.01", lot="0.00001")
    found = instrument(spot, {})
    assert (found.kind, found.complement, found.base.name) == (InstrumentKind.SPOT, None, "BTC")
    assert found.quote.decimal(found.cash(6_000_000, 100_000)) == 60_000


def test_a_native_market_has_no_settings() -> None:
    with pytest.raises(ConfigError, match="unknown native setting 'fee_rate'"):
        instrument(INFO, {"fee_rate": "0.1"})
