"""Each kind of agent does what it is described to do, and a market of them keeps its books."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from agent_world import CORN, FEED_NS, RAIN, SHARE, START_NS, AgentWorld, S, agents
from worlds import coarse

from execsim.core.errors import ConfigError
from execsim.core.events import QueueMoved
from execsim.core.instrument import Instrument, InstrumentKind, Outcome
from execsim.core.order import MatchKind, Side
from execsim.exchange import LatencyModel
from execsim.exchange.agents import KINDS, Informed, MarketMaker, Momentum, Noise, Seat, Value, ValueModel
from execsim.exchange.agents.market import Endowment
from execsim.kernel import LOCAL, VENUE

CROWD = (
    agents("noise", Noise(branching=Decimal("0.5")), 10),
    agents("maker", MarketMaker(), 2),
    agents("informed", Informed()),
    agents("momentum", Momentum()),
)
STILL = ValueModel(Decimal("0.001"), 1)


def crowded(seed: int = 7, **more: object) -> AgentWorld:
    return AgentWorld(populations=CROWD, seed=seed, **more).run()  # type: ignore[arg-type]


def position(world: AgentWorld, account: str) -> int:
    return next(seat.position_lots for seat in world.market.seats if seat.account == account)


def test_the_same_seed_gives_the_same_market() -> None:
    one, two, other = crowded(), crowded(), crowded(seed=8)
    assert one.events == two.events
    assert [(e.order.id, e.fill) for e in one.executed] == [(e.order.id, e.fill) for e in two.executed]
    assert one.events != other.events
    assert len(one.executed) > 100


def test_an_agents_stream_is_its_own() -> None:
    """Another population does not change when the first one comes."""
    alone = AgentWorld(populations=CROWD[:1]).run()
    first = [order for order in (e.order.id for e in alone.executed) if order.startswith("noise-0")]
    assert first
    times = {at for at, *_ in alone.events}
    together = crowded()
    assert len(times & {at for at, *_ in together.events}) > len(times) // 4


@pytest.mark.parametrize("instrument", [RAIN, CORN])
def test_a_market_keeps_its_books(instrument: Instrument) -> None:
    """Money is conserved, nobody owes, and at the end no order stands and nothing is claimed."""
    spot = instrument is CORN
    world = AgentWorld(
        instrument, populations=CROWD, start_i=5000, endowment=Endowment(10**12, 10**6 if spot else 100 * SHARE)
    ).run()
    assert world.executed
    assert not world.matching.book.orders
    assert not world.entry.open
    for name, account in world.ledger.accounts.items():
        assert not any(account.reserved.values())
        if name != "mint":
            assert all(units >= 0 for units in account.balances.values()), name
    kinds = {one.fill.match for one in world.executed}
    assert kinds == ({MatchKind.SWAP} if spot else set(MatchKind))


def test_without_tokens_everything_is_minted_and_merged() -> None:
    """Agents that come with money alone: sellers buy NO, and a book of YES orders exists all the same."""
    world = AgentWorld(populations=CROWD, endowment=Endowment(10**12, 0)).run()
    kinds = {one.fill.match for one in world.executed}
    assert MatchKind.MINT in kinds
    assert MatchKind.MERGE in kinds


def test_what_a_market_shows_is_what_it_is() -> None:
    """The kernel's venue view is the L3 book at once; ours is the same a feed latency later."""
    seen: list[bool] = []

    async def watch(world: AgentWorld) -> None:
        book, kernel, runtime = world.matching.book, world.kernel, world.runtime
        past: dict[int, tuple[object, object]] = {}
        for second in range(1, 50):
            await runtime.sleep_until(START_NS + second * S // 2 + 1)
            shown = (book.levels(1), book.levels(-1))
            assert [kernel.levels(VENUE, 0, side, 99) for side in (1, -1)] == list(shown)
            past[second] = shown
            await runtime.sleep_until(START_NS + second * S // 2 + 1 + FEED_NS)
            changed = any(START_NS + second * S // 2 < at <= runtime.now_ns() - FEED_NS for at, *_ in world.events)
            ours = [kernel.levels(LOCAL, 0, side, 99) for side in (1, -1)]
            seen.append(ours == list(shown) or changed)

    AgentWorld(populations=CROWD).run(watch)
    assert len(seen) == 49
    assert all(seen)


def test_a_maker_quotes_around_what_it_believes_and_leans_against_what_it_holds() -> None:
    quotes: list[tuple[tuple[int, int] | None, tuple[int, int] | None]] = []

    async def visit(world: AgentWorld) -> None:
        seat, book = world.seat("visitor"), world.matching.book
        await world.runtime.sleep(2 * S)
        quotes.append((book.best(1), book.best(-1)))
        assert seat.take(1, 200 * SHARE) == 150 * SHARE  # three levels of 50
        await world.runtime.sleep(2 * S)
        quotes.append((book.best(1), book.best(-1)))

    maker = MarketMaker(size=Decimal(50), half_spread_ticks=1, levels=3, impact_permille=1000, skew_permille=500)
    AgentWorld(populations=[agents("maker", maker)], seconds=10).run(visit)
    assert quotes[0] == ((4900, 50 * SHARE), (5100, 50 * SHARE))
    bid, ask = quotes[1]
    assert bid is not None
    assert ask is not None
    assert bid[0] >= 5200  # sold 3 sizes: up 3 ticks for what it learnt and 1.5 for what it is short, less the pull
    assert ask[0] > bid[0]


def test_a_maker_stops_at_its_limit() -> None:
    async def visit(world: AgentWorld) -> None:
        seat = world.seat("visitor")
        for _ in range(8):
            await world.runtime.sleep(S)
            seat.take(1, 200 * SHARE)

    maker = MarketMaker(max_position=Decimal(100), levels=1)
    world = AgentWorld(populations=[agents("maker", maker)], seconds=10).run(visit)
    assert position(world, "maker-0") == -100 * SHARE


def test_the_informed_take_what_is_wrong_and_nothing_else() -> None:
    async def visit(world: AgentWorld) -> None:
        seat = world.seat("visitor")
        seat.limit(-1, 5100, 30 * SHARE)
        await world.runtime.sleep(20 * S)
        assert seat.position_lots == 0  # worth 5000, offered at 5100
        world.market.value.price_i = 5300
        await world.runtime.sleep(20 * S)
        assert seat.position_lots == -30 * SHARE
        seat.limit(-1, 5300, 30 * SHARE)
        await world.runtime.sleep(20 * S)
        assert seat.position_lots == -30 * SHARE  # no edge at the value itself

    informed = agents("informed", Informed(edge_ticks=1))
    world = AgentWorld(populations=[informed], seconds=61, value=STILL).run(visit)
    assert position(world, "informed-0") == 30 * SHARE


@pytest.mark.parametrize("side", [1, -1])
def test_momentum_follows_a_move(side: int) -> None:
    async def visit(world: AgentWorld) -> None:
        seat, runtime = world.seat("visitor"), world.runtime
        held = [seat.limit(s, 5000 - s * 100, 500 * SHARE) for s in (1, -1)]
        await runtime.sleep(10 * S)
        assert position(world, "momentum-0") == 0
        for order in held:
            assert order is not None
            seat.cancel(order)
        for s in (1, -1):
            seat.limit(s, 5000 + side * 400 - s * 100, 500 * SHARE)
        await runtime.sleep(4 * S)

    momentum = agents("momentum", Momentum(per_s=Decimal(4), lookback_s=Decimal(3)))
    world = AgentWorld(populations=[momentum], seconds=20).run(visit)
    assert side * position(world, "momentum-0") > 0


def test_noise_has_no_view() -> None:
    """As many buys as sells, over a few markets; what trades is larger than what is sent, as larger orders do more often."""
    noise = [agents("noise", Noise(per_s=Decimal(5), size=Decimal(20)), 10)]
    worlds = [AgentWorld(populations=noise, seed=seed, seconds=60, value=STILL).run() for seed in range(1, 5)]
    trades = [side for world in worlds for _, what, side, _, _ in world.events if what == "trade"]
    assert len(trades) > 1000
    assert abs(sum(trades)) < 3 * len(trades) ** 0.5
    sizes = [e.order.size_lots or 0 for world in worlds for e in world.executed]
    assert sum(sizes) / len(sizes) / SHARE > 20


def test_a_seat_finds_the_leg_that_needs_no_credit() -> None:
    legs: list[tuple[Side, Outcome]] = []

    async def visit(world: AgentWorld) -> None:
        seat, other = world.seat("visitor"), world.seat("other")
        quote(seat, 1)
        quote(seat, -1)
        other.limit(1, 5000, 10 * SHARE)
        seat.take(-1, 10 * SHARE)
        quote(seat, 1)

    def quote(seat: Seat, side: int) -> None:
        order = seat.limit(side, 5000 - side * 1000, 10 * SHARE)
        assert order is not None
        assert order.book_price_i == 5000 - side * 1000
        legs.append((order.side, order.outcome))
        seat.cancel(order)

    AgentWorld(seconds=1, endowment=Endowment(10**12, 10**8)).run(visit)
    assert legs == [(Side.BUY, Outcome.YES), (Side.SELL, Outcome.YES), (Side.BUY, Outcome.YES)]
    legs.clear()
    AgentWorld(seconds=1, endowment=Endowment(10**12, 0)).run(visit)
    assert legs == [(Side.BUY, Outcome.YES), (Side.BUY, Outcome.NO), (Side.SELL, Outcome.NO)]


def test_a_market_may_pay_out_by_its_value() -> None:
    sure = coarse("sure", InstrumentKind.BINARY)
    payoffs = {
        start_i: AgentWorld(sure, seconds=2, start_i=start_i, value=STILL, resolves=True).run().resolved
        for start_i in (99, 1)
    }
    assert payoffs == {99: [100], 1: [0]}


def test_a_value_stays_inside_its_bounds_and_goes_nowhere_on_average() -> None:
    value = Value(ValueModel(Decimal(1), 3), 5000, 100, 100, 9900)
    for ticks in (60, 60, -60, -60, -60):
        value.move(ticks)
        assert 100 <= value.price_i <= 9900
    model, rng = ValueModel(Decimal(1), 3), AgentWorld().runtime.rng("value")
    jumps = [model.jump(rng) for _ in range(20_000)]
    assert 0 not in jumps
    assert abs(sum(jumps)) < 4 * sum(j * j for j in jumps) ** 0.5


def test_a_trader_hears_how_his_queue_moves() -> None:
    """Exactly: orders in front that leave, shrink or fill count, orders behind do not."""
    heard: list[tuple[int, int]] = []

    async def visit(world: AgentWorld) -> None:
        exchange, runtime = world.exchange, world.runtime
        exchange.connect("trader", LatencyModel()).sink = lambda event: (
            heard.append((event.before_lots // SHARE, event.ahead_lots // SHARE))
            if isinstance(event, QueueMoved)
            else None
        )
        first, second, third = (world.seat(name) for name in ("first", "second", "third"))
        one = first.limit(1, 5000, 60 * SHARE)
        two = second.limit(1, 5000, 40 * SHARE)
        trader = replace(second, account="trader", holdings=world.ledger["trader"])
        world.ledger.deposit("trader", "pUSD", 10**9)
        ours = trader.limit(1, 5000, 10 * SHARE)
        assert one is not None
        assert two is not None
        assert ours is not None
        exchange.watch_queue("trader", ours.id, 25)
        behind = third.limit(1, 5000, 500 * SHARE)
        assert behind is not None
        third.cancel(behind)
        first.cancel(one)
        third.take(-1, 10 * SHARE)  # 10 of the 25 asked for: nothing is said
        third.take(-1, 20 * SHARE)
        await runtime.sleep(S)

    AgentWorld(seconds=2).run(visit)
    assert heard == [(100, 40), (40, 10)]


@pytest.mark.parametrize("kind", list(KINDS))
def test_nonsense_is_refused(kind: str) -> None:
    with pytest.raises(ConfigError, match=f"agents: {kind}: size"):
        KINDS[kind](size=Decimal(0))  # type: ignore[call-arg]
