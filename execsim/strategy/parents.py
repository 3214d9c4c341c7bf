"""What the shipped strategies that work one parent order a market have in common: their parameters, and the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

from execsim.core.errors import ConfigError
from execsim.core.instrument import Outcome
from execsim.core.order import Side
from execsim.core.units import NS_PER_S
from execsim.strategy.algos.execution import Execution
from execsim.strategy.algos.tactics import Style, Tactics, Voids
from execsim.strategy.algos.terms import named
from execsim.strategy.params import above_zero, at_least

if TYPE_CHECKING:
    from execsim.engine.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentParams:
    """Parameters of every algorithm; sizes in units of the base asset or shares, prices of the outcome traded."""

    side: Annotated[str, "buy or sell"]
    size: Annotated[Decimal, "size of the parent order, in each market"]
    limit: Annotated[Decimal, "price never exceeded; 0: none"] = Decimal(0)
    outcome: Annotated[str, "yes or no: the token of a binary market"] = "yes"
    delay_ns: Annotated[int, "time before it starts"] = 0
    reprice_ns: Annotated[int, "a resting child moves to our side's best price after so long"] = 5 * NS_PER_S
    patience_ns: Annotated[int, "passive_then_cross: what was due so long ago crosses"] = 10 * NS_PER_S
    voids: Annotated[str, "rework or report: lots whose fill the venue undoes"] = "rework"
    retries_max: Annotated[int, "refusals in a row before it gives up"] = 8

    def check(self, strategy: str) -> None:
        """What can be checked without a market. Errors: ConfigError naming strategy and parameter."""
        above_zero(strategy, size=self.size, reprice_ns=self.reprice_ns)
        at_least(strategy, 0, limit=self.limit, delay_ns=self.delay_ns, patience_ns=self.patience_ns)
        at_least(strategy, 0, retries_max=self.retries_max)
        choice(strategy, "side", self.side, Side)
        choice(strategy, "outcome", self.outcome, Outcome)
        choice(strategy, "voids", self.voids, Voids)

    @property
    def limit_or_none(self) -> Decimal | None:
        return self.limit or None

    def tactics(self, style: str) -> Tactics:
        return Tactics(
            style=named(Style, style, "style"), reprice_ns=self.reprice_ns, patience_ns=self.patience_ns,
            voids=named(Voids, self.voids, "voids"), retries_max=self.retries_max,
        )  # fmt: skip


def choice(strategy: str, name: str, value: str, kind: type[Side | Outcome | Voids | Style]) -> None:
    """Errors: ConfigError naming strategy, parameter and what it may be."""
    if value.lower() not in (member.value for member in kind):
        known = ", ".join(member.value for member in kind)
        raise ConfigError(f"strategy {strategy}: parameter {name} is {value!r}", f"one of: {known}")


async def work(ctx: Context, delay_ns: int, markets: Sequence[str], start: Callable[[str], Execution]) -> None:
    """Start one execution for each of `markets`, wait for all, and put their reports into the run's summary, also when the
    run ends first."""
    await ctx.sleep(delay_ns)
    running = [start(market) for market in markets]
    try:
        for execution in running:
            await execution.wait()
    finally:
        ctx.results.extend(execution.report().row() for execution in running)
