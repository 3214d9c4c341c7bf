"""An iceberg as a strategy: one parent order in each market, of which only a part shows."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Final

from execsim.core.errors import ConfigError
from execsim.strategy.algos.start import start_iceberg
from execsim.strategy.algos.tactics import Style
from execsim.strategy.params import above_zero, at_least, describe, params_of
from execsim.strategy.parents import ParentParams, choice, work

if TYPE_CHECKING:
    from execsim.engine.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Params(ParentParams):
    """Parameters of the iceberg."""

    display: Annotated[Decimal, "size that shows"] = Decimal(10)
    jitter_percent: Annotated[int, "each piece shown is off by up to so much, at random"] = 0
    duration_ns: Annotated[int, "time after which it ends; 0: none"] = 0
    style: Annotated[str, "resting (at the limit), passive (at our side's best price), ..."] = "resting"

    def __post_init__(self) -> None:
        self.check("iceberg")
        above_zero("iceberg", display=self.display)
        at_least("iceberg", 0, jitter_percent=self.jitter_percent, duration_ns=self.duration_ns)
        choice("iceberg", "style", self.style, Style)
        if self.style.lower() == Style.RESTING and not self.limit:
            raise ConfigError("strategy iceberg: style resting without a limit", "give limit, or style passive")


PARAMS: Final = describe(Params)


async def run(ctx: Context) -> None:
    """Work a parent in each market until all have ended. Errors: ConfigError."""
    p = params_of(Params, ctx.params, "iceberg")
    await work(
        ctx, p.delay_ns, ctx.markets,
        lambda market: start_iceberg(
            ctx, market, p.side, p.size, display=p.display, jitter_percent=p.jitter_percent,
            duration_ns=p.duration_ns or None, limit=p.limit_or_none, outcome=p.outcome, tactics=p.tactics(p.style),
        ),
    )  # fmt: skip
