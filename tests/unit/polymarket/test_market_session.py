"""The market channel: subscriptions, books that are known or not, and the two events the engine hears."""

from __future__ import annotations

import json
from typing import Any

import pytest
from polymarket_golden import DATA
from polymarket_news import CID, NO, START_NS, YES, market

from execsim.core.events import MarketResolved, TickChanged
from execsim.core.order import MarketId
from execsim.core.units import NS_PER_S
from execsim_polymarket.link import Close, Open, Send
from execsim_polymarket.market_session import Data, Fresh, MarketAction, MarketSession, Stale
from execsim_polymarket.session import Emit, Note
from execsim_polymarket.wire.channels import BookMessage

S = NS_PER_S


def book(token: str, **more: Any) -> dict[str, Any]:
    return {
        "event_type": "book",
        "market": CID,
        "asset_id": token,
        "timestamp": "1790000000000",
        "bids": [],
        "asks": [],
        **more,
    }


def say(session: MarketSession, *messages: dict[str, Any], now_ns: int = START_NS) -> list[MarketAction]:
    return session.frame(json.dumps(list(messages)).encode() + b"\n", now_ns)


def live(*tokens: str) -> MarketSession:
    session = MarketSession({CID: market()}, tokens)
    assert session.start(START_NS) == [Open()]
    session.opened(START_NS)
    return session


def sent(action: MarketAction) -> Any:
    assert isinstance(action, Send)
    return json.loads(action.frame)


def test_it_subscribes_to_all_its_tokens() -> None:
    session = MarketSession({}, (YES, NO, YES))
    session.start(START_NS)
    (subscribe,) = session.opened(START_NS)
    assert sent(subscribe) == {"type": "market", "assets_ids": [YES, NO], "custom_feature_enabled": True}


def test_a_book_is_known_from_its_first_message_until_the_link_is_lost() -> None:
    session = live(YES, NO)
    assert not session.is_fresh(YES)
    actions = say(session, book(YES), book(NO), book("333"))
    assert [type(action) for action in actions] == [Fresh, Data, Fresh, Data, Data]
    assert [type(action) for action in say(session, book(YES))] == [Data]
    assert session.closed(START_NS + S) == [Stale((YES, NO))]
    assert session.closed(START_NS + S) == []
    assert session.tick(session.wake_ns) == [Open()]
    session.opened(START_NS + 2 * S)
    assert not session.is_fresh(YES)
    fresh, data = say(session, book(YES))
    assert fresh == Fresh(YES)
    assert isinstance(data, Data)
    assert isinstance(data.message, BookMessage)


def test_a_channel_that_sends_no_books_is_given_up() -> None:
    session = live(YES)
    session.frame(b"PONG", START_NS + 5 * S)
    assert session.wake_ns == START_NS + 10 * S
    (close,) = session.tick(START_NS + 10 * S)
    assert isinstance(close, Close)
    session = live(YES)
    say(session, book(YES))
    for step in range(1, 30):
        session.tick(START_NS + step * 10 * S)
        session.frame(b"PONG", START_NS + step * 10 * S)
    close, stale = session.tick(START_NS + 300 * S)
    assert isinstance(close, Close)
    assert stale == Stale((YES,))


def test_tokens_come_and_go() -> None:
    session = MarketSession({}, (YES,))
    assert session.subscribe([NO]) == []  # not open yet: it goes with the first message
    session.start(START_NS)
    (subscribe,) = session.opened(START_NS)
    assert sent(subscribe)["assets_ids"] == [YES, NO]
    (more,) = session.subscribe(["3", "4", "3", YES])
    assert sent(more) == {"operation": "subscribe", "assets_ids": ["3", "4"], "custom_feature_enabled": True}
    assert session.subscribe([YES]) == []
    say(session, book("3"))
    less, stale = session.unsubscribe(["3", "9"])
    assert sent(less) == {"operation": "unsubscribe", "assets_ids": ["3"]}
    assert stale == Stale(("3",))
    assert session.unsubscribe(["3"]) == []
    assert session.tokens == (YES, NO, "4")
    say(session, book("4"))
    assert session.stop() == [Close("stopped"), Stale(("4",))]


def test_a_finer_tick_is_told_once() -> None:
    session = live(YES, NO)
    change = {"event_type": "tick_size_change", "market": CID, "old_tick_size": "0.01", "new_tick_size": "0.001",
              "timestamp": "1790000004000"}  # fmt: skip
    actions = say(session, change | {"asset_id": YES}, change | {"asset_id": NO})
    assert [action.event for action in actions if isinstance(action, Emit)] == [
        TickChanged(MarketId(CID), 10, 1_790_000_004 * S)
    ]
    assert len([action for action in actions if isinstance(action, Data)]) == 2
    assert [type(action) for action in say(session, change | {"market": "0x9", "asset_id": "9"})] == [Data]
    _, note = say(session, change | {"asset_id": YES, "new_tick_size": "0.00001"})
    assert isinstance(note, Note)


@pytest.mark.parametrize(("winner", "payoff_i"), [(YES, 10_000), (NO, 0)])
def test_a_resolution_names_the_winner(winner: str, payoff_i: int) -> None:
    message = {"event_type": "market_resolved", "id": "1", "market": CID, "assets_ids": [YES, NO],
               "winning_asset_id": winner, "winning_outcome": "", "timestamp": "1790000005000"}  # fmt: skip
    _, told = say(live(YES), message)
    assert told == Emit(MarketResolved(MarketId(CID), payoff_i, 1_790_000_005 * S, paid=False))
    assert [type(action) for action in say(live(YES), message | {"winning_asset_id": ""})] == [Data]
    _, note = say(live(YES), message | {"winning_asset_id": "5"})
    assert isinstance(note, Note)


def test_what_cannot_be_read_is_noted() -> None:
    session = live(YES)
    assert [type(action) for action in session.frame(b"{", START_NS)] == [Note]
    assert [type(action) for action in say(session, {"event_type": "new"}, book(YES, bids=5))] == [Note, Note]


def test_the_recorded_messages_pass_through() -> None:
    kinds = {}
    for path in sorted((DATA / "polymarket_messages/nautilus").glob("ws_market_*.json")):
        kinds[path.stem] = [type(action).__name__ for action in live(YES).frame(path.read_bytes(), START_NS)]
    assert set(map(tuple, kinds.values())) == {("Data",)}
    assert len(kinds) == 7
