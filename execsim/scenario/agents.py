"""What a scenario says of a market made by agents, and what is made of it. See docs/agents.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final, Literal

from pydantic import Field, model_validator

from execsim.core.errors import ConfigError, ValidationError
from execsim.core.instrument import Instrument
from execsim.core.units import NS_PER_S, plain
from execsim.exchange import Exchange
from execsim.exchange.agents import KINDS, Agent, ValueModel
from execsim.exchange.agents.market import AgentMarket, Endowment, Population
from execsim.exchange.l3_feed import L3Feed
from execsim.exchange.l3_matching import L3Matching
from execsim.ports import Runtime
from execsim.scenario.section import Amount, Number, Section
from execsim.strategy.params import params_of
from execsim.tape.schema import Manifest, MarketInfo

START_NS: Final = 1_760_000_000_000_000_000
"""When the market opens (9 October 2025); any instant would do."""

AGENTS_VERSION: Final = 1
"""Rises whenever the same scenario and seed would give another market."""


class AgentGroup(Section):
    """`count` agents of one kind, each with a stream and an account of its own."""

    kind: Literal["noise", "market_maker", "informed", "momentum"]
    count: int = Field(1, ge=1, le=10_000)
    name: str = Field("", description="of their accounts; the kind if not given; once a scenario")
    params: dict[str, Any] = Field({}, description="see docs/agents.md")


class AgentsSection(Section):
    """A market without a recording: its rules, its traders, if any, and what they come with. Prices and sizes are
    decimals."""

    duration_s: Number = Field(gt=0, le=1_000_000)
    kind: Literal["binary", "spot"] = "binary"
    price_unit: Number = Field(Decimal("0.0001"), gt=0)
    tick: Number = Field(Decimal("0.01"), gt=0)
    lot: Number = Field(Decimal("0.000001"), gt=0)
    size_step: Number = Field(Decimal("0.01"), gt=0)
    size_min: Amount = Decimal(0)
    notional_min: Amount = Decimal(0)
    base: str = Field("SIM", min_length=1, description="base asset, or what the binary market is about")
    quote: str = Field("pUSD", min_length=1)
    start_price: Number = Field(Decimal("0.5"), gt=0)
    cash: Amount = Field(Decimal(100_000), description="money each agent comes with")
    holding: Amount = Field(Decimal(1_000), description="base, or full sets, each agent comes with")
    news_per_s: Number = Field(Decimal("0.05"), gt=0, description="moves of the value a second; the informed see it")
    news_ticks: int = Field(3, ge=1, description="mean size of a move")
    news_branching: Number = Field(Decimal(0), ge=0, lt=1, description="further moves each brings about; 0: Poisson")
    news_half_life_s: Number = Field(Decimal(20), gt=0, le=3600, description="how long that takes")
    resolve: bool = Field(False, description="binary: pay out at the end, 1 with the probability the value stands at")
    populations: list[AgentGroup] = Field(description="none: an empty book for those who connect to `execsim serve`")

    @model_validator(mode="after")
    def _is_a_market(self) -> AgentsSection:
        if self.kind == "spot" and self.resolve:
            raise ValueError("a spot market does not resolve: remove `resolve`")
        if self.kind == "binary" and not self.tick <= self.start_price <= 1 - self.tick:
            raise ValueError(f"start_price {self.start_price} of a binary market: between a tick and 1 less a tick")
        names = [group.name or group.kind for group in self.populations]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two populations are called {name!r}: give each a `name`")
        return self


def agents_manifest(item: AgentsSection, market: str, seed: int) -> Manifest:
    """What a tape of this market would say of itself: so a market of agents is loaded like any other."""
    text = json.dumps(item.model_dump(mode="json"), sort_keys=True)
    digest = sha256(f"agents {AGENTS_VERSION} {seed} {text}".encode()).hexdigest()
    end_ns = START_NS + int(item.duration_s * NS_PER_S)
    who = ", ".join(f"{group.count} {group.kind.replace('_', ' ')}" for group in item.populations)
    title, note = f"a market of agents, seed {seed}", f"agents make this market ({who}): nothing here was ever traded"
    if not who:
        title, note = "an empty book", "nobody makes this market: whoever connects meets the others who do"
    info = MarketInfo(
        market=market,
        venue="",
        instrument_kind=item.kind,
        price_unit=plain(item.price_unit),
        lot=plain(item.lot),
        base=item.base,
        quote=item.quote,
        tick=plain(item.tick),
        size_step=plain(item.size_step),
        size_min=plain(item.size_min),
        notional_min=plain(item.notional_min),
        title=title,
        extra={"first_snapshot_ns": START_NS, "first_ns": START_NS, "last_ns": end_ns},
    )
    return Manifest(
        format="agents", importer_version=AGENTS_VERSION, ts_first_ns=START_NS, ts_last_ns=end_ns, data_sha256=digest,
        markets=[info], notes=[note],
    )  # fmt: skip


def start_price_i(item: AgentsSection, instrument: Instrument) -> int:
    """Errors: ConfigError for a start price off the tick."""
    price_i = _exactly(instrument.grid.price_i, item.start_price, "start_price")
    if price_i % instrument.tick_i:
        raise ConfigError(f"agents.start_price {item.start_price} is not a multiple of the tick {item.tick}", "")
    return price_i


def agent_market(
    item: AgentsSection, runtime: Runtime, exchange: Exchange, instrument: Instrument, feed: L3Feed, end_ns: int
) -> AgentMarket:
    """The traders, at their places. Errors: ConfigError naming the population and the parameter."""
    matching = exchange.matching
    assert isinstance(matching, L3Matching)
    endowment = Endowment(
        cash=_exactly(instrument.quote.amount, item.cash, "cash"),
        lots=_exactly(instrument.grid.lots, item.holding, "holding"),
    )
    populations = [
        Population(group.name or group.kind, _agent(group.kind, group.params, number), group.count)
        for number, group in enumerate(item.populations)
    ]
    return AgentMarket(
        runtime, instrument, exchange.ledger, exchange.entry, matching, feed, populations, endowment,
        ValueModel(item.news_per_s, item.news_ticks, item.news_branching, int(item.news_half_life_s * NS_PER_S)),
        start_price_i(item, instrument), end_ns, resolves=item.resolve,
    )  # fmt: skip


def _agent(kind: str, params: Mapping[str, Any], number: int) -> Agent:
    try:
        agent: Agent = params_of(KINDS[kind], params, kind)
    except ConfigError as error:
        first, *rest = error.args
        raise ConfigError(f"agents.populations[{number}]: {str(first).removeprefix('strategy ')}", *rest) from None
    return agent


def _exactly(convert: Any, number: Decimal, where: str) -> int:
    try:
        units: int = convert(number)
    except ValidationError as error:
        raise ConfigError(f"agents.{where}: {error.args[1]}", *error.args[2:]) from None
    return units
