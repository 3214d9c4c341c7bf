"""The user channel: every fill once, in whatever order and however often its news come, and none missed over a reconnect."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from polymarket_golden import DATA
from polymarket_news import CID, KEY, NO, SHARE, START_NS, YES, maker, market, order, record, ticket, trade, vid

from execsim.core.errors import InvalidResponse
from execsim.core.events import FillSettled, FillVoided, OrderAcked, OrderFilled, OrderGone, VenueEvent
from execsim.core.order import FillStatus, OrderId
from execsim.core.units import NS_PER_S
from execsim.ports import NEVER
from execsim_polymarket import session as module
from execsim_polymarket.fills import Market
from execsim_polymarket.link import Close, LinkConfig, Open, Send
from execsim_polymarket.reports import status_of
from execsim_polymarket.session import (
    BEHIND_NS,
    AskOrder,
    AskOrders,
    AskTrades,
    Emit,
    Filled,
    Note,
    Ticket,
    UserAction,
    UserSession,
)
from execsim_polymarket.wire.channels import USER_EVENTS
from execsim_polymarket.wire.trading import OPEN_ORDER, OpenOrder

S = NS_PER_S
Event = TypeVar("Event")


def opened(*tickets: Ticket, acked: bool = True) -> UserSession:
    session = UserSession(KEY, {CID: market()})
    session.start(START_NS)
    session.opened(START_NS)
    for one in tickets:
        session.track(one)
        if acked:
            session.answered(one.venue_order_id, START_NS)
    return session


def say(session: UserSession, *messages: Any, now_ns: int = START_NS + S) -> list[UserAction]:
    return session.frame(json.dumps(messages[0] if len(messages) == 1 else messages).encode(), now_ns)


def events(actions: Sequence[UserAction]) -> list[VenueEvent]:
    return [action.event for action in actions if isinstance(action, Emit)]


def row(number: int, **more: Any) -> OpenOrder:
    """A row of GET /data/orders."""
    found = OPEN_ORDER.from_object({
        "id": vid(number), "status": "LIVE", "owner": "k", "maker_address": "0x", "market": CID, "asset_id": YES,
        "side": "BUY", "original_size": "10", "size_matched": "0", "price": "0.5", "outcome": "Yes", "expiration": "0",
        "order_type": "GTC", "created_at": 1_790_000_000, **more,
    })  # fmt: skip
    assert found is not None
    return found


BOUGHT = trade("t1", 1, [maker(9, "4", "0.5")], size="4", price="0.5")


# connecting


def test_it_subscribes_and_asks_for_what_it_may_have_missed() -> None:
    session = UserSession(KEY, {CID: market()})
    assert session.start(START_NS) == [Open()]
    assert session.start(START_NS) == []
    subscribe, *asks = session.opened(START_NS)
    assert isinstance(subscribe, Send)
    assert json.loads(subscribe.frame) == {
        "type": "user", "auth": {"apiKey": "key", "secret": "c2VjcmV0", "passphrase": "pass"}, "markets": [CID],
    }  # fmt: skip
    assert asks == [AskOrders(), AskTrades(START_NS // S - 60)]
    assert "c2VjcmV0" not in repr(session)


def test_without_markets_it_hears_all() -> None:
    session = UserSession(KEY, {})
    session.start(0)
    subscribe = session.opened(0)[0]
    assert isinstance(subscribe, Send)
    assert "markets" not in json.loads(subscribe.frame)


def test_after_a_reconnect_it_asks_from_the_last_news_on() -> None:
    session = opened(ticket(1))
    say(session, order(1, "UPDATE"), now_ns=START_NS + 100 * S)
    assert session.frame(b"PONG", START_NS + 500 * S) == []
    assert session.closed(START_NS + 600 * S) == []
    assert session.tick(session.wake_ns) == [Open()]
    *_, trades = session.opened(START_NS + 601 * S)
    assert trades == AskTrades(START_NS // S + 100 - 60)


def test_silence_closes_the_socket() -> None:
    session = opened()
    assert session.tick(START_NS + 10 * S) == [Send(b"PING")]
    (close,) = session.tick(START_NS + 30 * S)
    assert isinstance(close, Close)
    assert session.stop() == []


# orders


def test_an_ack_is_told_when_nobody_answered() -> None:
    session = opened(ticket(1), acked=False)
    assert events(say(session, order(1, "PLACEMENT"))) == [OrderAcked(OrderId("o1"), vid(1), 1_790_000_003 * S)]
    assert events(say(session, order(1, "PLACEMENT"))) == []
    assert events(say(opened(ticket(1)), order(1, "PLACEMENT"))) == []


@pytest.mark.parametrize(("status", "reason", "lapsed"), [
    ("CANCELED", "cancelled", False), ("", "cancelled", False), ("INVALID", "INVALID", False),
    ("CANCELED_MARKET_RESOLVED", "MARKET_RESOLVED", False), ("CANCELED_NOT_ENOUGH_BALANCE", "NOT_ENOUGH_BALANCE", False),
    ("CANCELED_EXPIRED_ORDER", "EXPIRED_ORDER", True),
    ("CANCELED_order couldn't be fully filled. FOK orders are fully filled or killed.",
     "order couldn't be fully filled. FOK orders are fully filled or killed.", False),
])  # fmt: skip
def test_the_end_of_an_order(status: str, reason: str, lapsed: bool) -> None:
    session = opened(ticket(1))
    news = order(1, "CANCELLATION", status=status, size_matched="")
    assert events(say(session, news)) == [OrderGone(OrderId("o1"), reason, lapsed, 1_790_000_003 * S)]
    assert say(session, news) == []
    assert session.open_count == 0


def test_a_refused_order_has_no_end_to_tell() -> None:
    session = opened(ticket(1), acked=False)
    session.refused(vid(1))
    assert say(session, order(1, "CANCELLATION", status="INVALID")) == []
    assert events(say(session, BOUGHT))  # but if it traded after all, that is told


def test_orders_of_another_program_are_noted() -> None:
    (note,) = say(opened(), order(7, "PLACEMENT"))
    assert isinstance(note, Note)
    assert vid(7) in note.what
    (note,) = opened().told_order(vid(7), row(7), 0)
    assert isinstance(note, Note)
    (note,) = say(opened(), BOUGHT)
    assert isinstance(note, Note)
    (note,) = say(opened(ticket(1)), BOUGHT | {"market": "0x77"})
    assert isinstance(note, Note)


# fills


def test_a_fill_and_its_settlement() -> None:
    session = opened(ticket(1))
    (filled,) = events(say(session, BOUGHT))
    assert isinstance(filled, OrderFilled)
    assert (filled.fill.lots, filled.done, filled.fill.status) == (4 * SHARE, False, FillStatus.PROVISIONAL)
    name = filled.fill.id
    assert events(say(session, BOUGHT)) == []
    told = [
        events(say(session, BOUGHT | {"status": status})) for status in ("RETRYING", "MINED", "MATCHED", "CONFIRMED")
    ]
    at = 1_790_000_002 * S
    assert told == [
        [], [FillSettled(name, OrderId("o1"), FillStatus.MINED, at)], [],
        [FillSettled(name, OrderId("o1"), FillStatus.CONFIRMED, at)],
    ]  # fmt: skip
    assert [events(say(session, BOUGHT | {"status": status})) for status in ("FAILED", "MINED")] == [[], []]


def test_a_trade_that_failed_on_chain_is_undone() -> None:
    session = opened(ticket(1))
    (filled,) = events(say(session, BOUGHT))
    assert isinstance(filled, OrderFilled)
    (voided,) = events(say(session, BOUGHT | {"status": "FAILED"}))
    assert voided == FillVoided(filled.fill.id, OrderId("o1"), 1_790_000_002 * S)
    assert events(say(session, BOUGHT | {"status": "CONFIRMED"})) == []


def test_a_trade_heard_of_when_it_had_failed_says_so() -> None:
    (filled,) = events(say(opened(ticket(1)), BOUGHT | {"status": "FAILED"}))
    assert isinstance(filled, OrderFilled)
    assert filled.fill.status is FillStatus.VOIDED


def test_the_last_fill_is_the_end_of_an_order() -> None:
    session = opened(ticket(1))
    say(session, BOUGHT)
    rest = trade("t2", 8, [maker(1, "6", "0.5", side="BUY")], size="6", price="0.5", side="SELL")
    (filled,) = events(say(session, rest))
    assert isinstance(filled, OrderFilled)
    assert filled.done
    assert session.open_count == 0
    assert events(say(session, order(1, "CANCELLATION", status="CANCELED"))) == []


def test_a_fill_outruns_the_answer_and_comes_after_the_end() -> None:
    session = opened(ticket(1), ticket(2), acked=False)
    assert len(events(say(session, BOUGHT))) == 1
    say(session, order(2, "CANCELLATION"))
    (late,) = events(say(session, trade("t3", 2, [maker(9, "1", "0.5")], size="1", price="0.5")))
    assert isinstance(late, OrderFilled)


def test_both_tokens_and_both_sides_in_one_trade() -> None:
    session = opened(ticket(1), ticket(2))
    told = events(say(session, trade("t", 1, [maker(2, "10", "0.45", NO, "BUY")], size="10", price="0.55")))
    assert [event.fill.order_id for event in told if isinstance(event, OrderFilled)] == ["o1", "o2"]
    assert len(events(say(session, trade("t", 1, [maker(2, "10", "0.45", NO, "BUY")], size="10", price="0.55",
                                         status="FAILED")))) == 2  # fmt: skip


# orders that end at once


def test_an_order_for_money_is_over_with_the_last_fill_of_its_answer() -> None:
    session = opened(ticket(1, None), acked=False)
    assert session.answered(vid(1), START_NS, 7 * SHARE, whole=True) == []
    first, second = (
        trade(name, 1, [maker(9, size, "0.5")], size=size, price="0.5") for name, size in (("a", "4"), ("b", "3"))
    )
    (one,), (two,) = events(say(session, first)), events(say(session, second))
    assert isinstance(one, OrderFilled)
    assert isinstance(two, OrderFilled)
    assert (one.done, two.done) == (False, True)


def test_when_the_fills_came_before_the_answer_its_end_is_told_by_the_answer() -> None:
    session = opened(ticket(1, None), acked=False)
    say(session, BOUGHT)
    assert events(session.answered(vid(1), START_NS + 9, 4 * SHARE)) == [
        OrderGone(OrderId("o1"), "nothing is left to trade", False, START_NS + 9)
    ]
    assert session.answered(vid(1), START_NS, 4 * SHARE) == []
    assert session.answered(vid(5), START_NS) == []


def test_money_that_was_not_all_spent_is_gone() -> None:
    session = opened(ticket(1, None), acked=False)
    session.answered(vid(1), START_NS, 4 * SHARE, whole=False)
    filled, gone = events(say(session, BOUGHT))
    assert isinstance(filled, OrderFilled)
    assert not filled.done
    assert isinstance(gone, OrderGone)


def test_when_all_the_money_was_spent_before_the_answer_the_order_is_filled() -> None:
    session = opened(ticket(1, None), acked=False)
    say(session, BOUGHT)
    assert session.answered(vid(1), START_NS, 4 * SHARE, whole=True) == [Filled(OrderId("o1"))]
    assert session.answered(vid(1), START_NS, 4 * SHARE, whole=True) == []


def test_the_rest_of_a_fak_is_gone() -> None:
    session = opened(ticket(1), acked=False)
    session.answered(vid(1), START_NS, 4 * SHARE)
    filled, gone = events(say(session, BOUGHT))
    assert isinstance(filled, OrderFilled)
    assert not filled.done
    assert isinstance(gone, OrderGone)


# what may have been missed


def test_an_order_that_traded_more_than_was_heard_is_asked_about() -> None:
    session = opened(ticket(1))
    say(session, order(1, "UPDATE", size_matched="4"), now_ns=START_NS + S)
    due_ns = START_NS + S + BEHIND_NS
    assert session.wake_ns == due_ns
    assert session.tick(due_ns - 1) == []
    assert session.tick(due_ns) == [AskTrades(START_NS // S + 1 - 60), AskOrder(vid(1))]
    assert session.tick(due_ns + 1) == []
    (filled,) = events(session.told_trades([record(BOUGHT)], due_ns + 2))
    assert isinstance(filled, OrderFilled)
    assert session.wake_ns == START_NS + 10 * S  # the next ping: nothing is missing any more
    assert events(say(session, BOUGHT)) == []


def test_a_missing_answer_is_asked_for_again() -> None:
    session = opened(ticket(1))
    say(session, order(1, "UPDATE", size_matched="4"))
    asked = [
        now_ns for step in range(300)
        for now_ns in [START_NS + S + step * S] if AskTrades in map(type, session.tick(now_ns))
    ]  # fmt: skip
    assert len(asked) == 5


@pytest.mark.parametrize("news", [
    {"order_type": "FOK"}, {"order_type": "FAK"}, {"size_matched": ""}, {"size_matched": "0"},
])  # fmt: skip
def test_what_says_nothing_of_shares_asks_nothing(news: dict[str, str]) -> None:
    session = opened(ticket(1))
    say(session, order(1, "UPDATE", **{"size_matched": "12"} | news))
    assert session.wake_ns == START_NS + 10 * S


def test_a_status_nobody_knows_ends_no_order() -> None:
    session = opened(ticket(1))
    assert events(session.told_order(vid(1), row(1, status="PENDING_CANCEL"), START_NS)) == []
    with pytest.raises(InvalidResponse, match="PENDING_CANCEL"):
        status_of(row(1, status="PENDING_CANCEL"))
    assert session.open_count == 1


def test_an_order_taken_for_refused_that_is_listed_lives() -> None:
    session = opened(ticket(1))
    session.refused(vid(1))
    assert events(session.told_order(vid(1), row(1), START_NS)) == [OrderAcked(OrderId("o1"), vid(1), START_NS)]
    assert session.open_count == 1
    assert events(session.told_order(vid(1), row(1), START_NS)) == []


def test_an_order_that_did_not_get_there_is_not_open_until_it_is_sent_again() -> None:
    session = opened(ticket(1), acked=False)
    session.refused(vid(1))
    assert session.open_count == 0
    session.track(ticket(1))
    assert session.open_count == 1
    session.answered(vid(1), START_NS)
    assert events(say(session, order(1, "CANCELLATION", status="CANCELED", size_matched=""))) != []


def test_all_open_orders_at_once() -> None:
    session = opened(ticket(1), ticket(2), ticket(3))
    session.track(ticket(4))  # not answered yet: it may not have arrived
    say(session, order(3, "CANCELLATION"))
    actions = session.told_orders([row(1), row(7)], START_NS)
    assert [action for action in actions if isinstance(action, AskOrder)] == [AskOrder(vid(2))]
    assert [type(action) for action in actions] == [Note, AskOrder]
    assert session.told_order(vid(2), None, START_NS) == []
    gone = events(session.told_order(vid(2), row(2, status="ORDER_STATUS_CANCELED"), START_NS))
    assert gone == [OrderGone(OrderId("o2"), "cancelled", False, START_NS)]
    assert events(session.told_orders([row(4)], START_NS)) == [OrderAcked(OrderId("o4"), vid(4), START_NS)]
    session.told_order(vid(1), row(1, size_matched="3", status="MATCHED"), START_NS)
    assert session.wake_ns == START_NS + BEHIND_NS


# bad news


def test_what_cannot_be_read_is_noted_and_asked_for() -> None:
    session = opened(ticket(1))
    for broken in (b"{", b"\xff\xfe", json.dumps(BOUGHT | {"size": "many"}).encode(),
                   json.dumps(BOUGHT | {"status": "BURNED"}).encode(), json.dumps(BOUGHT | {"asset_id": "9"}).encode(),
                   json.dumps(order(1, "UPDATE", size_matched="x")).encode()):  # fmt: skip
        note, *asks = session.frame(broken, START_NS + S)
        assert isinstance(note, Note)
        assert [type(ask) for ask in asks] == [AskOrders, AskTrades]
    (note,) = say(session, {"event_type": "rebate", "x": 1})
    assert isinstance(note, Note)
    (note,) = session.told_trades([record(BOUGHT | {"status": "BURNED"})], START_NS)
    assert isinstance(note, Note)
    assert len(events(say(session, BOUGHT))) == 1  # none of it did harm


def test_old_ends_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ENDED_MAX", 10)
    session = opened(*(ticket(number) for number in range(100, 150)))
    for number in range(100, 150):
        say(session, trade(f"t{number}", number, [maker(9, "1", "0.5")], size="1", price="0.5", status="CONFIRMED"))
        say(session, order(number, "CANCELLATION"))
    assert session.open_count == 0
    assert isinstance(say(session, order(100, "CANCELLATION"))[0], Note)
    assert say(session, order(149, "CANCELLATION")) == []
    assert len(session._orders) == len(session._fills) == 10


def test_the_recorded_messages_pass_through() -> None:
    """Every sample of the user channel, after its own order was tracked."""
    folder = DATA / "polymarket_messages/nautilus"
    told = []
    for path in sorted(folder.glob("*_user_*.json")) + sorted(folder.glob("it_order_*.json")):
        message = json.loads(path.read_text())
        kind = message.get("event_type") or ("trade" if message["type"] == "TRADE" else "order")
        listed = Market(market().instrument, message["asset_id"], "x")
        for part in message.get("maker_orders", ()):
            listed = (
                Market(listed.instrument, listed.yes_token, part["asset_id"])
                if part["asset_id"] != listed.yes_token
                else listed
            )
        session = UserSession(KEY, {message["market"]: listed}, LinkConfig())
        session.start(0)
        session.opened(0)
        name = message.get("taker_order_id") or message["id"]
        session.track(Ticket(OrderId("me"), name, message["market"], None))
        actions = session.frame(json.dumps(message | {"event_type": kind}).encode(), 1)
        assert USER_EVENTS[kind]
        told += [(path.stem, type(event).__name__) for event in events(actions)]
        assert not [action for action in actions if isinstance(action, Note)], path.name
    assert dict(told) == {
        "it_user_trade1": "OrderFilled", "it_user_trade2": "OrderFilled", "it_user_trade3": "OrderFilled",
        "it_user_trade4": "OrderFilled", "ws_user_order_cancellation": "OrderGone", "ws_user_order_fok_killed": "OrderGone",
        "ws_user_order_matched": "OrderAcked", "ws_user_order_msg": "OrderAcked", "ws_user_order_placement": "OrderAcked",
        "ws_user_order_update": "OrderAcked", "ws_user_order_venue_cancel": "OrderGone", "ws_user_trade": "OrderFilled",
        "ws_user_trade_msg": "OrderFilled", "it_order_cancel": "OrderGone", "it_order_placement": "OrderAcked",
    }  # fmt: skip


# in any order


@given(st.data())
def test_however_news_come_every_fill_is_told_once_and_ends_as_it_ended(data: st.DataObject) -> None:
    """Trades whose stages come in any order, twice, or only by REST; sockets lost in between."""
    stages = [data.draw(st.sampled_from([("MATCHED", "MINED", "CONFIRMED"), ("MATCHED", "RETRYING", "FAILED"),
                                         ("MATCHED", "MINED", "RETRYING", "CONFIRMED")])) for _ in range(3)]  # fmt: skip
    trades = [
        trade("a", 1, [maker(2, "2", "0.5"), maker(9, "1", "0.51")], size="3", price="0.51"),
        trade("b", 9, [maker(1, "4", "0.5", side="BUY")], size="4", price="0.5", side="SELL"),
        trade("c", 2, [maker(1, "1", "0.6", NO, "SELL")], size="1", price="0.4", side="SELL"),
    ]
    news = [one | {"status": stage} for one, way in zip(trades, stages, strict=True) for stage in way]
    heard = data.draw(st.lists(st.sampled_from(news), max_size=20))
    final = [one | {"status": way[-1]} for one, way in zip(trades, stages, strict=True)]
    session, told = opened(ticket(1, 100), ticket(2, 100)), []
    for number, message in enumerate(heard):
        now_ns = START_NS + number * S
        if data.draw(st.booleans()):
            told += events(say(session, message, now_ns=now_ns))
        else:
            told += events(session.told_trades([record(message)], now_ns))
        if data.draw(st.booleans()):
            session.closed(now_ns)
            session.tick(session.wake_ns)
            session.opened(now_ns)
    told += events(session.told_trades(map(record, data.draw(st.permutations(final))), START_NS + 100 * S))
    states: dict[str, FillStatus] = {}
    for event in told:
        if isinstance(event, OrderFilled):
            assert event.fill.id not in states
            states[event.fill.id] = event.fill.status
        elif isinstance(event, FillSettled | FillVoided):
            assert states[event.fill_id] not in (FillStatus.CONFIRMED, FillStatus.VOIDED)
            states[event.fill_id] = event.status if isinstance(event, FillSettled) else FillStatus.VOIDED
    assert len(states) == 5
    ends = {"a": stages[0][-1], "b": stages[1][-1], "c": stages[2][-1]}
    heard_final = {(one["id"], one["status"]) for one in heard}
    for name, status in states.items():
        key = name.partition(":")[0]
        want = FillStatus.VOIDED if ends[key] == "FAILED" else FillStatus.CONFIRMED
        assert status is want, heard_final
    assert session.wake_ns < NEVER


def test_a_trade_that_may_still_fail_is_read_again_after_a_reconnect() -> None:
    """Its failure may have been told while nobody listened; trades are asked for by the time they were matched."""
    session = opened(ticket(1))
    say(session, trade("t", 1, [maker(9, "10", "0.5")], size="10", price="0.5"))
    matched_s = 1_790_000_001

    def asked(now_ns: int) -> int:
        session.closed(now_ns)
        (ask,) = [action for action in session.opened(now_ns) if isinstance(action, AskTrades)]
        return ask.after_s

    later_ns = START_NS + 3_600 * 10**9
    session.frame(b"PONG", later_ns)
    assert asked(later_ns) == matched_s - 60
    say(session, trade("t", 1, [maker(9, "10", "0.5")], size="10", price="0.5", status="CONFIRMED"))
    assert asked(later_ns) >= matched_s - 60
    assert not session._unsettled
