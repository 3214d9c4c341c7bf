"""JSON lines: what one side writes the other reads."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execsim.net import framing
from execsim.net.framing import BadLine
from execsim.ports import Request, Response

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.dictionaries(st.text(max_size=8).filter(lambda name: name not in framing.ENVELOPE), JSON, max_size=4)
NAMES = st.text(min_size=1, max_size=10)
IDS = st.integers(0, 2**53 - 1)
Fields = dict[str, object]


@given(IDS, NAMES, st.text(max_size=10), st.text(max_size=10), FIELDS)
def test_a_request_is_read_as_it_was_written(
    number: int, op: str, venue: str, account: str, body: dict[str, object]
) -> None:
    line = framing.request_line(number, Request(op, venue, {"account": account}, framing.dump(body)))
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    found = framing.read_request(line)
    assert (found.number, found.op, found.venue, found.account, dict(found.body)) == (number, op, venue, account, body)
    assert found.request() == Request(op, venue, {"account": account}, framing.dump(body))


@given(IDS, st.text(alphabet="abc", min_size=1), st.dictionaries(st.sampled_from(["account", "market", "x"]), NAMES))
def test_a_subscription_is_read_as_it_was_written(number: int, channel: str, fields: dict[str, str]) -> None:
    line = framing.read_request(framing.subscribe_line(number, f"{channel}?{urlencode(fields)}"))
    assert (line.number, line.op) == (number, framing.SUBSCRIBE)
    name, _, query = line.url().partition("?")
    assert (name, dict(parse_qsl(query))) == (channel, fields)


@given(st.none() | IDS, FIELDS)
def test_an_answer_and_a_frame_keep_their_number(number: int | None, body: dict[str, object]) -> None:
    answer = framing.load(framing.answer_line(number, Response(200, {}, framing.dump({"ok": True, **body}))))
    assert answer == {"id": number, "ok": True, **body}
    assert framing.response_of(answer, b"x") == Response(200, {}, b"x")
    assert framing.response_of({**answer, "ok": 1}, b"x").status == 400
    assert framing.load(framing.frame_line(3, framing.dump(body))) == {"stream": 3, **body}
    told = framing.read_request(framing.tell_line(5, 3, framing.dump(body)))
    assert (told.op, told.stream, dict(told.body)) == (framing.TELL, 3, body)
    left = framing.read_request(framing.unsubscribe_line(5, 3))
    assert (left.op, left.stream) == (framing.UNSUBSCRIBE, 3)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_a_request_or_a_bad_line(raw: bytes) -> None:
    try:
        found: object = framing.read_request(raw)
    except BadLine as error:
        found = error.what
    assert isinstance(found, framing.Line) or found


def test_what_is_wrong_is_told_with_the_number_if_there_is_one() -> None:
    with pytest.raises(BadLine) as found:
        framing.read_request(b'{"id":4,"op":""}')
    assert (found.value.number, found.value.what) == (4, "`op` says what is asked")
