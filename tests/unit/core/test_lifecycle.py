"""The table is complete, reachable, and the docs show it as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execsim.core.errors import InvalidOrderState
from execsim.core.lifecycle import ORDER, REASONS, OrderEvent, page, step
from execsim.core.order import OrderStatus

DOCS = Path(__file__).parents[3] / "docs" / "lifecycle.md"


def test_every_state_has_a_row_and_every_event_is_used() -> None:
    assert set(ORDER) == set(OrderStatus)
    assert {event for row in ORDER.values() for event in row} == set(OrderEvent)


def test_every_state_is_reachable() -> None:
    seen, todo = {OrderStatus.PENDING}, [OrderStatus.PENDING]
    while todo:
        for after in ORDER[todo.pop()].values():
            if after not in seen:
                seen.add(after)
                todo.append(after)
    assert seen == set(OrderStatus)


def test_what_the_table_does_not_list_is_an_error_with_its_fields() -> None:
    with pytest.raises(InvalidOrderState, match="order o1: silence is impossible in state filled") as caught:
        step("o1", OrderStatus.FILLED, OrderEvent.SILENCE)
    assert caught.value.args == ("o1", "filled", "silence")


@given(st.lists(st.sampled_from(list(OrderEvent)), max_size=40))
def test_a_terminal_order_comes_back_only_by_news_from_the_venue(events: list[OrderEvent]) -> None:
    status = OrderStatus.PENDING
    for event in events:
        try:
            after = step("x", status, event)
        except InvalidOrderState:
            continue
        if status.is_terminal and not after.is_terminal:
            assert event in (OrderEvent.FOUND, OrderEvent.FILL, OrderEvent.ACK)
        status = after


def test_every_step_has_its_reason_in_the_world() -> None:
    assert {state: set(row) for state, row in REASONS.items()} == {state: set(row) for state, row in ORDER.items()}
    assert all(len(reason) > 8 for row in REASONS.values() for reason in row.values())


def test_the_docs_are_generated_from_this_table() -> None:
    assert DOCS.read_text() == page()
