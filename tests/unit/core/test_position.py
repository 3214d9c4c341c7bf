"""Position arithmetic: every unit is accounted for, whatever happens in whatever order."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execsim.core.errors import ConfigError, ValidationError
from execsim.core.fees import Liquidity
from execsim.core.instrument import Asset, Instrument, InstrumentKind, Outcome
from execsim.core.order import Fill, FillId, FillStatus, OrderId, Side
from execsim.core.position import Position
from execsim.core.units import Grid, Rounding

MICRO = Decimal("0.000001")
BINARY = Instrument(
    venue="v", market="m", kind=InstrumentKind.BINARY, grid=Grid(Decimal("0.0001"), MICRO), base=Asset("Y", MICRO),
    complement=Asset("N", MICRO), quote=Asset("USD", MICRO), tick_i=100, size_step_lots=10_000,
)  # fmt: skip


def fill(side: Side, outcome: Outcome, price_i: int, lots: int, fee: int = 0, n: int = 0) -> Fill:
    cash = BINARY.cash(price_i, lots) * -side.sign
    return Fill(FillId(str(n)), OrderId("o"), 0, side, outcome, price_i, lots, cash, fee, Liquidity.TAKER)


def test_buying_both_tokens_is_a_full_set() -> None:
    position = Position(BINARY)
    position.apply(fill(Side.BUY, Outcome.YES, 4000, 1_000_000))
    assert position.avg_price == Decimal("0.4")
    position.apply(fill(Side.BUY, Outcome.NO, 5500, 1_000_000))
    assert (position.net_lots, position.yes_lots, position.no_lots) == (0, 1_000_000, 1_000_000)
    assert position.realised == 50_000  # one dollar set bought for 0.95
    assert position.avg_price is None


def test_average_cost_and_realised_on_a_partial_exit() -> None:
    position = Position(BINARY)
    position.apply(fill(Side.BUY, Outcome.YES, 4000, 1_000_000))
    position.apply(fill(Side.BUY, Outcome.YES, 6000, 1_000_000, fee=7))
    position.apply(fill(Side.SELL, Outcome.YES, 7000, 500_000))
    assert position.realised == 100_000
    assert position.avg_price == Decimal("0.5")
    assert position.unrealised(5000) == 0
    assert (position.fees, position.size) == (7, Decimal("1.5"))


def test_through_zero_to_the_other_side() -> None:
    position = Position(BINARY)
    position.apply(fill(Side.BUY, Outcome.YES, 5000, 1_000_000))
    position.apply(fill(Side.BUY, Outcome.NO, 4000, 3_000_000))  # sells 3 YES at 0.60
    assert position.net_lots == -2_000_000
    assert position.realised == 100_000
    assert position.avg_price == Decimal("0.6")


def test_merge_needs_sets() -> None:
    position = Position(BINARY)
    position.split(5)
    with pytest.raises(ValidationError, match="only 5 sets held"):
        position.merge(6)


def test_provisional_and_confirmed_views() -> None:
    position = Position(BINARY)
    bought = fill(Side.BUY, Outcome.NO, 4000, 10)
    provisional = replace(bought, status=FillStatus.PROVISIONAL)
    position.apply(provisional)
    assert (position.net_lots, position.confirmed_lots) == (-10, 0)
    position.confirm(provisional)
    assert position.confirmed_lots == -10


FILLS = st.tuples(
    st.sampled_from(list(Side)), st.sampled_from(list(Outcome)), st.integers(1, 9999), st.integers(1, 10**13),
    st.integers(-5, 1000),
)  # fmt: skip
STEPS = st.lists(st.one_of(FILLS, st.tuples(st.just("split"), st.integers(1, 10**9))), max_size=30)


@given(STEPS, st.integers(0, 10_000), st.booleans())
def test_realised_plus_unrealised_is_cash_plus_value_at_any_mark(steps: list[tuple], mark: int, void: bool) -> None:  # type: ignore[type-arg]
    position = Position(BINARY)
    for n, step in enumerate(steps):
        if step[0] == "split":
            position.split(step[1])
        else:
            position.apply(fill(*step, n=n))
            if void:
                position.void(fill(*step, n=n))
    net_value = BINARY.cash(mark, position.net_lots)
    sets = BINARY.par(position.no_lots)
    assert position.realised + position.unrealised(mark) - position.fees == position.cash + net_value + sets
    if void:
        assert position.net_lots == 0
        assert position.fees == 0
    before = position.cash
    paid = position.settle(mark)
    assert position.cash == before + paid
    assert position.realised - position.fees == position.cash
    assert (position.yes_lots, position.no_lots, position.cost) == (0, 0, 0)


def test_an_instrument_knows_its_money() -> None:
    assert BINARY.one_i == 10_000
    assert BINARY.cash(5234, 1_000_001) == 523_400
    assert BINARY.cash(5234, 1_000_001, Rounding.CEIL) == 523_401
    assert BINARY.par(7) == 7
    assert BINARY.lots_for(10_000_000, 5200) == 19_230_000  # 10 / 0.52 = 19.2307 on steps of 0.01
    assert BINARY.canonical_i(4800, Outcome.NO) == 5200
    with pytest.raises(ConfigError, match="complement"):
        Instrument("v", "m", InstrumentKind.BINARY, BINARY.grid, BINARY.base, BINARY.quote)
    with pytest.raises(ConfigError, match="whole number"):
        Instrument("v", "m", InstrumentKind.SPOT, BINARY.grid, Asset("B", Decimal(1)), BINARY.quote)
