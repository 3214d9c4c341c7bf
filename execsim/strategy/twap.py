"""TWAP as a strategy: one parent order in each market, in equal parts at equal distances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from execsim.core.units import NS_PER_S
from execsim.strategy.algos.start import start_twap
from execsim.strategy.algos.tactics import Style
from execsim.strategy.params import above_zero, describe, params_of
from execsim.strategy.parents import ParentParams, choice, work

if TYPE_CHECKING:
    from execsim.engine.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Params(ParentParams):
    """Parameters of TWAP."""

    duration_ns: Annotated[int, "time over which it trades"] = 60 * NS_PER_S
    slices: Annotated[int, "equal parts"] = 10
    style: Annotated[str, "passive, aggressive, passive_then_cross, or resting (at the limit)"] = "passive_then_cross"

    def __post_init__(self) -> None:
        self.check("twap")
        above_zero("twap", duration_ns=self.duration_ns, slices=self.slices)
        choice("twap", "style", self.style, Style)


PARAMS: Final = describe(Params)


async def run(ctx: Context) -> None:
    """Work a parent in each market until all have ended. Errors: ConfigError."""
    p = params_of(Params, ctx.params, "twap")
    await work(
        ctx, p.delay_ns, ctx.markets,
        lambda market: start_twap(
            ctx, market, p.side, p.size, duration_ns=p.duration_ns, slices=p.slices, limit=p.limit_or_none,
            outcome=p.outcome, tactics=p.tactics(p.style),
        ),
    )  # fmt: skip
