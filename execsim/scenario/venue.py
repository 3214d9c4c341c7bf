"""What a scenario says of a venue's settlement, delays, resolutions and faults, and what is made of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from pydantic import Field, field_validator

from execsim.core.errors import ConfigError
from execsim.core.units import NS_PER_MS, NS_PER_S
from execsim.exchange import ChainModel, Event, ExchangeModel, ResolutionModel, TakerDelay
from execsim.exchange.delays import LognormalLatency
from execsim.exchange.faults import PACKS, Pack, Schedule
from execsim.exchange.faults.build import build_pack
from execsim.scenario.section import Amount, Number, Section

MILLION: Final = 1_000_000


class Settlement(Section):
    """Two-phase fills: a match is provisional until the chain has it. Times are medians of lognormals."""

    enabled: bool = Field(False, description="false: a fill is final at once")
    mined_s: Number = Field(
        Decimal(3), gt=0, le=3600, description="match to block; what was bought is usable from then on"
    )
    confirmed_s: Number = Field(Decimal(5), gt=0, le=3600, description="block to final")
    failed_s: Number = Field(
        Decimal(20), gt=0, le=3600, description="match to the news of a failure (reports: 10 to 50 s)"
    )
    sigma: Number = Field(Decimal("0.3"), gt=0, le=3)
    fail_chance: Number = Field(Decimal(0), ge=0, le=1, description="share of matches that fail on chain")


class Resolution(Section):
    """How markets end. Trading stops at the proposal; the payout comes `delay_s` later, and `dispute_s` after that if it is
    disputed; a void market pays 1/2 to either side."""

    delay_s: Amount = Field(Decimal(0), le=10**7)
    dispute_chance: Number = Field(Decimal(0), ge=0, le=1)
    dispute_s: Amount = Field(Decimal(7200), le=10**7, description="UMA's challenge takes about two hours")
    void_chance: Number = Field(Decimal(0), ge=0, le=1, description="of the disputed")
    redeem: bool = Field(False, description="true: the strategy redeems its tokens itself (ctx.redeem)")


class NegRiskEvent(Section):
    """Markets of which exactly one pays: their NO tokens convert."""

    id: str = Field(min_length=1)
    markets: list[str] = Field(min_length=2, description="market ids")


class Fault(Section):
    """A fault pack, when it happens and with what parameters; `execsim faults` lists them. No time given: the pack's own."""

    pack: str
    venue: str | None = Field(None, description="the venue it happens at; all of them if not given")
    at_s: list[Amount] = Field([], description="seconds after the start")
    per_hour: Amount = Field(Decimal(0), le=3600, description="at random")
    nth: list[int] = Field([], description="on these orders, counted from 1")
    every: int = Field(0, ge=0, description="on every so-manyth order")
    params: dict[str, Any] = {}

    @field_validator("pack")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in PACKS:
            raise ValueError(f"there is no fault pack {name!r}; there are: {', '.join(PACKS)}")
        return name

    def schedule(self) -> Schedule:
        """When it happens."""
        if not (self.at_s or self.per_hour or self.nth or self.every):
            return PACKS[self.pack].schedule
        at_ns = tuple(int(at * NS_PER_S) for at in self.at_s)
        return Schedule(at_ns, self.per_hour, tuple(self.nth), self.every)

    def build(self) -> Pack:
        """The pack with its parameters. Errors: ConfigError naming what it does not know."""
        return build_pack(self.pack, self.params)


def read_faults(value: object) -> object:
    """`faults` as people write it: one name, names with commas between them, or a list of names and tables."""
    if isinstance(value, str):
        value = [name.strip() for name in value.split(",") if name.strip()]
    if isinstance(value, list):
        return [{"pack": item} if isinstance(item, str) else item for item in value]
    return value


def exchange_model(
    settlement: Settlement,
    resolution: Resolution,
    taker_delay: TakerDelay,
    events: Iterable[Event],
    faults: Sequence[Fault],
) -> ExchangeModel:
    """What the exchange of one venue does. A fault that voids fills needs a chain: it gets the default one."""
    needs_chain = settlement.enabled or any(fault.pack == "voided_fill" for fault in faults)
    return ExchangeModel(
        chain=_chain(settlement) if needs_chain else None,
        taker_delay=taker_delay,
        resolution=ResolutionModel(
            delay_ns=int(resolution.delay_s * NS_PER_S),
            dispute_per_million=int(resolution.dispute_chance * MILLION),
            dispute_ns=int(resolution.dispute_s * NS_PER_S),
            void_per_million=int(resolution.void_chance * MILLION),
            auto_redeem=not resolution.redeem,
        ),
        events=tuple(events),
    )


def _chain(item: Settlement) -> ChainModel:
    def leg(seconds: Decimal) -> LognormalLatency:
        return LognormalLatency(int(seconds * NS_PER_S), str(item.sigma))

    fails = int(item.fail_chance * MILLION)
    return ChainModel(leg(item.mined_s), leg(item.confirmed_s), leg(item.failed_s), fails)


def taker_delay(ms: Decimal, acks: bool) -> TakerDelay:
    return TakerDelay(int(ms * NS_PER_MS), acks)


def neg_risk_events(items: Sequence[NegRiskEvent], binary: Mapping[str, str]) -> dict[str, list[Event]]:
    """Events by venue. `binary`: binary market id -> venue. Errors: ConfigError for other markets, and mixed venues."""
    found: dict[str, list[Event]] = {}
    for item in items:
        venues = {binary.get(market) for market in item.markets}
        if None in venues or len(venues) != 1:
            known = ", ".join(binary) or "none"
            raise ConfigError(
                f"event {item.id}: its markets must be binary markets of one venue", f"those are: {known}"
            )
        found.setdefault(str(venues.pop()), []).append(Event(item.id, tuple(item.markets)))
    return found
