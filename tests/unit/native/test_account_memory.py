"""What the adapter remembers of its account."""

from __future__ import annotations

from dataclasses import replace

from venue_session import BUY

from execsim.core.events import (
    FillSettled,
    FillVoided,
    OrderFilled,
    OrderGone,
)
from execsim.core.instrument import Outcome
from execsim.core.order import (
    Fill,
    FillId,
    FillStatus,
    Liquidity,
    OrderId,
)
from execsim_native.memory import AccountMemory
from tests.unit.native.clients import SECOND


def test_a_fill_that_failed_while_we_were_away_is_voided_once() -> None:
    memory = AccountMemory(0, ())
    fill = Fill(
        FillId("f"), OrderId("a"), 5, BUY, Outcome.YES, 4800, 10, -48, 0, Liquidity.MAKER, status=FillStatus.PROVISIONAL
    )
    memory.heard(OrderFilled(fill, False, 5))
    failed = replace(fill, status=FillStatus.VOIDED)
    assert memory.missed([failed], {}, (), (), 9) == [FillVoided("f", OrderId("a"), 9)]
    assert memory.missed([failed], {}, (), (), 10) == []
    other = replace(failed, id=FillId("g"))
    told = memory.missed([failed, other], {}, (), (), 11)
    assert told == [
        OrderFilled(replace(other, status=FillStatus.PROVISIONAL), False, 11),
        FillVoided("g", other.order_id, 11),
    ]
    assert memory.is_echo(told[0])
    assert not memory.is_echo(OrderFilled(replace(other, id=FillId("h")), False, 11))
    assert not memory.is_echo(replace(told[0], ts_ns=12))  # type: ignore[type-var]  # an event is a dataclass


def test_unsettled_fills_are_asked_for_however_old() -> None:
    memory = AccountMemory(0, ())
    for number, status in enumerate([FillStatus.PROVISIONAL, FillStatus.CONFIRMED, FillStatus.CONFIRMED]):
        at_ns = (1 + number * 1_000) * SECOND
        fill = Fill(
            FillId(str(number)), OrderId("a"), at_ns, BUY, Outcome.YES, 1, 1, -1, 0, Liquidity.TAKER, status=status
        )
        memory.heard(OrderFilled(fill, False, at_ns))
    assert memory.since_ns == SECOND
    memory.heard(FillSettled("0", OrderId("a"), FillStatus.CONFIRMED, 0))
    assert memory.since_ns == (2_001 - 60) * SECOND


def test_an_ack_after_the_end_opens_nothing() -> None:
    memory = AccountMemory(0, ())
    memory.heard(OrderGone(OrderId("a"), "x", False, 1))
    for name in "ab":
        memory.alive(OrderId(name))
    assert memory.suspects([]) == ["b"]
    assert memory.suspects([OrderId("b")]) == []
