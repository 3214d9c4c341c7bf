"""POV as a strategy: one parent order in each market, as a share of what others print there."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Final

from execsim.core.errors import ConfigError
from execsim.strategy.algos.start import start_pov
from execsim.strategy.algos.tactics import Style
from execsim.strategy.params import above_zero, at_least, describe, params_of
from execsim.strategy.parents import ParentParams, choice, work

if TYPE_CHECKING:
    from execsim.engine.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Params(ParentParams):
    """Parameters of POV."""

    rate: Annotated[Fraction, "share of others' volume, above 0 and at most 1: 1/10 or 0.1"] = Fraction(1, 10)
    duration_ns: Annotated[int, "time after which it ends; 0: none"] = 0
    style: Annotated[str, "passive, aggressive, passive_then_cross, or resting (at the limit)"] = "passive_then_cross"

    def __post_init__(self) -> None:
        self.check("pov")
        above_zero("pov", rate=self.rate)
        at_least("pov", 0, duration_ns=self.duration_ns)
        choice("pov", "style", self.style, Style)
        if self.rate > 1:
            raise ConfigError(f"strategy pov: parameter rate is {self.rate}", "it must be at most 1")


PARAMS: Final = describe(Params)


async def run(ctx: Context) -> None:
    """Work a parent in each market until all have ended. Errors: ConfigError."""
    p = params_of(Params, ctx.params, "pov")
    await work(
        ctx, p.delay_ns, ctx.markets,
        lambda market: start_pov(
            ctx, market, p.side, p.size, rate=p.rate, duration_ns=p.duration_ns or None, limit=p.limit_or_none,
            outcome=p.outcome, tactics=p.tactics(p.style),
        ),
    )  # fmt: skip
