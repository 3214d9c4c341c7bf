"""Money: transfers conserve it, claims are honest, a resolution pays what tokens are worth."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import binary, coarse

from execsim.core.errors import InternalError
from execsim.core.instrument import Asset, Instrument, InstrumentKind
from execsim.core.units import Grid
from execsim.exchange.account import Account, Ledger
from execsim.exchange.tokens import settle

MOVES = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc"), st.integers(-100, 100)), max_size=30)


def test_a_claim_takes_from_what_is_free() -> None:
    account = Account()
    account.balances["USD"] = 100
    assert account.reserve("USD", 60)
    assert account.free("USD") == 40
    assert not account.reserve("USD", 41)
    assert account.reserved["USD"] == 60
    assert account.reserve("USD", 40)
    account.release("USD", 100)
    assert account.free("USD") == 100


def test_giving_back_more_than_was_claimed_is_a_bug() -> None:
    account = Account()
    account.balances["USD"] = 100
    account.reserve("USD", 10)
    with pytest.raises(InternalError, match="reservation of USD fell to -1"):
        account.release("USD", 11)


@given(MOVES, st.integers(0, 1_000))
def test_transfers_conserve_money(moves: list[tuple[str, str, int]], deposit: int) -> None:
    ledger = Ledger()
    ledger.deposit("a", "USD", deposit)
    for source, target, amount in moves:
        ledger.move(source, target, "USD", amount)
    ledger.check()
    assert sum(account.balances["USD"] for account in ledger.accounts.values()) == deposit


def test_money_from_nowhere_is_noticed() -> None:
    ledger = Ledger()
    ledger.deposit("a", "USD", 10)
    ledger["b"].balances["USD"] += 1
    with pytest.raises(InternalError, match="USD is not conserved: 11 held, 10 deposited"):
        ledger.check()


def holding(instrument: Instrument, yes_lots: int, no_lots: int) -> Ledger:
    ledger = Ledger()
    ledger.deposit("me", instrument.base.name, instrument.base_amount(yes_lots))
    if instrument.complement is not None:
        ledger.deposit("me", instrument.complement.name, instrument.base_amount(no_lots))
    return ledger


@pytest.mark.parametrize(
    ("payoff_i", "yes", "no", "paid"),
    [
        (10_000, 7_000_000, 3_000_000, 7_000_000),
        (0, 7_000_000, 3_000_000, 3_000_000),
        (5_000, 7_000_000, 3_000_000, 5_000_000),
        (3_333, 7_000_000, 3_000_000, 2_333_100 + 2_000_100),
        (5_000, 7_000_001, 3_000_001, 3_500_000 + 1_500_000),  # half a unit each, rounded down one by one
        (3_333, 1, 1, 0),
        (10_000, 0, 0, 0),
    ],
)
def test_a_resolution_pays(payoff_i: int, yes: int, no: int, paid: int) -> None:
    instrument = binary()
    ledger = holding(instrument, yes, no)
    assert settle(ledger, "me", instrument, payoff_i) == paid
    ledger.check()
    me = ledger["me"].balances
    assert (me["pUSD"], me["rain:YES"], me["rain:NO"]) == (paid, 0, 0)


@given(st.integers(0, 10_000), st.integers(0, 10**12), st.integers(0, 10**12))
def test_a_full_set_never_pays_more_than_it_cost(payoff_i: int, yes: int, no: int) -> None:
    instrument = binary()
    paid = settle(holding(instrument, yes, no), "me", instrument, payoff_i)
    exact = Decimal(yes * payoff_i + no * (10_000 - payoff_i)) / 10_000
    assert exact - 2 < paid <= exact


def test_less_than_a_lot_is_redeemed_for_nothing() -> None:
    """An asset may be finer than the lot: what does not make a lot is burnt with the rest."""
    coarse_lots = Instrument(
        "sim", "rain", InstrumentKind.BINARY, Grid(Decimal("0.01"), Decimal("0.1")),
        base=Asset("rain:YES", Decimal("0.01")), complement=Asset("rain:NO", Decimal("0.01")),
        quote=Asset("USD", Decimal("0.01")),
    )  # fmt: skip
    ledger = Ledger()
    ledger.deposit("me", "rain:YES", 57)
    assert settle(ledger, "me", coarse_lots, 100) == 50
    assert ledger["me"].balances["rain:YES"] == 0
    ledger.check()


def test_a_spot_market_settles_what_is_held_once() -> None:
    instrument = coarse("coin", InstrumentKind.SPOT)
    ledger = holding(instrument, 10, 0)
    assert settle(ledger, "me", instrument, 30) == 300
    ledger.check()
