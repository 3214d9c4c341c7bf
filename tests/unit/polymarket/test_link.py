"""The life of a socket: pings, silence, a link that answers pings and brings nothing, and coming back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execsim.core.units import NS_PER_MS, NS_PER_S
from execsim.ports import NEVER
from execsim_polymarket.link import MARKET_LINK, USER_LINK, Close, Link, LinkConfig, Open, Send, State

S = NS_PER_S


def live(config: LinkConfig = USER_LINK, now_ns: int = 0) -> Link:
    link = Link(config)
    assert link.start(now_ns) == [Open()]
    link.opened(now_ns)
    return link


def test_a_ping_every_ten_seconds_and_a_pong_keeps_it_alive() -> None:
    link, pings = live(), 0
    for now_ns in range(0, 120 * S, S):
        for action in link.tick(now_ns):
            assert action == Send(b"PING")
            pings += 1
            assert not link.heard(b"PONG", now_ns)
    assert pings == 11
    assert link.state is State.LIVE


def test_silence_ends_it() -> None:
    link = live()
    assert link.wake_ns == 10 * S
    assert link.tick(10 * S) == [Send(b"PING")]
    assert link.tick(20 * S) == [Send(b"PING")]
    assert link.wake_ns == 30 * S
    assert link.tick(30 * S - 1) == []
    (close,) = link.tick(30 * S)
    assert isinstance(close, Close)
    assert "nothing heard for 30 s" in close.why
    assert link.state is State.WAITING
    assert link.wake_ns == 30 * S + 500 * NS_PER_MS


def test_a_link_that_answers_pings_and_brings_nothing_is_given_up() -> None:
    link = live(MARKET_LINK)
    assert link.wake_ns == 10 * S  # the first book is due
    (close,) = link.tick(10 * S)
    assert isinstance(close, Close)
    assert "no data came for 10 s" in close.why
    link = live(MARKET_LINK)
    assert link.heard(b'[{"event_type":"book"}]', 2 * S)
    for now_ns in range(10 * S, 302 * S, 10 * S):
        assert link.tick(now_ns) == [Send(b"PING")]
        link.heard(b"PONG", now_ns)
    (close,) = link.tick(302 * S)
    assert isinstance(close, Close)
    assert "300 s" in close.why


def test_a_quiet_account_is_no_fault() -> None:
    link = live()
    for now_ns in range(10 * S, 86_400 * S, 10 * S):
        assert link.tick(now_ns) == [Send(b"PING")]
        link.heard(b"PONG\n", now_ns)


def test_pauses_grow_to_their_bound_and_start_over_after_a_good_link() -> None:
    link, now_ns, pauses = Link(USER_LINK), 0, []
    link.start(0)
    for _ in range(9):
        link.closed(now_ns)
        pauses.append(link.wake_ns - now_ns)
        assert link.tick(link.wake_ns - 1) == []
        now_ns = link.wake_ns
        assert link.tick(now_ns) == [Open()]
    assert pauses == [n * NS_PER_MS for n in (500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000)]
    link.opened(now_ns)
    link.closed(now_ns + 59 * S)  # it did not last: the bound again
    assert link.wake_ns == now_ns + 89 * S
    now_ns = link.wake_ns
    link.tick(now_ns)
    link.opened(now_ns)
    link.closed(now_ns + 60 * S)
    assert link.wake_ns == now_ns + 60 * S + 500 * NS_PER_MS


def test_chance_shortens_a_pause_by_up_to_half() -> None:
    seen = []

    def jitter(n: int) -> int:
        seen.append(n)
        return n - 1

    link = Link(USER_LINK, jitter)
    link.start(0)
    link.closed(0)
    assert seen == [250 * NS_PER_MS + 1]
    assert link.wake_ns == 250 * NS_PER_MS


def test_what_is_said_twice_changes_nothing() -> None:
    link = live()
    assert link.start(5) == []
    link.closed(S)
    wake_ns = link.wake_ns
    link.closed(2 * S)
    assert link.wake_ns == wake_ns
    assert link.tick(S) == []
    assert link.stop() == []
    assert link.stop() == []
    assert link.wake_ns == NEVER
    assert link.start(9 * S) == [Open()]
    assert link.wake_ns == NEVER  # only the socket can go on from here
    assert link.stop() == [Close("stopped")]


@pytest.mark.parametrize("frame", [b"PING", b"PONG", b" PONG\r\n", b""])
def test_keepalives_are_no_data(frame: bytes) -> None:
    link = live(MARKET_LINK)
    assert not link.heard(frame, S)
    assert isinstance(link.tick(10 * S)[0], Close)


@given(st.lists(st.sampled_from(["tick", "opened", "closed", "pong", "data", "stop", "start"]), max_size=60),
       st.lists(st.integers(0, 40 * S), min_size=60, max_size=60))  # fmt: skip
def test_whatever_happens_it_never_stands_still(steps: list[str], pauses: list[int]) -> None:
    """A started link always has an open socket, one being opened, or a time at which it will open one."""
    link, now_ns, asked = Link(MARKET_LINK), 0, False
    for step, pause_ns in zip(steps, pauses, strict=False):
        now_ns += pause_ns
        actions = []
        if step == "tick":
            actions = link.tick(now_ns)
        elif step == "opened" and link.state is State.OPENING:
            link.opened(now_ns)
        elif step == "closed":
            link.closed(now_ns)
        elif step in ("pong", "data") and link.state is State.LIVE:
            link.heard(b"PONG" if step == "pong" else b"{}", now_ns)
        elif step == "stop":
            actions = link.stop()
        elif step == "start":
            actions = link.start(now_ns)
        asked = Open() in actions or (asked and link.state is State.OPENING)
        assert asked is (link.state is State.OPENING)
        assert (link.wake_ns == NEVER) is (link.state in (State.IDLE, State.OPENING))
        if link.state is State.LIVE and step == "tick":
            assert link.wake_ns > now_ns
