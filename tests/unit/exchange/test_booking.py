"""The money of an L3 match: swap, mint, merge; both sides from one integer; no naked sells; the hold price."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from agent_world import Heard
from hypothesis import given, note, settings
from hypothesis import strategies as st
from worlds import OPEN_PROFILE, binary, coarse

from execsim.core.errors import VenueError
from execsim.core.fees import BinaryFee, NoFee
from execsim.core.instrument import Instrument, InstrumentKind, Outcome
from execsim.core.order import CancelAck, Evidence, MatchKind, OrderAck, OrderId, OrderType, Side, TimeInForce
from execsim.exchange import Exchange
from execsim.exchange.account import Ledger
from execsim.exchange.claims import Claims
from execsim.exchange.l3_matching import L3Matching
from execsim.exchange.plan import Executed
from execsim.exchange.resting import VenueOrder
from execsim.kernel import MarketSpan, Replay
from execsim.runtime import VirtualRuntime

YES, NO = Outcome.YES, Outcome.NO
BUY, SELL = Side.BUY, Side.SELL
RAIN = coarse("rain", InstrumentKind.BINARY)


class World:
    """One market and its ledger; every request is checked for conservation."""

    def __init__(self, instrument: Instrument = RAIN) -> None:
        self.instrument = instrument
        self.done: list[Executed] = []
        end_i = None if instrument.complement is None else instrument.one_i
        kernel = Replay([MarketSpan(1, 1, instrument.tick_i, end_i)])
        exchange = Exchange(VirtualRuntime(7), kernel, "sim", {0: instrument}, OPEN_PROFILE, book=self._book)
        self.ledger, self.entry = exchange.ledger, exchange.entry
        self.ids = 0

    def _book(self, ledger: Ledger, claims: Claims) -> L3Matching:
        self.matching = Heard(ledger, claims, OPEN_PROFILE)
        self.matching.heard = self.done
        return self.matching

    def fund(self, account: str, cash: int = 0, yes: int = 0, no: int = 0) -> None:
        """Cash from outside; tokens are minted with sets, as nobody has tokens from nowhere."""
        inst, sets = self.instrument, max(yes, no)
        self.ledger.deposit(account, inst.quote.name, cash + (inst.par(sets) if inst.complement else 0))
        if inst.complement is None:
            self.ledger.deposit(account, inst.base.name, inst.base_amount(yes))
            return
        self.ledger.move(account, Ledger.MINT, inst.quote.name, inst.par(sets))
        for outcome, lots in ((YES, yes), (NO, no)):
            asset, units = inst.asset_of(outcome).name, inst.base_amount(1)
            self.ledger.move(Ledger.MINT, account, asset, lots * units)
            self.ledger.move(Ledger.MINT, "somebody else", asset, (sets - lots) * units)

    def place(
        self, account: str, side: Side, price: int | None, lots: int, outcome: Outcome = YES, **more: Any
    ) -> OrderAck | VenueError:
        self.ids += 1
        kind = OrderType.MARKET if price is None else OrderType.LIMIT
        order = VenueOrder(
            account=account, id=OrderId(f"{account}-{self.ids}"), venue_order_id=str(self.ids), market=0,
            instrument=self.instrument, side=side, outcome=outcome, expire_ns=None,
            **{"type": kind, "tif": TimeInForce.GTC, "price_i": price, "size_lots": lots, "quote_amount": None,
               "left_lots": lots, **more},
        )  # fmt: skip
        answers: list[Any] = []
        self.entry.place(answers.append, order)
        self.check()
        answer: OrderAck | VenueError = answers[0]
        return answer

    def held(self, account: str) -> tuple[int, int, int]:
        """(cash, YES, NO)"""
        balances, inst = self.ledger[account].balances, self.instrument
        no = balances[inst.complement.name] if inst.complement else 0
        return balances[inst.quote.name], balances[inst.base.name], no

    def check(self) -> None:
        """Money is conserved, nobody owes, and the contract holds exactly the price of the sets it has made."""
        self.ledger.check()
        inst = self.instrument
        for name, account in self.ledger.accounts.items():
            if name not in (Ledger.MINT, Ledger.FEES):
                assert all(units >= 0 for units in account.balances.values()), name
                assert all(account.reserved[a] <= account.balances[a] for a in list(account.reserved)), name
        if inst.complement is not None:
            cash, yes, no = self.held(Ledger.MINT)
            assert yes == no <= 0
            assert cash == inst.par(-yes // inst.base_amount(1))
        open_claims: dict[tuple[str, str], int] = {}
        for order in self.matching.resting:
            key = (order.account, order.reserved_asset)
            open_claims[key] = open_claims.get(key, 0) + order.reserved
        for (name, asset), units in open_claims.items():
            assert self.ledger[name].reserved[asset] == units


def kinds(world: World) -> list[MatchKind]:
    return [one.fill.match for one in world.done]


def test_a_swap_moves_tokens_against_cash() -> None:
    world = World()
    world.fund("ann", yes=10)
    world.fund("bob", cash=1_000)
    world.place("ann", SELL, 52, 10)
    world.place("bob", BUY, 60, 4)
    assert world.held("ann") == (208, 6, 0)
    assert world.held("bob") == (792, 4, 0)
    assert kinds(world) == [MatchKind.SWAP] * 2
    assert [one.fill.cash for one in world.done] == [-208, 208]
    assert {one.fill.evidence for one in world.done} == {Evidence.MATCHED}
    assert [one.counter_account for one in world.done] == ["ann", "bob"]


def test_a_swap_of_no_tokens() -> None:
    world = World()
    world.fund("ann", no=10)
    world.fund("bob", cash=1_000)
    world.place("ann", SELL, 45, 10, NO)  # a bid for YES at 55
    assert world.matching.book.levels(1) == [(55, 10)]
    world.place("bob", BUY, 50, 4, NO)
    assert world.held("ann") == (180, 0, 6)
    assert world.held("bob") == (820, 0, 4)
    assert kinds(world) == [MatchKind.SWAP] * 2


def test_two_buyers_mint() -> None:
    world = World()
    world.fund("ann", cash=1_000)
    world.fund("bob", cash=1_000)
    world.place("ann", BUY, 40, 5, NO)  # offers YES at 60
    world.place("bob", BUY, 65, 5)
    assert world.held("ann") == (800, 0, 5)
    assert world.held("bob") == (700, 5, 0)
    assert world.held(Ledger.MINT) == (500, -5, -5)
    assert kinds(world) == [MatchKind.MINT] * 2


def test_two_sellers_merge() -> None:
    world = World()
    world.fund("ann", yes=5)
    world.fund("bob", no=5)
    world.place("ann", SELL, 60, 5)
    world.place("bob", SELL, 30, 5, NO)  # bids YES at 70, gets 60: sells NO at 40
    assert world.held("ann") == (300, 0, 0)
    assert world.held("bob") == (200, 0, 0)
    assert kinds(world) == [MatchKind.MERGE] * 2


def test_of_a_rounded_set_the_taker_gets_or_pays_the_rest() -> None:
    """The maker's cash is rounded by the venue's rule; the other's is what is left of the price of the sets."""
    market = binary(fees=NoFee(), tick_i=1, size_step_lots=1, size_min_lots=1)
    world = World(market)
    world.fund("ann", cash=10_000_000)
    world.fund("bob", cash=10_000_000)
    world.place("ann", BUY, 3333, 10_001, NO)
    world.place("bob", BUY, 6667, 10_001)
    assert market.cash(3333, 10_001) == 3_333
    assert 10_000_000 - world.held("ann")[0] == 3_333
    assert 10_000_000 - world.held("bob")[0] == 10_001 - 3_333
    assert world.held(Ledger.MINT)[0] == market.par(10_001)


@pytest.mark.parametrize(
    ("side", "outcome", "asset"), [(SELL, YES, "rain:YES"), (SELL, NO, "rain:NO"), (BUY, YES, "USD")]
)
def test_nobody_sells_what_he_does_not_hold_or_buys_on_credit(side: Side, outcome: Outcome, asset: str) -> None:
    world = World()
    world.fund("ann", cash=499, yes=9, no=9)
    refused = world.place("ann", side, 50, 10, outcome)
    assert isinstance(refused, VenueError)
    assert f"{asset} free" in str(refused)
    assert not world.matching.resting


def test_a_claim_counts_against_the_next_order() -> None:
    world = World()
    world.fund("ann", cash=1_000)
    assert isinstance(world.place("ann", BUY, 50, 15), OrderAck)
    assert isinstance(world.place("ann", BUY, 50, 6), VenueError)
    assert isinstance(world.place("ann", BUY, 50, 5), OrderAck)
    assert world.ledger["ann"].free("USD") == 0


def test_fees_are_paid_by_whom_the_schedule_says() -> None:
    market = binary(fees=BinaryFee(Decimal("0.07")))
    world = World(market)
    world.fund("ann", yes=10_000_000)
    world.fund("bob", cash=10_000_000)
    world.place("ann", SELL, 5_000, 10_000_000)
    world.place("bob", BUY, 5_000, 10_000_000)
    taker, maker = world.done
    assert maker.fill.fee == 0
    assert taker.fill.fee == market.fee(5_000, 10_000_000, 5_000_000, taker.fill.liquidity) > 0
    assert world.held("bob")[0] == 10_000_000 - 5_000_000 - taker.fill.fee
    assert world.held(Ledger.FEES)[0] == taker.fill.fee


def test_an_order_meets_nobody_of_its_own_account() -> None:
    world = World()
    world.fund("ann", cash=1_000, yes=10)
    world.place("ann", SELL, 52, 5)
    refused = world.place("ann", BUY, 60, 5)
    assert isinstance(refused, VenueError)
    assert refused.args[1] == "SELF_TRADE"
    assert world.matching.book.levels(-1) == [(52, 5)]


def test_immediate_orders() -> None:
    world = World()
    world.fund("ann", yes=10)
    world.fund("bob", cash=1_000)
    world.place("ann", SELL, 50, 10)
    fok = world.place("bob", BUY, 50, 11, tif=TimeInForce.FOK)
    assert isinstance(fok, VenueError)
    post = world.place("bob", BUY, 50, 1, type=OrderType.POST_ONLY)
    assert isinstance(post, VenueError)
    assert not world.done
    assert isinstance(world.place("bob", BUY, 55, 12, tif=TimeInForce.IOC), OrderAck)
    assert world.held("bob") == (500, 10, 0)
    assert world.matching.book.levels(1) == []
    assert not any(world.ledger["bob"].reserved.values())


def test_a_quote_amount_buys_what_it_pays_for() -> None:
    world = World()
    world.fund("ann", yes=10)
    world.fund("cat", yes=10)
    world.fund("bob", cash=1_000)
    world.place("ann", SELL, 50, 3)
    world.place("cat", SELL, 60, 10)
    world.place("bob", BUY, None, 0, size_lots=None, quote_amount=400, left_quote=400, left_lots=0)
    assert world.held("bob") == (1_000 - 150 - 240, 7, 0)


def test_a_hold_price_is_what_the_claim_is_made_at() -> None:
    world = World()
    world.fund("ann", cash=1_000)
    assert isinstance(world.place("ann", BUY, 40, 20, hold_price_i=51), VenueError)
    ack = world.place("ann", BUY, 40, 20, hold_price_i=50)
    assert isinstance(ack, OrderAck)
    assert world.ledger["ann"].free("USD") == 0
    answers: list[Any] = []
    for price in (51, 50):
        world.entry.amend(answers.append, "ann", ack.order_id, price, None)
    assert answers[0].args[1] == "HOLD"
    assert isinstance(answers[1], OrderAck)
    assert world.matching.book.levels(1) == [(50, 20)]


REQUESTS = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "cat"]),
        st.sampled_from(list(Side)),
        st.sampled_from(list(Outcome)),
        st.integers(1, 99),
        st.integers(1, 30),
        st.sampled_from(["gtc", "gtc", "gtc", "ioc", "fok", "post", "cancel", "move", "shrink"]),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None, derandomize=True, print_blob=True)
@given(REQUESTS, st.booleans())
def test_random_requests_conserve_everything(requests: list[Any], rounded: bool) -> None:
    """After every request; at the end, with every order cancelled, nothing is reserved."""
    note(
        f"replay: PYTHONPATH=tests/property:tests/unit/exchange; from test_booking import *; play({requests}, {rounded})"
    )
    play(requests, rounded)


def play(requests: list[Any], rounded: bool) -> None:
    inst = RAIN
    if rounded:
        inst = binary(fees=BinaryFee(Decimal("0.07")), tick_i=1, size_step_lots=1, size_min_lots=1)
    scale = 7 if rounded else 1
    world = World(inst)
    for account in ("ann", "bob", "cat"):
        world.fund(account, cash=inst.par(40 * scale), yes=20 * scale, no=20 * scale)
    for account, side, outcome, price, lots, what in requests:
        mine = [order for order in world.matching.resting if order.account == account]
        if what in ("cancel", "move", "shrink"):
            if mine:
                amend(world, mine[lots % len(mine)], what, price * inst.one_i // 100, lots)
            continue
        more: dict[str, Any] = {"type": OrderType.POST_ONLY} if what == "post" else {"tif": TimeInForce(what)}
        world.place(account, side, price * inst.one_i // 100, lots * scale, outcome, **more)
    for one in world.done:
        sign = one.order.side.sign
        assert sign * one.fill.price_i <= sign * (one.order.price_i or 0)
    answers: list[Any] = []
    for order in list(world.entry.open.values()):
        world.entry.cancel(answers.append, order.account, order.id)
    assert all(ack.cancelled for ack in answers)
    assert not any(units for account in world.ledger.accounts.values() for units in account.reserved.values())


def amend(world: World, order: VenueOrder, what: str, price: int, lots: int) -> None:
    answers: list[Any] = []
    if what == "cancel":
        world.entry.cancel(answers.append, order.account, order.id)
        assert isinstance(answers[0], CancelAck)
    elif what == "move":
        world.entry.amend(answers.append, order.account, order.id, price, None)
    else:
        total = order.filled_lots + min(lots, order.left_lots)
        world.entry.amend(answers.append, order.account, order.id, None, total)
        assert isinstance(answers[0], OrderAck)
    world.check()
