"""Random order flow on random tapes with random faults: whatever goes wrong, the books balance in the end."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, note, settings
from hypothesis import strategies as st
from sessions import Played, Terms, play

from execsim.core.lifecycle import OrderEvent
from execsim.core.order import FillStatus, OrderStatus
from execsim.testing.audit import audit
from execsim.testing.refold import refold

BROKEN = Terms(faults=True)


def money_at_any_moment(played: Played) -> None:
    """After every event: nothing made, nothing lost, nothing negative."""
    ledger = played.world.ledger
    ledger.check()
    account = ledger[played.world.venue.account]
    for held in (account.reserved, account.unsettled, account.locked):
        assert all(units >= 0 for units in held.values()), held
    if not played.shorting:
        assert all(units >= 0 for units in account.balances.values()), account.balances


def replayed(seed: int) -> Played:
    """Play a session and audit it; the journal alone comes to the same books."""
    played = play(seed, BROKEN, money_at_any_moment)
    wrong = audit(played.world.engine, {"sim": played.world.venue}, played.deposits)
    assert not wrong, f"seed {seed}: {wrong}"
    assert played.world.engine.blotter.invalid_responses == 0, seed
    retold = refold(played.world.engine, played.world.rows.read())
    assert not retold, f"seed {seed}: {retold}"
    return played


@given(seed=st.integers(0, 2**32))
@settings(max_examples=300, deadline=None, derandomize=True, print_blob=True)
def test_whatever_goes_wrong_the_books_balance(seed: int) -> None:
    """No order lost, no fill twice, money conserved; at the end the books are drained and no reservation is left."""
    note(f"replay: PYTHONPATH=tests/property .venv/bin/python -c 'from test_faults import *; replayed({seed})'")
    replayed(seed)


def test_the_sessions_reach_what_they_are_about() -> None:
    seen: Counter[str] = Counter()
    for seed in range(60):
        played = play(seed, BROKEN)
        exchange = played.world.exchange
        seen["no answer"] += sum(update.event is OrderEvent.SILENCE for update in played.updates)
        seen["absent"] += sum(update.event is OrderEvent.ABSENT for update in played.updates)
        seen["faults"] += sum(exchange.faults.counts.values())
        seen["disputed"] += len(exchange.resolutions.disputed)
        for order in played.orders:
            seen[f"order {order.status}"] += 1
            seen["no answer"] += "no answer" in order.reason
            seen["delayed"] += "waiting to be matched" in order.reason
            for fill in played.world.engine.order_tracker.get_fills(order.id):
                seen[f"fill {fill.status}"] += 1
    assert seen["faults"] > 100
    assert seen["disputed"] > 2
    assert seen["no answer"] > 10
    assert seen["absent"] > 5
    for status in OrderStatus:
        if status.is_terminal:
            assert seen[f"order {status}"] > 5, status
        else:
            assert not seen[f"order {status}"], status
    for fill_status in (FillStatus.CONFIRMED, FillStatus.VOIDED):
        assert seen[f"fill {fill_status}"] > 10, fill_status
