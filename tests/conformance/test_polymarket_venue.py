"""Adapter and server of Polymarket, joined in memory, asked by the `VenueAdapter` suite; what the protocol makes different
is left out by name and reason, and asked here in its own words."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

pytest.register_assert_rewrite("venue_suite")

from native_worlds import money_of  # noqa: E402
from polymarket_suite_world import PolymarketMemory  # noqa: E402
from venue_suite import BUY, IOC, POST_ONLY, SELL, SHARE, STEP, Session, VenueSuite, cents, quiet  # noqa: E402
from worlds import Tape  # noqa: E402

from execsim.core.errors import ValidationError, VenueError  # noqa: E402
from execsim.core.instrument import Instrument  # noqa: E402
from execsim.core.order import OrderId, OrderStatus  # noqa: E402
from execsim.kernel import warm_up  # noqa: E402
from execsim.ports import VenueProfile  # noqa: E402

DIFFERENT = {
    "test_a_refusal_is_an_exception_and_an_update": "codes are HTTP statuses; what is off tick or step is refused by us",
    "test_a_used_id_is_refused_by_engine_and_venue": "ids are hashes: the adapter refuses, as a ValidationError",
    "test_an_unknown_market_is_refused": "an order of a market that was not listed cannot be built: a ConfigError",
    "test_a_batch_arrives_at_one_instant_in_order": "an IOC BUY in shares spends money, and gets more below its price",
    "test_a_cancel_takes_the_order_off_and_frees_its_money": "codes are HTTP statuses",
    "test_a_cancel_of_an_unknown_or_finished_order": "an unknown id has no hash to ask for; the reason is ours",
    "test_partial_fills_and_then_a_cancel": "the protocol does not say what caused a fill",
    "test_an_amend_keeps_or_loses_the_place": "orders cannot be changed: the engine places a new one",
    "test_a_refused_amend_leaves_the_order_as_it_was": "as above",
    "test_an_amend_to_a_crossing_price_takes": "as above",
    "test_an_amend_of_a_partly_filled_order": "as above",
    "test_the_rest_of_an_ioc_order_is_gone": "what an IOC BUY leaves is money, not shares",
    "test_an_ioc_order_without_a_match": "as above",
    "test_a_fok_order_fills_at_once": "an IOC BUY in shares spends money, and gets more below its price",
    "test_orders_on_the_other_token": "as above",
    "test_nothing_waits_for_a_row": "a GTD order lives three minutes at least",
    "test_the_rate_limit_says_when_to_come_back": "the venue's own text",
    "test_a_resolution_pays_out_and_ends_everything": "tokens wait to be redeemed on chain",
    "test_nothing_is_filled_inside_a_gap": "a market BUY in shares without a price cannot be signed",
    "test_a_halted_market_takes_cancels_only": "codes are HTTP statuses",
    "test_the_tick_of_the_venue_counts": "what is off the tick is refused by us",
}


@pytest.fixture(scope="module", autouse=True)
def kernel() -> None:
    warm_up()


class TestPolymarketInMemory(VenueSuite):
    def make(
        self, tape: Tape, instrument: Instrument, profile: VenueProfile, money: Mapping[str, int], sets: int, speed: int
    ) -> PolymarketMemory:
        return PolymarketMemory(tape, [instrument], money=money_of(instrument, money), sets=sets, profile=profile)

    @pytest.mark.parametrize(
        ("order", "text"),
        [
            ({"side": BUY, "size": 10, "price": "0.52", "type": POST_ONLY}, "would take"),
            ({"side": BUY, "size": 4, "price": "0.48"}, "4.000000 is less than 5.000000"),
            ({"side": BUY, "size": 300, "price": "0.48"}, "144.000000 needed"),
            ({"side": SELL, "size": 41, "price": "0.60"}, "41.000000 needed"),
        ],
        ids=["post-only", "too small", "too dear", "more than held"],
    )
    def test_what_the_venue_refuses(self, order: dict[str, object], text: str) -> None:
        async def script(s: Session) -> None:
            sent = await s.place(s.order("a", **order))  # type: ignore[arg-type]
            assert isinstance(sent.error, VenueError)
            assert sent.error.args[1] == "400"
            assert text in sent.error.args[2]
            assert s.engine.get_order(OrderId("a")).status is OrderStatus.REJECTED
            assert await s.open() == []

        assert self.play(quiet(), script).log == [("send", "a", 0), ("refuse", "a", 0)]

    @pytest.mark.parametrize(
        "order",
        [{"size": 10, "price": "0.485"}, {"size": 5.001, "price": "0.48"}, {"size": 10, "price": "1"}],
        ids=["tick", "step", "price"],
    )
    def test_what_is_refused_before_it_is_sent(self, order: dict[str, object]) -> None:
        async def script(s: Session) -> None:
            sent = await s.place(s.order("a", BUY, **order))  # type: ignore[arg-type]
            assert isinstance(sent.error, ValidationError)

        self.play(quiet(), script)

    def test_partial_fills_then_a_cancel_keep_their_money(self) -> None:
        tape = quiet().trade(2 * STEP, -1, 4800, 103 * SHARE).level(2 * STEP, 1, 4800, 0)
        tape.trade(3 * STEP, -1, 4800, 4 * SHARE)

        async def script(s: Session) -> None:
            await s.at(1)
            s.send(s.order("a", BUY, 10, "0.48"))
            await s.at(4)
            assert (await s.engine.cancel_order(OrderId("a"))).cancelled
            assert await s.known("a") == (OrderStatus.CANCELLED, 7, 3)
            assert [fill.id for fill in await s.adapter.get_fills(0)] == [fill.id for fill in s.fills]
            money = await s.money()
            assert int(money["pUSD"] * SHARE) == s.engine.portfolio.cash["pUSD"]

        s = self.play(tape, script)
        assert [fill.lots // SHARE for fill in s.fills] == [3, 4]

    def test_a_change_is_a_cancel_and_a_new_order(self) -> None:
        async def script(s: Session) -> None:
            await s.place(s.order("a", BUY, 10, "0.48"))
            ack = await s.engine.modify_order(OrderId("a"), price_i=4_700)
            await s.answers()
            assert ack.order_id != "a"
            assert await s.open() == [ack.order_id]

        self.play(quiet(), script)

    def test_a_batch_is_answered_order_by_order(self) -> None:
        async def script(s: Session) -> None:
            orders = [
                s.order("a", SELL, 40, "0.48", tif=IOC),
                s.order("b", BUY, 4, "0.40"),
                s.order("c", BUY, 10, "0.40"),
            ]
            results = await s.engine.submit_batch(orders)
            assert [result.ok for result in results] == [True, False, True]
            await s.answers()
            assert await s.open() == ["c"]

        s = self.play(quiet(), script)
        assert [(fill.order_id, fill.lots // SHARE) for fill in s.fills] == [("a", 40)]

    def test_a_book_after_a_gap_is_whole_again(self) -> None:
        tape = quiet().gap(2 * STEP, True)
        tape.gap(4 * STEP, False).book(4 * STEP, cents((40, 10)), cents((46, 8)), resync=True)

        async def script(s: Session) -> None:
            await s.at(5)
            top = s.world.books.top("rain")  # type: ignore[attr-defined]  # PolymarketMemory's
            assert (top.bid_i, top.ask_i) == (4_000, 4_600)

        self.play(tape, script)


for name in DIFFERENT:
    assert hasattr(VenueSuite, name), name
    setattr(TestPolymarketInMemory, name, None)
