"""The simulated exchange under random tapes and random orders keeps its promises after every event."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from sessions import Played, Terms, play

from execsim.core.fees import Liquidity
from execsim.core.instrument import InstrumentKind
from execsim.core.order import Cause, Fill, Order, OrderStatus, OrderType, Side, TimeInForce
from execsim.exchange import TRADER
from execsim.kernel import Power, Proportional, QueueModel, RiskAverse
from execsim.tape.schema import Flag, Kind

SEEDS = st.integers(0, 2**32)
EXAMPLES = settings(max_examples=120, deadline=None, derandomize=True, print_blob=True)


def replayed(seed: int, terms: Terms | None = None, checks: bool = True) -> Played:
    """Play a session; a failure says how to play it again."""
    call = f"play({seed}, {terms}, Watch().check)"
    note(f"replay: PYTHONPATH=tests/property .venv/bin/python -c 'from test_exchange import *; {call}'")
    return play(seed, terms, Watch().check if checks else None)


class Watch:
    """What must hold at every moment, seen from outside."""

    def __init__(self) -> None:
        self._ahead: dict[str, tuple[int, int, int]] = {}
        self._rows: list[dict[str, int]] = []
        self._applied = 0

    def check(self, played: Played) -> None:
        venue = played.world.venue
        venue.ledger.check()
        account = venue.ledger[TRADER]
        for asset in list(account.reserved):
            assert account.reserved[asset] >= 0, asset
            if not played.shorting:
                assert account.reserved[asset] <= account.balances[asset], asset
        if not played.shorting:
            assert all(units >= 0 for units in account.balances.values())
        self._queues(played)
        if played.updates:
            self._order(played, played.updates[-1].order)

    def _order(self, played: Played, order: Order) -> None:
        if order.size_lots is not None:
            assert order.filled_lots <= order.size_lots
        if order.quote_amount is not None:
            assert order.filled_cash <= order.quote_amount
        fill = played.updates[-1].fill
        if fill is not None:
            if order.price_i is not None:
                assert order.side.sign * fill.price_i <= order.side.sign * order.price_i
            if order.type is OrderType.POST_ONLY:
                assert fill.liquidity is Liquidity.MAKER

    def _queues(self, played: Played) -> None:
        """Nobody joins ahead of us: between amends, snapshots and gaps the queue in front only shrinks."""
        world = played.world
        self._rows = self._rows or sorted(played.tape.rows, key=lambda row: row["ts_venue_ns"])
        passed, self._applied = self._rows[self._applied : world.kernel.rows], world.kernel.rows
        anchored = {row["market"] for row in passed if row["kind"] in (Kind.SNAPSHOT, Kind.GAP)}
        now: dict[str, tuple[int, int, int]] = {}
        for slot, order in world.exchange.matching.by_slot.items():
            ahead = world.kernel.ahead(slot)
            assert ahead >= 0
            assert world.kernel.left(slot) == order.left_lots > 0
            now[order.id] = (order.price_i or 0, order.size_lots or 0, ahead)
            before = self._ahead.get(order.id)
            if before is not None and before[:2] == now[order.id][:2] and order.market not in anchored:
                assert ahead <= before[2]
        self._ahead = now


@given(seed=SEEDS)
@EXAMPLES
def test_every_promise_holds_after_every_event(seed: int) -> None:
    """Money and shares are conserved, no claim is lost or negative, nothing is overfilled or overspent, no limit is
    broken, post-only never takes, the queue ahead never grows."""
    played = replayed(seed)
    account = played.world.venue.ledger[TRADER]
    assert not any(account.reserved.values())  # everything has been cancelled
    assert not any(order.is_active for order in played.orders)
    assert played.world.engine.blotter.invalid_responses == 0
    for order in played.orders:
        if order.tif is TimeInForce.FOK:
            whole = order.filled_lots == order.size_lots if order.size_lots else order.status is OrderStatus.FILLED
            assert whole or order.filled_lots == 0
        fills = [fill for fill in played.fills if fill.order_id == order.id]
        if order.is_immediate and fills:
            assert {fill.liquidity for fill in fills} == {Liquidity.TAKER}
            assert len({fill.ts_ns for fill in fills}) == 1
        assert sum(fill.lots for fill in fills) == order.filled_lots


@given(seed=SEEDS)
@EXAMPLES
def test_the_engine_and_the_venue_agree_about_what_we_own(seed: int) -> None:
    played = replayed(seed, checks=False)
    world, account = played.world, played.world.venue.ledger[TRADER]
    for asset, units in world.engine.portfolio.cash.items():
        assert units == account.balances[asset], asset
    for inst in world.instruments:
        position = world.engine.get_position(inst.market)
        given_lots = played.deposits.get(inst.base.name, 0)
        assert position.yes_lots == account.balances[inst.base.name] - given_lots
        if inst.complement is not None:
            assert position.no_lots == account.balances[inst.complement.name]


@given(seed=SEEDS)
@EXAMPLES
def test_no_fill_without_evidence(seed: int) -> None:
    """Prints fill us for no more than they printed, levels for no more than they ever showed, and gaps not at all."""
    played = replayed(seed, checks=False)
    printed: dict[int, int] = defaultdict(int)
    rows = {row["seq"]: row for row in played.tape.rows}
    for fill in played.fills:
        if fill.cause in (Cause.QUEUE_DRAINED, Cause.TRADE_THROUGH):
            assert fill.row_seq is not None
            assert rows[fill.row_seq]["kind"] == Kind.TRADE
            printed[fill.row_seq] += fill.lots
    for seq, lots in printed.items():
        assert lots <= rows[seq]["size_i"]
    shown = Shown(played)
    for fill in sorted(played.fills, key=lambda f: f.ts_ns):
        if fill.cause in (Cause.CROSSED_BOOK, Cause.TAKER_WALK):
            shown.use(fill)
        else:
            assert not shown.in_gap(fill)


class Shown:
    """How much each level of the venue's book has shown and not yet given us: growth adds, a smaller level caps."""

    def __init__(self, played: Played) -> None:
        self._orders = {order.id: order for order in played.orders}
        self._rows = sorted(played.tape.rows, key=lambda row: row["ts_venue_ns"])
        self._place = {row["seq"]: i for i, row in enumerate(self._rows)}
        self._markets = [inst.market for inst in played.world.instruments]
        self._at = 0
        self._size: dict[tuple[int, int], dict[int, int]] = defaultdict(dict)
        self._free: dict[tuple[int, int], dict[int, int]] = defaultdict(dict)
        self._before: dict[tuple[int, int], dict[int, int]] = {}
        self._gap: dict[int, bool] = defaultdict(bool)

    def use(self, fill: Fill) -> None:
        order = self._orders[fill.order_id]
        m, side = self._markets.index(order.instrument.market), -order.book_side.sign
        maker = fill.liquidity is Liquidity.MAKER
        if maker:
            assert fill.row_seq is not None
            self._until(self._place[fill.row_seq] + 1)
        else:
            while self._at < len(self._rows) and self._rows[self._at]["ts_venue_ns"] <= fill.ts_ns:
                self._until(self._at + 1)
        assert not self._gap[m]
        price = order.instrument.canonical_i(fill.price_i, fill.outcome)
        free, left = self._free[m, side], fill.lots
        levels = [price]  # a taker names the level it took
        if maker:  # a resting order met the level that came, or the best ones of a whole book
            row = self._rows[self._place[fill.row_seq or 0]]
            levels = [row["price_i"]] if row["kind"] == Kind.LEVEL else sorted(free, reverse=side > 0)
        for level in levels:
            if maker and side * level < side * price:
                break
            part = min(left, free.get(level, 0))
            free[level] = free.get(level, 0) - part
            left -= part
        assert left == 0

    def in_gap(self, fill: Fill) -> bool:
        assert fill.row_seq is not None
        place = self._place[fill.row_seq]
        m = self._rows[place]["market"]
        gaps = [row["size_i"] for row in self._rows[:place] if row["market"] == m and row["kind"] == Kind.GAP]
        return bool(gaps and gaps[-1])

    def _until(self, end: int) -> None:
        for row in self._rows[self._at : end]:
            self._apply(row)
        self._at = max(self._at, end)

    def _apply(self, row: dict[str, int]) -> None:
        m, side, price, size = row["market"], row["side"], row["price_i"], row["size_i"]
        if row["kind"] == Kind.GAP:
            self._gap[m] = bool(size)
        elif row["kind"] == Kind.LEVEL:
            self._set(m, side, price, size, self._size[m, side].get(price, 0))
        elif row["kind"] == Kind.SNAPSHOT:
            if row["flags"] & Flag.FIRST:
                forget = bool(row["flags"] & Flag.RESYNC) or not any(self._size[m, s] for s in (1, -1))
                for s in (1, -1):
                    self._before[m, s] = {} if forget else self._size[m, s]
                    if forget:
                        self._free[m, s] = {}
                    self._size[m, s] = {}
            self._set(m, side, price, size, self._before[m, side].get(price, 0))
            if row["flags"] & Flag.LAST:
                for s in (1, -1):
                    self._free[m, s] = {p: q for p, q in self._free[m, s].items() if p in self._size[m, s]}

    def _set(self, m: int, side: int, price: int, size: int, before: int) -> None:
        free = self._free[m, side].get(price, 0) + max(0, size - before)
        self._free[m, side][price] = min(free, size)
        self._size[m, side][price] = size


@pytest.mark.parametrize(
    "queue", [RiskAverse(), Proportional(), Power(Decimal("2.5"))], ids=["risk-averse", "proportional", "power"]
)
@given(seed=SEEDS)
@settings(max_examples=40, deadline=None, derandomize=True, print_blob=True)
def test_scaling_all_sizes_changes_no_fill(queue: QueueModel, seed: int) -> None:
    """Times, causes and prices are the same, lots are multiplied: nothing depends on how fine a lot is. (A logarithm of a
    size is interpolated: there the last lot may.)"""
    expected: list[tuple[object, ...]] | None = None
    for k in (1, 3, 1000):
        played = replayed(seed, Terms(k, exact=True, queue=queue), checks=False)
        got: list[tuple[object, ...]] = [
            (f.ts_ns, f.order_id, f.price_i, f.lots // k, f.lots % k, f.cash // k, f.cash % k, f.cause, f.row_seq)
            for f in played.fills
        ]
        expected = got if expected is None else expected
        assert got == expected


def test_the_sessions_reach_what_they_are_about() -> None:
    """Random flow that never crossed, filled or got refused would prove nothing."""
    seen: dict[object, int] = defaultdict(int)
    for seed in range(40):
        played = play(seed)
        for fill in played.fills:
            seen[fill.cause] += 1
        for order in played.orders:
            seen[order.status, order.tif] += 1
            seen[order.instrument.kind, order.side, order.filled_lots > 0] += 1
            seen["part"] += 0 < order.filled_lots < (order.size_lots or 0)
            seen["quote"] += order.quote_amount is not None and order.filled_lots > 0
        seen["amended"] += sum(u.event.value == "ack" and u.before is OrderStatus.WORKING for u in played.updates)
    for cause in (Cause.TAKER_WALK, Cause.QUEUE_DRAINED, Cause.TRADE_THROUGH, Cause.CROSSED_BOOK):
        assert seen[cause] > 10, cause
    for tif in TimeInForce:
        assert seen[OrderStatus.FILLED, tif] > 5, tif
    for kind in InstrumentKind:
        assert all(seen[kind, side, True] > 5 for side in Side), kind
    assert seen[OrderStatus.EXPIRED, TimeInForce.GTD] > 5
    assert seen["part"] > 20
    assert seen["quote"] > 20
    assert seen["amended"] > 20
