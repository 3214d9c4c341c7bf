"""What a scenario says of a venue's rate limits: those of its profile by the account's tier, rules of its own, or none."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field, model_validator

from execsim.core.errors import ConfigError
from execsim.core.limits import Ban, Bucket, Fixed, LimitRule, Sliding
from execsim.core.request import RequestKind
from execsim.core.units import NS_PER_S, plain
from execsim.ports import VenueProfile
from execsim.scenario.section import Amount, Number, Section


class Rule(Section):
    """One limit: a bucket (`rate`, `burst`) or a window (`n` per `per_s`)."""

    name: str = Field(min_length=1)
    kinds: list[RequestKind] = Field(min_length=1, description="requests it counts")
    scope: Literal["signer", "ip"] = "signer"
    rate: Number | None = Field(None, gt=0, description="bucket: tokens a second")
    burst: int | None = Field(None, ge=1, description="bucket: tokens at once")
    n: int | None = Field(None, ge=1, description="window: tokens")
    per_s: Number | None = Field(None, gt=0, le=10**7, description="window: its length")
    window: Literal["fixed", "sliding"] = Field("fixed", description="fixed: follows the clock")
    cost: dict[RequestKind, int] = Field({}, description="kind -> tokens of a request; else 1")
    per_order: bool = Field(False, description="a batch pays for every order")
    max_delay_s: Amount = Field(
        Decimal(0), le=3600, description="what is too much waits this long before it is refused"
    )
    tells_wait: bool = Field(True, description="the refusal says when to come back")
    counts_refused: bool = Field(False, description="refused requests cost as well")
    ban_after: int = Field(0, ge=0, description="refusals in a row until a ban; 0: never")
    ban_s: Number = Field(Decimal(120), gt=0, le=10**7, description="the first ban; each next one is twice as long")
    ban_max_s: Number = Field(Decimal(259_200), gt=0, le=10**7)

    @model_validator(mode="after")
    def _one_meter(self) -> Rule:
        bucket, window = (self.rate, self.burst), (self.n, self.per_s)
        whole = [None not in pair for pair in (bucket, window)]
        parts = [any(part is not None for part in pair) for pair in (bucket, window)]
        if sum(whole) != 1 or parts != whole:
            raise ValueError("give rate and burst (a bucket), or n and per_s (a window)")
        return self

    def build(self) -> LimitRule:
        """Errors: ConfigError for a rule that lets nothing through."""
        meter: Bucket | Fixed | Sliding
        if self.rate is not None and self.burst is not None:
            meter = Bucket(plain(self.rate), self.burst)
        else:
            assert self.n is not None
            assert self.per_s is not None
            kind = Fixed if self.window == "fixed" else Sliding
            meter = kind(self.n, int(self.per_s * NS_PER_S))
        ban = None
        if self.ban_after:
            ban = Ban(self.ban_after, int(self.ban_s * NS_PER_S), int(self.ban_max_s * NS_PER_S))
        return LimitRule(
            self.name, frozenset(self.kinds), meter, scope=self.scope, cost=dict(self.cost), per_order=self.per_order,
            max_delay_ns=int(self.max_delay_s * NS_PER_S), tells_wait=self.tells_wait,
            counts_refused=self.counts_refused, ban=ban,
        )  # fmt: skip


class Limits(Section):
    """How often the venue lets the trader ask (docs/limits.md)."""

    off: bool = Field(False, description="true: no limits at all")
    enforced: bool = Field(True, description="false: what is too much is counted and passes")
    tier: str | None = Field(None, description="the account's tier, where the venue has tiers; else a new account's")
    rules: list[Rule] = Field([], description="instead of the venue's own")

    @model_validator(mode="after")
    def _one_source(self) -> Limits:
        if self.rules and self.tier is not None:
            raise ValueError("rules stand instead of the venue's own: remove tier")
        if self.off and (self.rules or self.tier is not None):
            raise ValueError("off = true leaves no limits: remove rules and tier")
        names = [rule.name for rule in self.rules]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"rule name {name!r} is used twice")
        return self


def tier_name(item: Limits, profile: VenueProfile) -> str:
    """The tier whose limits are in force; "" where there are none, or rules stand instead."""
    if item.off or item.rules or not profile.tiers:
        return ""
    return item.tier or next(iter(profile.tiers))


def limit_rules(item: Limits, profile: VenueProfile, where: str) -> tuple[LimitRule, ...]:
    """The rules in force. Errors: ConfigError naming the key, `where` the section stands."""
    if item.off:
        return ()
    try:
        if item.rules:
            return tuple(rule.build() for rule in item.rules)
        return profile.rules(item.tier)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error.args[0]}", *error.args[1:]) from None
