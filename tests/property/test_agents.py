"""Random markets of agents: whoever comes, with whatever parameters, the books of the exchange hold."""

from __future__ import annotations

from decimal import Decimal
from random import Random

from agent_world import CORN, RAIN, SHARE, AgentWorld, agents
from hypothesis import given, note, settings
from hypothesis import strategies as st

from execsim.core.order import Side
from execsim.exchange.agents import Informed, MarketMaker, Momentum, Noise, ValueModel
from execsim.exchange.agents.market import Endowment


def play(seed: int) -> AgentWorld:
    """A market of some seconds, everything about it drawn from the seed, checked at its end."""
    dice = Random(seed)
    inst = dice.choice((RAIN, CORN))
    lots = SHARE if inst is RAIN else 1
    size, rate = Decimal(dice.randint(1, 200)), Decimal(dice.randint(1, 80)) / 10
    noise = Noise(
        per_s=rate, branching=Decimal(dice.choice((0, 5, 8))) / 10, size=size, depth_ticks=dice.randint(1, 20),
        market_permille=dice.randint(0, 1000), repeat_permille=dice.randint(0, 1000), life_s=Decimal(dice.randint(1, 9)),
    )  # fmt: skip
    maker = MarketMaker(
        per_s=rate, size=size, levels=dice.randint(1, 6), half_spread_ticks=dice.randint(1, 5),
        skew_permille=dice.randint(0, 3000), impact_permille=dice.randint(0, 3000), pull_permille=dice.randint(0, 1000),
        max_position=size * dice.randint(1, 20),
    )  # fmt: skip
    informed = Informed(per_s=rate, size=size, edge_ticks=dice.randint(0, 5), delay_ms=Decimal(dice.choice((0, 50))))
    momentum = Momentum(per_s=rate, lookback_s=Decimal(1), threshold_ticks=1, size=size)
    kinds = {"noise": noise, "maker": maker, "informed": informed, "momentum": momentum}
    world = AgentWorld(
        inst,
        seed=seed,
        seconds=dice.randint(2, 12),
        start_i=(inst.one_i if inst is RAIN else 100) * dice.randint(2, 98) // 100 // inst.tick_i * inst.tick_i,
        populations=[agents(name, agent, dice.randint(0, 6)) for name, agent in kinds.items()],
        endowment=Endowment(10 ** dice.randint(3, 12), dice.choice((0, 50, 5000)) * lots),
        value=ValueModel(rate, dice.randint(1, 10), Decimal(dice.choice((0, 7))) / 10),
        resolves=inst is RAIN and dice.random() < 0.5,
    ).run()
    check(world)
    return world


def check(world: AgentWorld) -> None:
    inst, ledger = world.instrument, world.ledger
    ledger.check()
    assert not world.matching.book.orders
    assert not world.entry.open
    for name, account in ledger.accounts.items():
        assert not any(account.reserved.values()), name
        if name != "mint":
            assert all(units >= 0 for units in account.balances.values()), name
    if inst.complement is not None and not world.resolved:
        mint = ledger["mint"].balances
        assert mint[inst.base.name] == mint[inst.complement.name]
        assert mint[inst.quote.name] == inst.par(-mint[inst.base.name] // inst.base_amount(1))
    for one in world.executed:
        order, fill = one.order, one.fill
        assert order.filled_lots <= (order.size_lots or 0)
        if order.price_i is not None:
            assert order.side.sign * fill.price_i <= order.side.sign * order.price_i
    taken = sum(one.fill.lots * (1 if one.order.side_sign > 0 else -1) for one in world.executed)
    assert taken == 0, "every lot bought on the book was sold on it"
    paid = sum(-one.fill.cash for one in world.executed if one.order.side is Side.BUY)
    assert paid >= 0


@settings(max_examples=60, deadline=None, derandomize=True, print_blob=True)
@given(st.integers(0, 2**32))
def test_random_markets_keep_their_books(seed: int) -> None:
    note(f"replay: PYTHONPATH=tests/property .venv/bin/python -c 'from test_agents import *; play({seed})'")
    play(seed)
