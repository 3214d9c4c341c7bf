"""Every message of the native dialect survives the wire exactly; what is no message is refused with a name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execsim.core import errors
from execsim.core.errors import ExecError, InvalidResponse, NetworkError, Reached
from execsim.core.events import OrderFilled, Trade
from execsim.core.order import CancelAck, Fill, OrderAck, OrderReport
from execsim.ports import DeskClock, FaultState, MarketState
from execsim_native import market, wire
from execsim_native.codec import REFUSALS, BadMessage, build, error_in, error_out, plain
from tests.unit.native.messages import a_fault, a_refusal, values

MESSAGES = [
    *wire.REQUESTS.values(), *wire.EVENTS.values(), *market.KINDS.values(), wire.Welcome, wire.BatchItem, OrderAck,
    CancelAck, OrderReport, Fill, DeskClock, FaultState, MarketState,
]  # fmt: skip


def same(one: Any, other: Any) -> bool:
    """Equal; errors, which compare by identity, by class and args."""
    if isinstance(one, ExecError):
        return type(one) is type(other) and one.args == other.args
    if hasattr(one, "__dataclass_fields__"):
        return type(one) is type(other) and all(
            same(getattr(one, f), getattr(other, f)) for f in one.__dataclass_fields__
        )
    return bool(one == other)


@pytest.mark.parametrize("kind", dict.fromkeys(MESSAGES), ids=lambda kind: kind.__name__)
def test_a_message_survives_the_wire(kind: type) -> None:
    @settings(max_examples=30)
    @given(values(kind))
    def survives(message: Any) -> None:
        line = wire.dump(plain(message))
        assert b"\n" not in line
        assert same(build(kind, json.loads(line)), message)

    survives()


@given(a_refusal())
def test_a_refusal_is_raised_again_as_it_was(error: ExecError) -> None:
    found = error_in(json.loads(wire.dump(error_out(error))), "sim")
    assert type(found) is type(error)
    assert found.args == error.args
    assert (found.reached, found.retryable, str(found)) == (error.reached, error.retryable, str(error))


@given(a_fault())
def test_a_fault_of_the_venue_says_nothing_of_what_it_had_done(fault: ExecError) -> None:
    """It may have failed after it booked: to take it for a refusal would lose a live order."""
    found = error_in(json.loads(wire.dump(error_out(fault))), "sim")
    assert type(found) is InvalidResponse
    assert found.reached is Reached.UNKNOWN
    assert not found.retryable
    assert found.args[:2] == ("sim", type(fault).__name__)
    assert str(fault) in str(found)


def test_every_error_is_a_refusal_or_a_fault() -> None:
    classes = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ExecError)}
    faults = {
        errors.InternalError, errors.ConfigError, errors.JournalError, errors.DataError, errors.InvalidOrderState,
        errors.RiskRejected,
    }  # fmt: skip
    assert classes - {ExecError} == set(REFUSALS.values()) | faults


@pytest.mark.parametrize(
    ("data", "code", "text"),
    [
        ({"class": "Frobnicated", "args": [1], "text": "no frobs left"}, "Frobnicated", "no frobs left"),
        ({"class": "NetworkError", "args": ["a", "b", "perhaps"], "text": "t"}, "NetworkError", "t"),
        ({"class": "Exception", "args": ["x"]}, "Exception", "('x',)"),
        ("what", "bad_message", "an error that cannot be read: what"),
    ],
)
def test_an_error_we_do_not_know_leaves_the_fate_unknown(data: Any, code: str, text: str) -> None:
    found = error_in(data, "sim")
    assert type(found) is InvalidResponse
    assert found.args == ("sim", code, text)


def test_the_venue_says_itself_whether_a_lost_request_had_reached_it() -> None:
    lost = error_in(json.loads(wire.dump(error_out(NetworkError("a", "b", Reached.NO)))), "sim")
    assert lost.reached is Reached.NO


BAD: list[tuple[type, Any, str]] = [
    (wire.Named, [], "should be an object, not a list"),
    (wire.Named, {}, "field 'order_id' is missing"),
    (wire.Named, {"order_id": 7}, "order_id: should be a string, not 7"),
    (wire.Named, {"order_id": "a", "extra": 1}, "there is no field 'extra'; there are: order_id"),
    (wire.Named, {"order_id": "a" * 5000}, "order_id: is longer than 4096 characters"),
    (wire.AskFills, {"since_ns": True}, "since_ns: should be an integer, not True"),
    (wire.AskFills, {"since_ns": 1.0}, "since_ns: should be an integer, not 1.0"),
    (wire.AskFills, {"since_ns": 2**63}, "since_ns: does not fit 64 bits"),
    (wire.AskFills, {"since_ns": None}, "since_ns: should be an integer, not null"),
    (wire.NewOrder, {"order_id": "a", "market": "m", "side": "up"}, "side: 'up' is none of: buy, sell"),
    (wire.NewOrder, {"order_id": "a", "market": "m", "side": {}}, "side: an object is none of: buy, sell"),
    (wire.Batch, {"orders": [{"order_id": 1}]}, r"orders\[0\]: field '\w+' is missing"),
    (wire.Batch, {"orders": "all"}, "orders: should be a list, not 'all'"),
    (
        wire.SwitchFault,
        {"pack": "x", "params": {"a": 1.5}},
        "params.a: should be an integer, a string or true or false",
    ),
    (market.Changes, {"market": "m", "ts_ns": 0, "levels": [[1, 2]]}, r"levels\[0\]: should have 3 items, not 2"),
    (wire.Welcome, {"venue": "v"}, "is missing"),
]


@pytest.mark.parametrize(("kind", "data", "text"), BAD, ids=[text for _, _, text in BAD])
def test_what_is_no_message_is_named(kind: type, data: Any, text: str) -> None:
    with pytest.raises(BadMessage, match=text):
        build(kind, data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("kind", dict.fromkeys(MESSAGES), ids=lambda kind: kind.__name__)
def test_any_json_is_a_message_or_refused(kind: type) -> None:
    names = st.sampled_from(list(kind.__dataclass_fields__) or ["x"])

    @settings(max_examples=30)
    @given(JSON | st.dictionaries(names, JSON))
    def refused(data: Any) -> None:
        try:
            found = build(kind, data)
        except BadMessage as error:
            found = error
        assert isinstance(found, kind | BadMessage)

    refused()


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"7", b"{", b'{"seq":0}', b'{"kind":"filled"}', b'{"seq":true,"kind":"x"}', b"[" * 5000, b"\xff"],
)
def test_what_is_no_frame_is_refused(raw: bytes) -> None:
    with pytest.raises(BadMessage):
        wire.frame_of(raw)


@given(st.integers(0, 2**53), values(OrderFilled))
def test_an_event_survives_its_frame(seq: int, event: OrderFilled) -> None:
    frame = wire.frame_of(wire.event_frame(seq, event))
    assert (frame.seq, wire.event_of(frame)) == (seq, event)


@given(values(Trade))
def test_market_data_survives_its_frame(trade: Trade) -> None:
    frames: list[bytes] = []
    market.FrameWriter(frames.append, lambda: 5).on_trade(trade)
    heard: list[Trade] = []

    class Sink:
        def on_trade(self, trade: Trade) -> None:
            heard.append(trade)

    assert market.publish(wire.frame_of(frames[0]), Sink())  # type: ignore[arg-type]  # hears of trades alone
    assert heard == [trade]


def test_an_event_or_row_of_no_known_kind_is_refused() -> None:
    with pytest.raises(BadMessage, match="'magic' is none of: acked"):
        wire.event_of(wire.Frame(1, "magic", {}))
    with pytest.raises(BadMessage, match="'magic' is none of: book"):
        market.publish(wire.Frame(1, "magic", {}), None)  # type: ignore[arg-type]  # is not reached
