"""The tape in bulk equals the tape row by row: same fills and same callbacks at the same times, for a strategy that reacts.

A scripted strategy acts on every touch change, print, answer and timer by the next entry of a list of decisions, with no
delay or a constant one. It is played twice: by TapeMarket, SimulatedVenue and VirtualRuntime, and by `NaiveExchange`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import numpy as np
import pytest
from naive_book import QUEUES
from naive_exchange import Ask, Heard, NaiveExchange
from sessions import near, random_tape
from worlds import OPEN_PROFILE, VENUE_NAME, Tape, coarse

from execsim.core.errors import ExecError
from execsim.core.events import OrderFilled, OrderGone, Trade
from execsim.core.instrument import InstrumentKind
from execsim.core.order import Order, OrderId, OrderType, Side, TimeInForce
from execsim.exchange import ConstantLatency, Exchange, KernelBooks, LatencyModel, SimulatedVenue, TapeMarket
from execsim.kernel import REFILL_DECAY, REFILL_NEVER, REFILL_OFF, REFILL_REFRESH, MarketSpan, QueueModel, Replay
from execsim.ports import Priority
from execsim.runtime import VirtualRuntime

REFILLS = (REFILL_NEVER, REFILL_REFRESH, REFILL_DECAY, REFILL_OFF)
SHORTING = replace(OPEN_PROFILE, shorting=True)
"""money is not what this is about"""


@dataclass(frozen=True)
class Decision:
    """What the strategy does the next time it is asked; None of it depends on who plays it."""

    what: str
    pick: int
    market: int
    side: int
    price: int
    lots: int
    tif: str
    post_only: bool
    lives_ns: int
    delay_ns: int


@dataclass(frozen=True)
class Plan:
    """Everything random of one comparison."""

    tape: Tape
    markets: int
    entry_ns: int
    response_ns: int
    feed_ns: int
    queue: QueueModel
    inferred: int
    refill: int
    half_life_ns: int
    decisions: list[Decision]
    timers: list[int]
    cuts: list[int]


def planned(seed: int) -> Plan:
    rng = random.Random(seed)
    markets = rng.choice((1, 2))
    tape = random_tape(rng, 120, markets)
    tape.rows = [row for row in tape.rows if row["kind"] != 5]  # halts are the venue's rules, not the tape's order
    for number, row in enumerate(tape.rows):
        row["seq"] = number
    side = [rng.choice((1, -1)) for _ in range(250)]
    decisions = [
        Decision(
            rng.choice(("place", "place", "cancel", "amend", "nothing", "nothing")), rng.randrange(1_000),
            rng.randrange(markets), s, near(rng, s if rng.random() < 0.6 else -s), rng.randrange(1, 30),
            rng.choice(("gtc", "gtc", "gtd", "ioc")), rng.random() < 0.2, rng.choice((1, 5, 50, 300)),
            rng.choice((0, 0, 0, 4)),
        )
        for s in side
    ]  # fmt: skip
    end = tape.rows[-1]["ts_recv_ns"]
    return Plan(
        tape, markets, rng.choice((0, 0, 1, 5, 30)), rng.choice((0, 0, 1, 7)), rng.choice((0, 0, 5)),
        rng.choice(QUEUES), rng.randrange(3), rng.choice(REFILLS), rng.choice((1, 20, 200)),
        decisions, sorted(rng.randrange(990, end + 20) for _ in range(10)),
        [rng.randrange(len(tape.rows)) for _ in range(4)],
    )  # fmt: skip


@dataclass
class Script:
    """The strategy: `act(decision)` is done by whoever plays; everything it hears is logged."""

    plan: Plan
    later: Callable[[int, Callable[[], None]], None]
    place: Callable[[Ask], None]
    cancel: Callable[[str], None]
    amend: Callable[[str, int, int], None]
    log: list[tuple[int, Heard]] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    names: Any = field(default_factory=count)

    def hear(self, now_ns: int, heard: Heard) -> None:
        self.log.append((now_ns, heard))
        self.decide(now_ns)

    def decide(self, now_ns: int) -> None:
        number = next(self.names)
        if number < len(self.plan.decisions):
            decision = self.plan.decisions[number]
            if decision.what != "nothing":
                self.later(now_ns + decision.delay_ns, lambda: self._act(decision, now_ns + decision.delay_ns))

    def _act(self, d: Decision, now_ns: int) -> None:
        if d.what == "place":
            ask = Ask(
                f"o{len(self.asks)}", d.market, d.side, d.price, d.lots, d.tif, d.post_only and d.tif != "ioc",
                now_ns + d.lives_ns,
            )  # fmt: skip
            self.asks.append(ask)
            self.place(ask)
        elif self.asks:
            recent = self.asks[-6:]
            name = recent[d.pick % len(recent)].name
            if d.what == "cancel":
                self.cancel(name)
            else:
                self.amend(name, d.price, d.lots)


def naive(plan: Plan) -> tuple[list[tuple[Any, ...]], list[tuple[int, Heard]]]:
    chunks = list(plan.tape.chunks(feed_ns=plan.feed_ns))
    venue, local = (np.concatenate([getattr(c, view) for c in chunks]).tolist() for view in ("venue", "local"))
    script: Script
    exchange = NaiveExchange(
        venue, local, plan.markets, plan.entry_ns, plan.response_ns, plan.queue, plan.inferred,
        plan.refill, plan.half_life_ns, lambda now_ns, heard: script.hear(now_ns, heard),
    )  # fmt: skip
    script = Script(
        plan, lambda t, fn: exchange.at(t, Priority.NORMAL, fn), exchange.place, exchange.cancel, exchange.amend
    )

    def timer(number: int) -> None:
        script.hear(exchange.now_ns, ("timer", number))
        if number + 1 < len(plan.timers):
            exchange.at(plan.timers[number + 1], Priority.NORMAL, lambda: timer(number + 1))

    exchange.at(plan.timers[0], Priority.NORMAL, lambda: timer(0))
    exchange.run()
    return exchange.fills, script.log


class Real:
    """The same strategy on the real parts: feed sink, event sink and timers in virtual time."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.runtime = VirtualRuntime(1)
        kinds = [InstrumentKind.SPOT] * plan.markets
        self.instruments = [coarse(f"m{m}", kind, price_min_i=1, price_max_i=99) for m, kind in enumerate(kinds)]
        spans = [MarketSpan(1, 1, 1, 100)] * plan.markets
        self.kernel = Replay(
            spans, queue=plan.queue, inferred=plan.inferred, refill=plan.refill,
            half_life_ns=plan.half_life_ns,
        )  # fmt: skip
        latency = LatencyModel(entry=ConstantLatency(plan.entry_ns), response=ConstantLatency(plan.response_ns))
        exchange = Exchange(self.runtime, self.kernel, VENUE_NAME, dict(enumerate(self.instruments)), SHORTING)
        self.venue = SimulatedVenue(exchange, latency)
        self.venue.events(self.on_event)
        names = [i.market for i in self.instruments]
        self.books = KernelBooks(self.kernel, names)
        for name in names:
            self.books.watch(name, top=True, trades=True)
        chunks = plan.tape.chunks(plan.cuts, plan.feed_ns)
        self.market = TapeMarket(self.runtime, self.kernel, chunks, names, self, [exchange] * plan.markets)
        self.script = Script(plan, self._later, self._place, self._cancel, self._amend)
        self.fills: list[tuple[Any, ...]] = []

    def run(self) -> None:
        async def main() -> None:
            tape = self.runtime.spawn(self.market.run(), "tape")
            for number, t_ns in enumerate(self.plan.timers):
                await self.runtime.sleep_until(t_ns)
                self._heard("timer", number)
            await tape.join()
            await self.runtime.sleep(2_000)

        self.runtime.run(main=main())

    def _heard(self, *heard: Any) -> None:
        self.script.hear(self.runtime.now_ns(), heard)

    def _later(self, t_ns: int, fn: Callable[[], None]) -> None:
        self.runtime.call_at(t_ns, fn)

    def _place(self, ask: Ask) -> None:
        kind = OrderType.POST_ONLY if ask.post_only else OrderType.LIMIT
        order = Order(
            OrderId(ask.name), self.instruments[ask.market], Side.BUY if ask.side > 0 else Side.SELL, kind,
            TimeInForce(ask.tif), ask.lots, None, ask.price, expire_ns=ask.expire_ns if ask.tif == "gtd" else None,
        )  # fmt: skip
        self._ask(ask.name, lambda: self.venue.place_order(order))

    def _cancel(self, name: str) -> None:
        async def cancel() -> None:
            ack = await self.venue.cancel_order(OrderId(name))
            self._heard("cancelled", name, ack.cancelled)

        self.runtime.spawn(cancel(), "cancel")

    def _amend(self, name: str, price: int, lots: int) -> None:
        self._ask(name, lambda: self.venue.modify_order(OrderId(name), price, lots))

    def _ask(self, name: str, work: Callable[[], Any]) -> None:
        async def ask() -> None:
            try:
                await work()
            except ExecError:
                self._heard("refused", name)
            else:
                self._heard("acked", name)

        self.runtime.spawn(ask(), "ask")

    def on_event(self, event: Any) -> None:
        if isinstance(event, OrderFilled):
            fill = event.fill
            self.fills.append((fill.ts_ns, fill.order_id, fill.price_i, fill.lots, str(fill.cause), fill.row_seq))
            self._heard("filled", fill.order_id, fill.price_i, fill.lots, event.done)
        elif isinstance(event, OrderGone):
            self._heard("gone", event.order_id, event.lapsed)

    def on_top(self, market: str, ts_ns: int) -> None:
        top = self.books.top(market)
        assert ts_ns == self.runtime.now_ns()
        self._heard("top", int(market[1:]), top.bid_i, top.bid_lots, top.ask_i, top.ask_lots)

    def on_trade(self, trade: Trade) -> None:
        assert trade.ts_ns == self.runtime.now_ns()
        self._heard("trade", int(trade.market[1:]), trade.price_i, trade.lots, self.kernel.stop_row().seq)

    def on_book(self, market: str, ts_ns: int) -> None: ...
    def on_tick(self, market: str, ts_ns: int, tick_i: int) -> None: ...
    def on_gap(self, market: str, ts_ns: int, open_gap: bool) -> None: ...
    def on_resolve(self, market: str, ts_ns: int, payoff_i: int) -> None: ...


@pytest.mark.parametrize("block", range(10))
def test_the_tape_task_equals_a_row_by_row_simulation(block: int) -> None:
    """150 seeds. Replay one: PYTHONPATH=tests/property .venv/bin/python -c 'import test_tape_task as t; t.compare(SEED)'"""
    for seed in range(block * 15, block * 15 + 15):
        compare(seed)


def compare(seed: int) -> None:
    plan = planned(seed)
    fills, log = naive(plan)
    real = Real(plan)
    real.run()
    assert real.script.log == log, f"seed {seed}"
    assert sorted(real.fills) == sorted(fills), f"seed {seed}"


def test_the_comparison_covers_what_it_is_about() -> None:
    fills = [fill for seed in range(60) for fill in naive(planned(seed))[0]]
    heard = [h for seed in range(60) for _, h in naive(planned(seed))[1]]
    for cause in ("taker_walk", "queue_drained", "trade_through", "crossed_book"):
        assert sum(fill[4] == cause for fill in fills) > 30, cause
    for kind in ("top", "trade", "acked", "refused", "filled", "gone", "cancelled", "timer"):
        assert sum(h[0] == kind for h in heard) > 50, kind
    assert any(h[0] == "gone" and h[2] for h in heard)
