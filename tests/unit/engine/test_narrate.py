"""What the log says of orders: events at DEBUG, problems at WARNING and above, with fields to find them by."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from execsim.core.errors import VenueError
from execsim.core.events import OrderAcked, OrderFilled
from execsim.core.order import OrderId
from execsim.testing.mock_venue import Refuse, Silence

FIELDS = ("venue", "market", "side", "order_id", "status", "event", "run_ns")


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, str]]:
    """(level, event, message) of every line; each has every field."""
    for record in caplog.records:
        assert all(hasattr(record, name) for name in FIELDS), record.message
    return [(record.levelname, getattr(record, "event", ""), record.message) for record in caplog.records]


@pytest.fixture(autouse=True)
def listening(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "execsim.engine")


def test_the_life_of_an_order(rig: Any, caplog: pytest.LogCaptureFixture) -> None:
    order = rig.working(price="0.50", size=10)
    fill = rig.venue.fill(order.id, 4 * 10**6)
    rig.run(rig.engine.cancel_order(order.id))
    name = f"order {order.id}"
    assert told(caplog) == [
        ("DEBUG", "send", f"{name}: send, pending -> submitting"),
        ("DEBUG", "ack", f"{name}: ack, submitting -> working"),
        ("DEBUG", "fill", f"{name}: fill, 4.000000 at 0.5000"),
        ("DEBUG", "ask_cancel", f"{name}: ask_cancel, working -> cancelling"),
        ("DEBUG", "gone", f"{name}: gone, cancelling -> cancelled: cancelled on request"),
    ]
    first = caplog.records[0]
    assert [getattr(first, field) for field in FIELDS] == [
        "polymarket", "rain", "buy", order.id, "submitting", "send", 1_000_000_000,
    ]  # fmt: skip
    caplog.clear()
    rig.venue.void(fill)
    assert told(caplog) == [("WARNING", "void", f"{name}: void, 4.000000 at 0.5000: cancelled on request")]


def test_problems_are_warnings(rig: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "execsim.engine")
    rig.working()
    assert told(caplog) == []
    rig.venue.answers += [Refuse(VenueError("polymarket", "balance", "not enough")), Silence()]
    for order in (rig.order(size="0.01"), rig.order(), rig.order()):
        with pytest.raises(Exception, match=r"minimum|not enough|no answer"):
            rig.run(rig.engine.submit_order(order))
    assert [(level, event) for level, event, _ in told(caplog)] == [
        ("WARNING", "refuse"), ("WARNING", "refuse"), ("WARNING", "silence"),
    ]  # fmt: skip
    assert "size_min" in caplog.records[0].message
    assert "pending -> rejected" in caplog.records[0].message
    assert "not enough" in caplog.records[1].message
    assert "submitting -> unknown" in caplog.records[2].message


def test_an_answer_that_cannot_be_is_an_error_said_once(rig: Any, caplog: pytest.LogCaptureFixture) -> None:
    order = rig.order()
    rig.engine.begin(order)
    rig.venue.report(OrderAcked(order.id, "v-1", 0))
    assert [(level, event) for level, event, _ in told(caplog)] == [("ERROR", "ack")]
    assert rig.engine.blotter.invalid_responses == 1


def test_a_report_about_nobody(rig: Any, caplog: pytest.LogCaptureFixture) -> None:
    order = rig.working()
    fill = rig.venue.fill(order.id, 10**6)
    caplog.clear()
    rig.other.report(OrderFilled(fill, False, 0))
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert "binance reports fill" in record.message
    assert (vars(record)["venue"], vars(record)["order_id"]) == ("binance", order.id)
    rig.venue.report(OrderAcked(OrderId("ghost"), "v-9", 0))
    assert vars(caplog.records[-1])["order_id"] == "ghost"


def test_where_nobody_listens_nothing_is_made(rig: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "execsim.engine")
    rig.working()
    with pytest.raises(Exception, match="minimum"):
        rig.run(rig.engine.submit_order(rig.order(size="0.01")))
    assert caplog.records == []
