"""VWAP as a strategy: one parent order in each market, in parts by a volume profile.

The profile is `weights`, or the scenario's `strategy.profile`: the trades of a recording by time bucket.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from execsim.core.errors import ConfigError
from execsim.core.units import NS_PER_S
from execsim.strategy.algos.start import start_vwap
from execsim.strategy.algos.tactics import Style
from execsim.strategy.params import above_zero, describe, params_of
from execsim.strategy.parents import ParentParams, choice, work

if TYPE_CHECKING:
    from execsim.engine.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Params(ParentParams):
    """Parameters of VWAP."""

    duration_ns: Annotated[int, "time over which it trades: all buckets together"] = 60 * NS_PER_S
    weights: Annotated[tuple[int, ...], "volume of each bucket; empty: from strategy.profile"] = ()
    slices: Annotated[int, "equal parts of each bucket"] = 1
    style: Annotated[str, "passive, aggressive, passive_then_cross, or resting (at the limit)"] = "passive_then_cross"

    def __post_init__(self) -> None:
        self.check("vwap")
        above_zero("vwap", duration_ns=self.duration_ns, slices=self.slices)
        choice("vwap", "style", self.style, Style)
        if not self.weights:
            raise ConfigError(
                "strategy vwap: no weights", "give params.weights, or name a recording in strategy.profile"
            )
        for weight in self.weights:
            if isinstance(weight, bool) or not isinstance(weight, int) or weight < 0:
                raise ConfigError(f"strategy vwap: {weight!r} in weights", "whole numbers, none negative")
        if not any(self.weights):
            raise ConfigError("strategy vwap: all weights are 0", "give at least one above 0")


PARAMS: Final = describe(Params)


async def run(ctx: Context) -> None:
    """Work a parent in each market until all have ended. Errors: ConfigError."""
    p = params_of(Params, ctx.params, "vwap")
    await work(
        ctx, p.delay_ns, ctx.markets,
        lambda market: start_vwap(
            ctx, market, p.side, p.size, weights=p.weights, duration_ns=p.duration_ns, slices=p.slices,
            limit=p.limit_or_none, outcome=p.outcome, tactics=p.tactics(p.style),
        ),
    )  # fmt: skip
