"""A naive market model, row by row with dicts and lists: what the kernel must equal."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from execsim.kernel import (
    REFILL_DECAY,
    REFILL_NEVER,
    REFILL_OFF,
    REFILL_REFRESH,
    Fifo,
    Logarithmic,
    Power,
    Proportional,
    QueueModel,
    RiskAverse,
)
from execsim.tape.rows import BIRTH, KIND, KIND_BITS, MARKET, PRICE, SEQ, SIDE, SIZE, TS_VENUE
from execsim.tape.schema import Flag, Kind

QUEUES: tuple[QueueModel, ...] = (
    RiskAverse(),
    Proportional(),
    Power(Decimal(3)),
    Power(Decimal("0.5"), 2),
    Power(Decimal("1.7"), 3),
    Power(Decimal("0.3"), 3),
    Logarithmic(),
    Logarithmic(2),
)
"""one of each kind"""


@dataclass
class Own:
    name: int
    side: int
    price: int
    left: int
    ahead: int
    arrival: int
    seen: int = 0
    notice: int = 0
    noted: int = 0
    joined: int = 0


def interpolated(table: tuple[int, ...], place: Fraction) -> int:
    """A table of 1025 points over 0 to 1, read at `place` rounded down to 2**-30."""
    at, rest = divmod(int(place * 2**30), 2**20)
    return table[at] + (math.floor(Fraction((table[at + 1] - table[at]) * rest, 2**20)) if rest else 0)


def log2(table: tuple[int, ...], number: int) -> int:
    """In units of 2**-40."""
    exponent = number.bit_length() - 1
    return exponent * 2**40 + interpolated(table, Fraction(number, 2**exponent) - 1)


def left_ahead(model: QueueModel, ahead: int, before: int, gone: int, unit: int = 1) -> int:
    """Of `gone` lots that left a level of `before` without a print, those that stood among the `ahead` in front of us."""
    if isinstance(model, Proportional):
        return math.floor(Fraction(ahead, before) * gone)
    if isinstance(model, Power):
        return math.floor(Fraction(interpolated(model.table(), Fraction(ahead, before)) * gone, 2**30))
    if isinstance(model, Logarithmic):
        front, back, whole = (
            log2(model.table(), n + unit) - log2(model.table(), unit) for n in (ahead, before - ahead, before)
        )
        if model.variant == 1:
            whole = front + back
        share = math.floor(Fraction(whole - back, whole) * 2**30) if whole else 0
        return math.floor(Fraction(share * gone, 2**30))
    return 0


@dataclass
class NaiveBook:
    """One view of one market. `taken` and `own` matter at the venue only."""

    queue: QueueModel = QUEUES[0]
    inferred: int = 1
    quantum: int = 1
    unit: int = 1
    refill: int = REFILL_NEVER
    half_life_ns: int = 0
    sides: dict[int, dict[int, int]] = field(default_factory=lambda: {1: {}, -1: {}})
    taken: dict[int, dict[int, int]] = field(default_factory=lambda: {1: {}, -1: {}})
    own: list[Own] = field(default_factory=list)
    known: bool = False
    gap: bool = False
    lost: bool = False
    tick: int = 1
    last: int = 0
    last_seq: int = 0
    arrivals: int = 0
    births: int = 0
    unknown: int = 0
    moves: list[tuple[int, int, int]] = field(default_factory=list)
    """watched orders the last row moved: (name, ahead before, ahead)"""
    now_ns: int = 0
    took_ns: dict[int, int] = field(default_factory=dict)
    """side -> when its ledger was begun, in whole half-lives up to now"""

    def best(self, side: int) -> int | None:
        prices = self.sides[side]
        return None if not prices else max(prices) if side > 0 else min(prices)

    def touch(self) -> tuple[int | None, int, int | None, int]:
        bid, ask = self.best(1), self.best(-1)
        return bid, self.sides[1].get(bid or 0, 0), ask, self.sides[-1].get(ask or 0, 0)

    def set(self, side: int, price: int, lots: int) -> int:
        before = self.sides[side].pop(price, 0)
        if lots:
            self.sides[side][price] = lots
        self.taken[side][price] = 0 if self.refill == REFILL_REFRESH else min(self.taken[side].get(price, 0), lots)
        return before

    def take(self, side: int, price: int, lots: int) -> None:
        if self.refill != REFILL_OFF:
            self.taken[side][price] = self.taken[side].get(price, 0) + lots
            self.took_ns.setdefault(side, self.now_ns)

    def age(self, now_ns: int) -> None:
        """Time passes: what we took halves every half-life."""
        self.now_ns = now_ns
        for side in self.took_ns if self.refill == REFILL_DECAY else ():
            while now_ns - self.took_ns[side] >= self.half_life_ns:
                self.taken[side] = {price: lots // 2 for price, lots in self.taken[side].items()}
                whole = not any(self.taken[side].values()) and (now_ns - self.took_ns[side]) // self.half_life_ns
                self.took_ns[side] += (whole or 1) * self.half_life_ns

    def shown(self, side: int, price: int) -> int:
        return max(0, self.sides[side].get(price, 0) - self.taken[side].get(price, 0))

    def mine(self, side: int) -> list[Own]:
        return sorted((o for o in self.own if o.side == side), key=lambda o: (-side * o.price, o.arrival))

    def rest(self, name: int, side: int, price: int, lots: int) -> None:
        self.arrivals += 1
        ahead = self.shown(side, price)
        self.own.append(Own(name, side, price, lots, ahead, self.arrivals, joined=self.births))

    def drop(self, name: int) -> None:
        self.own = [o for o in self.own if o.name != name]

    def row(self, row: list[int], venue: bool) -> list[tuple[int, int, str, int]]:
        """Apply a row; returns own fills (name, lots, cause, left)."""
        if venue:
            self.age(row[TS_VENUE])
        kind, flags = row[KIND] & ((1 << KIND_BITS) - 1), row[KIND] >> KIND_BITS
        side, price, lots = row[SIDE], row[PRICE], row[SIZE]
        fills: list[tuple[int, int, str, int]] = []
        birth = row[BIRTH] if isinstance(self.queue, Fifo) else 0
        self.births = max(self.births, birth)
        self.last_seq = row[SEQ]
        if kind == Kind.TRADE:
            if venue and self.known and not self.gap:
                self._trade(side, price, lots, bool(flags & Flag.INFERRED), birth, fills)
            self.last = price
        elif kind in (Kind.SNAPSHOT, Kind.LEVEL, Kind.BBO):
            self._book(kind, flags, side, price, lots, venue, birth, fills)
        elif kind == Kind.TICK:
            self.tick = price
        elif kind == Kind.GAP:
            self.gap = bool(lots)
        self.moves = []
        for own in self.mine(1) + self.mine(-1):
            if own.notice and not own.noted - own.notice < own.ahead <= own.noted:
                self.moves.append((own.name, own.noted, own.ahead))
                own.noted = own.ahead
        self.own = [o for o in self.own if o.left]
        return fills

    def _book(
        self, kind: int, flags: int, side: int, price: int, lots: int, venue: bool, birth: int, fills: list
    ) -> None:  # type: ignore[type-arg]
        if kind == Kind.SNAPSHOT and flags & Flag.FIRST:
            self.lost = not self.known or bool(flags & Flag.RESYNC)
            self.sides = {1: {}, -1: {}}
            if self.lost or self.refill == REFILL_REFRESH:
                self.taken, self.took_ns = {1: {}, -1: {}}, {}
        if kind == Kind.BBO:
            before = self.sides[side].get(price, 0)
            old = self.best(side)
            if old is not None and old != price:
                self.set(side, old, 0)
            self.set(side, price, lots)
            self.known = True
        elif side:
            before = self.set(side, price, lots)
        if kind == Kind.SNAPSHOT:
            if flags & Flag.LAST:
                self.known = True
                self.taken = {
                    s: {p: min(q, self.sides[s].get(p, 0)) for p, q in took.items()} for s, took in self.taken.items()
                }
                if venue and self.own:
                    self._reanchor(fills)
        elif venue and self.known and not self.gap:
            for own in self.mine(side):
                if own.price == price:
                    gone, own.seen = before - lots - own.seen, 0
                    if gone > 0:
                        part = left_ahead(self.queue, min(own.ahead, before), before, gone, self.unit)
                        own.ahead -= part - part % self.quantum
                    if isinstance(self.queue, Fifo) and lots < before:
                        self.unknown += birth == 0
                        own.ahead -= before - lots if 0 < birth <= own.joined else 0
                    own.ahead = max(0, min(own.ahead, lots))
            if lots:
                self._cross(-side, price, fills)

    def _trade(self, aggressor: int, price: int, lots: int, inferred: bool, birth: int, fills: list) -> None:  # type: ignore[type-arg]
        if inferred and self.inferred == 0:
            return
        hit = -aggressor
        if not aggressor:
            bid, ask = self.best(1), self.best(-1)
            hit = 1 if bid is not None and price <= bid else -1 if ask is not None and price >= ask else 0
        left, fifo = lots, isinstance(self.queue, Fifo)
        for own in self.mine(hit) if hit else []:
            if hit * own.price > hit * price:
                left -= self._fill(own, min(own.left, left), "trade_through", fills)
            elif own.price == price and not (inferred and self.inferred == 1) and (left or fifo):
                own.seen += lots
                if fifo and birth > own.joined:
                    own.ahead, reach = 0, left
                elif fifo and birth > 0:
                    own.ahead, reach = max(0, own.ahead - lots), 0
                else:
                    printed = lots if fifo else left
                    own.ahead, reach = max(0, own.ahead - printed), max(0, left - own.ahead)
                left -= self._fill(own, min(own.left, reach, left), "queue_drained", fills)
            else:
                break

    def _cross(self, mine: int, price: int, fills: list) -> None:  # type: ignore[type-arg]
        left = self.sides[-mine][price] - self.taken[-mine].get(price, 0)
        for own in self.mine(mine):
            if left <= 0 or mine * own.price < mine * price:
                break
            amount = min(own.left, left)
            if amount:
                left -= self._fill(own, amount, "crossed_book", fills)
                self.take(-mine, price, amount)

    def _reanchor(self, fills: list) -> None:  # type: ignore[type-arg]
        for own in self.own:
            shown = self.shown(own.side, own.price)
            own.joined = self.births if self.lost else own.joined
            own.ahead, own.seen = (shown if self.lost else min(own.ahead, shown)), 0
        if self.gap:
            return
        for mine in (1, -1):
            if not self.mine(mine):
                continue
            limit = self.mine(mine)[0].price
            for price in sorted(self.sides[-mine], reverse=mine < 0):
                if mine * price <= mine * limit:
                    self._cross(mine, price, fills)

    @staticmethod
    def _fill(own: Own, amount: int, cause: str, fills: list) -> int:  # type: ignore[type-arg]
        if amount == 0:
            return 0
        own.left -= amount
        if fills and fills[-1][0] == own.name:  # a row makes one fill of an order
            amount_before = fills.pop()[1]
            fills.append((own.name, amount_before + amount, cause, own.left))
        else:
            fills.append((own.name, amount, cause, own.left))
        return amount


def run_rows(rows: list[list[int]], times: tuple[int, int]) -> list[tuple[int, int, list[int]]]:
    """Both passes over a tape in the order the rules say: (time, view, row), the venue first at one instant."""
    venue, local = times
    events = [(row[venue], 0, i, row) for i, row in enumerate(rows)] + [
        (row[local], 1, i, row) for i, row in enumerate(rows)
    ]
    return [(ts, view, row) for ts, view, _, row in sorted(events, key=lambda e: e[:3])]


MARKET_COLUMN = MARKET
