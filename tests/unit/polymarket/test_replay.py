"""What single messages become: diffs, gaps, trades, ticks, copies, resolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from execsim.core.errors import ConfigError, DataError
from execsim.tape.schema import Flag, Kind, SideCode

Play = Callable[..., Any]
CID = "0x" + "ab" * 32
YES, NO = "111111", "222222"
T0_MS = 1_776_259_500_000


def at(ms: int) -> int:
    return (T0_MS + ms) * 1_000_000


def short(rows: list[Any]) -> list[tuple[int, ...]]:
    return [(r.ts_venue_ns, r.kind, r.side, r.price_i, r.size_i, r.flags) for r in rows]


def test_first_book_is_a_snapshot_then_only_changes(fake: Any, play: Play) -> None:
    first = fake.book(0)
    fake.bids[next(iter(fake.bids))] = "51"
    fake.set(10, "SELL", "0.53", "0")
    sink = play(first, fake.book(10))
    assert short(sink.data) == [
        (at(0), Kind.SNAPSHOT, SideCode.BID, 4700, 50_000_000, Flag.FIRST),
        (at(0), Kind.SNAPSHOT, SideCode.BID, 4800, 100_000_000, 0),
        (at(0), Kind.SNAPSHOT, SideCode.ASK, 5300, 60_000_000, 0),
        (at(0), Kind.SNAPSHOT, SideCode.ASK, 5200, 80_000_000, Flag.LAST),
        (at(10), Kind.LEVEL, SideCode.ASK, 5300, 0, 0),
        (at(10), Kind.LEVEL, SideCode.BID, 4700, 51_000_000, Flag.LAST),
    ]
    assert {r.ts_recv_ns - r.ts_venue_ns for r in sink.data} == {20_000_000}
    assert sink.oracle("book_hash") == (2, 2)


def test_empty_book_is_one_row(fake: Any, play: Play) -> None:
    fake.bids.clear()
    fake.asks.clear()
    sink = play(fake.book(0))
    assert short(sink.data) == [(at(0), Kind.SNAPSHOT, SideCode.NONE, 0, 0, Flag.FIRST | Flag.LAST)]


def test_price_changes_apply_and_prove_themselves(fake: Any, play: Play) -> None:
    frames = [fake.book(0), fake.book(0, NO), fake.set(5, "BUY", "0.49", "12.5"), fake.set(6, "SELL", "0.52", "0")]
    sink = play(*frames)
    assert short(sink.of(Kind.LEVEL)) == [
        (at(5), Kind.LEVEL, SideCode.BID, 4900, 12_500_000, Flag.LAST),
        (at(6), Kind.LEVEL, SideCode.ASK, 5200, 0, Flag.LAST),
    ]
    assert sink.oracle("change_hash") == (4, 4)
    assert sink.oracle("best_price") == (4, 4)
    assert sink.oracle("mirror") == (3, 3)


@pytest.mark.parametrize("tokens", [(YES,), (NO,), (YES, NO), (NO, YES)])
def test_one_token_or_both_give_the_same_book(fake: Any, play: Play, tokens: tuple[str, ...]) -> None:
    frames = [fake.book(0, token) for token in tokens]
    for step in range(1, 60):
        if step % 2:
            side, price, size = "BUY", f"0.4{step * 7 % 10}", str(step)
        else:
            side, price, size = "SELL", f"0.5{2 + step % 8}", str(step % 3)
        entries = fake.set(step, side, price, size, tokens)["price_changes"]
        # one frame a token, as before 2025-09-15, and both in one, as since
        groups = [entries] if step % 3 else [[entry] for entry in entries]
        frames += [
            {"event_type": "price_change", "market": CID, "timestamp": str(T0_MS + step), "price_changes": group}
            for group in groups
        ]
    sink = play(*frames)
    bids = tuple(sorted((int(p * 10_000), int(s) * 1_000_000) for p, s in fake.bids.items()))
    asks = tuple(sorted((int(p * 10_000), int(s) * 1_000_000) for p, s in fake.asks.items()))
    assert sink.final()[CID] == (bids, asks)
    assert sink.oracle("change_hash") == (59 * len(tokens),) * 2
    assert not sink.gaps
    assert not sink.defects


def test_old_forms_of_price_change(fake: Any, play: Play) -> None:
    book = fake.book(0)
    new = fake.set(5, "BUY", "0.49", "7", (YES,))["price_changes"][0]
    flat = {"event_type": "price_change", "market": CID, "timestamp": str(T0_MS + 5)} | {
        key: new[key] for key in ("asset_id", "price", "size", "side", "hash")
    }
    fake.set(9, "SELL", "0.53", "0", (YES,))
    after = fake.set(9, "BUY", "0.46", "3", (YES,))["price_changes"][0]
    many = {"event_type": "price_change", "market": CID, "timestamp": str(T0_MS + 9), "asset_id": YES} | {
        "hash": after["hash"],
        "changes": [{"price": "0.53", "side": "SELL", "size": "0"}, {"price": "0.46", "side": "BUY", "size": "3"}],
    }
    sink = play(book, flat, many)
    assert sink.oracle("change_hash") == (2, 2)
    assert short(sink.of(Kind.LEVEL)) == [
        (at(5), Kind.LEVEL, SideCode.BID, 4900, 7_000_000, Flag.LAST),
        (at(9), Kind.LEVEL, SideCode.ASK, 5300, 0, 0),
        (at(9), Kind.LEVEL, SideCode.BID, 4600, 3_000_000, Flag.LAST),
    ]


def test_a_missed_change_opens_a_gap_until_the_next_book(fake: Any, play: Play) -> None:
    frames = [fake.book(0), fake.set(5, "BUY", "0.49", "7", (YES,))]
    fake.set(6, "BUY", "0.45", "9")  # lost
    frames += [fake.set(7, "BUY", "0.44", "1", (YES,)), fake.set(8, "SELL", "0.55", "1", (YES,)), fake.book(20)]
    sink = play(*frames)
    assert sink.oracle("change_hash") == (1, 3)
    assert [(g.start_ns, g.end_ns, g.why) for g in sink.gaps] == [(at(5) + 1, at(20), "hash")]
    gap_rows = [(r.ts_venue_ns, r.size_i) for r in sink.of(Kind.GAP)]
    assert gap_rows == [(at(5) + 1, 1), (at(20), 0)]
    inside = [r for r in sink.data if at(5) + 1 < r.ts_venue_ns < at(20)]
    assert not inside
    resync = [r for r in sink.of(Kind.SNAPSHOT) if r.ts_venue_ns == at(20)]
    assert resync[0].flags == Flag.FIRST | Flag.RESYNC
    assert resync[-1].flags == Flag.LAST
    assert len(resync) == len(fake.bids) + len(fake.asks)


def test_a_later_hash_can_prove_the_book_right_again(fake: Any, play: Play) -> None:
    frames = [fake.book(0)]
    fake.set(6, "BUY", "0.45", "9")  # lost
    frames += [fake.set(7, "BUY", "0.44", "1", (YES,)), fake.set(8, "BUY", "0.45", "0", (YES,))]
    sink = play(*frames)
    assert [(g.start_ns, g.end_ns, g.why) for g in sink.gaps] == [(at(0) + 1, at(8), "hash")]
    assert sink.final()[CID][0] == ((4400, 1_000_000), (4700, 50_000_000), (4800, 100_000_000))


def test_a_lost_message_of_one_token_is_seen_on_the_other_only_by_its_own_hash(fake: Any, play: Play) -> None:
    frames = [fake.book(0), fake.book(0, NO), fake.set(5, "BUY", "0.49", "7", (YES,))]  # NO's frame is lost
    frames.append(fake.set(6, "BUY", "0.45", "9"))
    sink = play(*frames)
    assert sink.oracle("change_hash") == (2, 3)
    assert not sink.gaps  # YES leads and is proven


def test_changes_before_any_book_are_counted_and_dropped(fake: Any, play: Play) -> None:
    sink = play(fake.set(1, "BUY", "0.49", "7"), fake.book(2))
    assert sink.defects == {"change_before_book": 1}
    assert {r.ts_venue_ns for r in sink.data} == {at(2)}


def quiet(fake: Any, *after: Any) -> list[Any]:
    """A book every 10 ms, then nothing for 2.5 s."""
    return [fake.book(ms) for ms in range(0, 100, 10)] + [frame() for frame in after]


def test_quiet_is_a_gap_and_the_next_book_closes_it(fake: Any, play: Play) -> None:
    sink = play(*quiet(fake, lambda: fake.book(2_590)))
    assert [(g.start_ns, g.end_ns, g.why) for g in sink.gaps] == [(at(90) + 1, at(2_590), "quiet")]
    rows = [r for r in sink.data if r.ts_venue_ns > at(0)]
    assert [r.kind for r in rows] == [Kind.GAP, Kind.GAP] + [Kind.SNAPSHOT] * 4
    assert rows[0].ts_recv_ns == at(110) + 1
    assert rows[2].flags == Flag.FIRST | Flag.RESYNC


def test_quiet_shorter_than_gap_s_is_none(fake: Any, play: Play) -> None:
    assert not play(*quiet(fake, lambda: fake.book(2_089))).gaps
    assert not play(*quiet(fake, lambda: fake.book(2_590)), gap_s=3).gaps
    assert not play(*quiet(fake, lambda: fake.book(60_000)), gap_s=0).gaps


def test_a_slow_market_is_not_silent(fake: Any, play: Play) -> None:
    slow = [fake.book(ms) for ms in range(0, 5_000, 500)]
    assert not play(*slow, fake.book(14_000)).gaps  # 9.5 s, but 20 medians are 10 s
    assert len(play(*slow, fake.book(15_000)).gaps) == 1


def test_a_verified_change_after_quiet_proves_that_nothing_was_lost(fake: Any, play: Play) -> None:
    sink = play(
        *quiet(
            fake,
            lambda: fake.trade(9_000, "0.52", "10", "BUY"),
            lambda: fake.set(9_001, "SELL", "0.52", "70"),
        )
    )
    assert not sink.gaps
    assert [r.kind for r in sink.data if r.ts_venue_ns > at(90)] == [Kind.TRADE, Kind.LEVEL]


def test_an_unverified_change_after_quiet_does_not(fake: Any, play: Play) -> None:
    def lost() -> Any:
        fake.set(5_000, "BUY", "0.40", "1")
        return fake.set(9_001, "SELL", "0.52", "70")

    frames = quiet(fake, lambda: fake.trade(9_000, "0.52", "10", "BUY"), lost, lambda: fake.book(9_100))
    sink = play(*frames)
    assert [(g.start_ns, g.end_ns, g.why) for g in sink.gaps] == [(at(90) + 1, at(9_100), "quiet")]
    late = [(r.ts_venue_ns, r.kind) for r in sink.data if r.ts_venue_ns > at(90)]
    assert late[:3] == [(at(90) + 1, Kind.GAP), (at(9_000), Kind.TRADE), (at(9_100), Kind.GAP)]


def test_a_gap_that_never_closes_ends_with_the_recording(fake: Any, play: Play) -> None:
    sink = play(*quiet(fake, lambda: fake.trade(9_000, "0.52", "10", "BUY")))
    assert [(g.start_ns, g.end_ns) for g in sink.gaps] == [(at(90) + 1, at(9_000))]
    assert [(r.kind, r.size_i) for r in sink.data[-2:]] == [(Kind.GAP, 1), (Kind.TRADE, 10_000_000)]


def test_no_covers_where_yes_is_silent(fake: Any, play: Play) -> None:
    frames: list[Any] = []
    for ms in range(0, 9_000, 100):
        if 30 <= ms // 100 < 60:
            fake.set(ms, "BUY", "0.46", str(ms))
        frames.append(fake.book(ms, NO))
        if not 30 <= ms // 100 < 60:
            frames.append(fake.book(ms, YES))
    sink = play(*frames)
    assert not sink.gaps
    assert [r.ts_venue_ns for r in sink.of(Kind.LEVEL)] == [at(ms) for ms in range(3_000, 6_000, 100)]
    assert sink.oracle("mirror") == (60, 60)


def test_trades_are_canonical(fake: Any, play: Play) -> None:
    frames = [
        fake.book(0),
        fake.book(0, NO),
        fake.trade(1, "0.52", "3", "BUY"),
        fake.trade(2, "0.52", "4", "BUY", NO),
        fake.trade(3, "0.48", "5", "SELL", NO),
    ]
    trades = play(*frames).of(Kind.TRADE)
    assert [(r.price_i, r.size_i, r.aggressor, r.flags) for r in trades] == [
        (5200, 3_000_000, SideCode.BID, 0),
        (4800, 4_000_000, SideCode.ASK, Flag.NO_TOKEN),
        (5200, 5_000_000, SideCode.BID, Flag.NO_TOKEN),
    ]


def test_a_trade_is_counted_once(fake: Any, play: Play) -> None:
    mine = fake.trade(1, "0.52", "3", "BUY", tx="0x1")
    frames = [
        fake.book(0),
        fake.book(0, NO),
        mine,
        fake.trade(1, "0.48", "3", "SELL", NO, tx="0x1"),  # the same trade, told by the other token
        mine,  # the same message again
        fake.trade(1, "0.52", "3", "BUY", tx="0x2"),  # another trade
        fake.trade(2, "0.52", "3", "BUY", tx="0x1"),  # a second fill of the first transaction
    ]
    sink = play(*frames)
    assert len(sink.of(Kind.TRADE)) == 3
    assert sink.defects == {"trade_on_both_tokens": 1, "duplicate_frame": 1}


def test_the_last_trade_price_is_tracked_for_the_hash(fake: Any, play: Play) -> None:
    frames = [
        fake.book(0, last_trade_price=None, tick_size=None),
        fake.trade(1, "0.52", "3", "BUY"),
        fake.set(2, "SELL", "0.52", "77"),
        fake.trade(3, "0.48", "3", "BUY", NO),
        fake.book(4, last_trade_price=None, tick_size=None),
    ]
    sink = play(*frames)
    assert sink.oracle("change_hash") == (1, 1)
    assert sink.oracle("book_hash") == (2, 2)


def bought(fake: Any, ms: int, price: str, size: str, last: str) -> Any:
    fake.last = last
    fake.set(ms, "SELL", price, size)
    return fake.book(ms)


def test_trades_are_inferred_from_books(fake: Any, play: Play) -> None:
    frames = [fake.book(0)]
    frames.append(bought(fake, 10, "0.52", "70", "0.520"))  # 10 fewer at the ask: a buyer
    frames.append(bought(fake, 20, "0.52", "65", "0.480"))  # the same on the NO token: 1 - 0.48
    fake.last = "0.480"
    fake.set(30, "SELL", "0.52", "60")
    frames.append(fake.book(30))  # no new last price: a cancel
    fake.last = "0.300"
    frames.append(fake.book(40))  # nothing fell: no trade can be told
    fake.last = "0.480"
    fake.set(50, "BUY", "0.48", "99")
    frames.append(fake.book(50))  # a seller
    sink = play(*frames)
    trades = sink.of(Kind.TRADE)
    assert [(r.ts_venue_ns, r.price_i, r.size_i, r.aggressor, r.flags) for r in trades] == [
        (at(10), 5200, 10_000_000, SideCode.BID, Flag.INFERRED),
        (at(20), 5200, 5_000_000, SideCode.BID, Flag.INFERRED | Flag.NO_TOKEN),
        (at(50), 4800, 1_000_000, SideCode.ASK, Flag.INFERRED),
    ]
    assert sink.defects == {"trade_uninferable": 1}
    first = next(r for r in sink.data if r.ts_venue_ns == at(10))
    assert first.kind == Kind.TRADE  # before the levels of its instant
    assert any("inferred" in note for note in sink.notes)


def test_a_fall_behind_the_touch_is_no_trade(fake: Any, play: Play) -> None:
    sink = play(fake.book(0), bought(fake, 10, "0.53", "10", "0.530"))
    assert not sink.of(Kind.TRADE)
    assert sink.defects == {"trade_uninferable": 1}


def test_nothing_is_inferred_where_trades_are_recorded(fake: Any, play: Play) -> None:
    sink = play(fake.book(0), bought(fake, 10, "0.52", "70", "0.520"), fake.trade(11, "0.52", "10", "BUY"))
    assert [r.flags for r in sink.of(Kind.TRADE)] == [0]


def test_tick_changes(fake: Any, play: Play) -> None:
    def change(ms: int, asset: str) -> Any:
        fake.tick = "0.001"
        frame = {"event_type": "tick_size_change", "market": CID, "asset_id": asset, "timestamp": str(T0_MS + ms)}
        return frame | {"old_tick_size": "0.01", "new_tick_size": "0.001"}

    frames = [
        fake.book(0),
        fake.book(0, NO),
        change(5, NO),
        change(5, YES),
        fake.set(6, "SELL", "0.501", "5"),
        fake.book(7),
    ]
    sink = play(*frames)
    assert [(r.ts_venue_ns, r.price_i) for r in sink.of(Kind.TICK)] == [(at(5), 10)]
    assert sink.markets[0].tick == "0.01"
    assert sink.oracle("change_hash") == (2, 2)


@pytest.mark.parametrize(("winner", "name", "payoff_i"), [(YES, "Yes", 10_000), (NO, "No", 0), (NO, "Down", 0)])
def test_resolution(fake: Any, play: Play, winner: str, name: str, payoff_i: int) -> None:
    end = {"event_type": "market_resolved", "market": CID, "assets_ids": [YES, NO], "timestamp": str(T0_MS + 9)}
    sink = play(fake.book(0), end | {"winning_asset_id": winner, "winning_outcome": name}, yes_tokens=())
    assert [r.price_i for r in sink.of(Kind.RESOLVE)] == [payoff_i]
    info = sink.markets[0]
    assert (info.yes_token, info.no_token) == (YES, NO)
    assert info.outcome == str(payoff_i // 10_000)
    assert not any("assumed" in note for note in sink.notes)


def test_copies_are_dropped_but_their_hash_is_checked(fake: Any, play: Play) -> None:
    book, change = fake.book(0), fake.set(5, "BUY", "0.49", "7")
    sink = play(book, book, change, change)
    assert sink.defects == {"duplicate_frame": 2}
    assert sink.oracle("book_hash") == (2, 2)
    assert len(sink.data) == 5


def test_a_tampered_book_fails_its_hash(fake: Any, play: Play) -> None:
    good, bad = fake.book(0), fake.book(5)
    bad["bids"][0]["size"] = "51"
    assert play(good, bad).oracle("book_hash") == (1, 2)


def test_what_a_full_book_should_not_hold_is_counted(fake: Any, play: Play) -> None:
    fake.bids[next(iter(fake.bids))] = "0"
    frame = fake.book(0)
    frame["asks"].append(frame["asks"][0])
    sink = play(frame)
    assert sink.defects == {"zero_size_level": 1, "duplicate_level": 1}
    assert all(r.size_i for r in sink.data)


def test_other_events(fake: Any, play: Play) -> None:
    head = {"market": CID, "asset_id": YES, "timestamp": str(T0_MS)}
    sink = play(fake.book(0), head | {"event_type": "best_bid_ask"}, head | {"event_type": "price_wobble"})
    assert sink.defects == {"unknown_event": 1}
    assert any("best_bid_ask" in note for note in sink.notes)


def test_hand_made_hashes_are_reported_not_failed(fake: Any, play: Play) -> None:
    frames = [fake.book(0, hash="1" * 40), fake.set(5, "BUY", "0.49", "7", (YES,))]
    frames[1]["price_changes"][0]["hash"] = "2" * 40
    sink = play(*frames)
    assert sink.oracle("book_hash") == (0, 0)
    assert not sink.gaps
    assert "2 hashes could not be verified" in " ".join(sink.notes)
    assert len(sink.of(Kind.LEVEL)) == 1


def test_yes_is_the_token_that_speaks_more(fake: Any, play: Play) -> None:
    sink = play(fake.book(0, NO), fake.book(0), fake.book(10), yes_tokens=())
    assert sink.markets[0].yes_token == YES
    assert sink.markets[0].extra["yes_assumed"] is True
    assert YES in " ".join(sink.notes)
    assert play(fake.book(0), fake.book(0, NO), yes_tokens=[NO]).markets[0].no_token == YES
    assert play(fake.book(0), fake.book(0, NO), yes_tokens={CID: NO}).markets[0].yes_token == NO
    with pytest.raises(ConfigError, match="333"):
        play(fake.book(0), fake.book(0, NO), yes_tokens={CID: "333"})


@pytest.mark.parametrize(
    ("change", "what"),
    [({"price": "0.48005"}, "price"), ({"size": "-1"}, "size"), ({"side": "HOLD"}, "side"), ({"price": None}, "price")],
)
def test_bad_numbers_name_the_line(fake: Any, play: Play, change: dict[str, Any], what: str) -> None:
    frames = [fake.book(0), fake.set(5, "BUY", "0.49", "7", (YES,)), fake.set(6, "BUY", "0.45", "7", (YES,))]
    frames[1]["price_changes"][0].update(change)
    with pytest.raises(DataError, match=f"frames.jsonl:2: .*{what}.*on_error"):
        play(*frames)
    sink = play(*frames, on_error="skip")
    assert sink.defects["malformed_row"] == 1
    assert sink.oracle("change_hash") == (0, 1)  # the skipped change is missed, and its loss is noticed


def test_a_quiet_spell_is_not_left_undecided_for_long(fake: Any, play: Play) -> None:
    frames = quiet(fake)
    frames += [fake.trade(9_000 + ms, "0.52", "1", "BUY") for ms in range(1_200)]
    sink = play(*frames)
    assert [(g.start_ns, g.end_ns, g.why) for g in sink.gaps] == [(at(90) + 1, at(10_199), "quiet")]
    assert len(sink.of(Kind.TRADE)) == 1_200
    times = [row.ts_venue_ns for row in sink.data]
    assert times == sorted(times)
