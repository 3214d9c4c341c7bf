"""Start an algorithm from a strategy. Each returns at once with the running `Execution`:

    algo = start_twap(ctx, "btc-up", "buy", 50, limit=0.55, duration_ns=60 * NS_PER_S)
    report = await algo.wait()

Sizes and limits are numbers as people write them; `tactics` says how children meet the market (`Tactics`).
Errors of all: ConfigError and ValidationError naming what is wrong, before anything is placed.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from execsim.core.errors import ConfigError
from execsim.core.instrument import Outcome
from execsim.core.order import Side
from execsim.core.units import Number
from execsim.strategy.algos.curve import Curve, subdivided
from execsim.strategy.algos.execution import Execution
from execsim.strategy.algos.iceberg import Display
from execsim.strategy.algos.participation import Participation
from execsim.strategy.algos.tactics import Style, Tactics
from execsim.strategy.algos.terms import Terms, terms_of
from execsim.strategy.algos.worker import Plan, Worker

if TYPE_CHECKING:
    from execsim.engine.context import Context

USUAL: Final = Tactics()


def start_twap(
    ctx: Context,
    market: str,
    side: Side | str,
    size: Number,
    *,
    duration_ns: int,
    slices: int = 10,
    limit: Number | None = None,
    outcome: Outcome | str = Outcome.YES,
    tactics: Tactics = USUAL,
) -> Execution:
    """Equal parts at equal distances: `slices` of them over `duration_ns`, the first at once."""
    if slices < 1:
        raise ConfigError(f"twap: slices is {slices}", "at least 1")
    terms = terms_of(ctx, market, side, size, limit, outcome)
    return _start(ctx, "twap", terms, Curve([1] * slices, duration_ns), tactics, duration_ns)


def start_vwap(
    ctx: Context,
    market: str,
    side: Side | str,
    size: Number,
    *,
    weights: Sequence[int],
    duration_ns: int,
    slices: int = 1,
    limit: Number | None = None,
    outcome: Outcome | str = Outcome.YES,
    tactics: Tactics = USUAL,
) -> Execution:
    """Parts by a volume profile: `weights` of equal buckets that together last `duration_ns`, each bucket in `slices`."""
    if slices < 1:
        raise ConfigError(f"vwap: slices is {slices}", "at least 1")
    terms = terms_of(ctx, market, side, size, limit, outcome)
    return _start(ctx, "vwap", terms, Curve(subdivided(weights, slices), duration_ns), tactics, duration_ns)


def start_pov(
    ctx: Context,
    market: str,
    side: Side | str,
    size: Number,
    *,
    rate: Fraction | Number,
    duration_ns: int | None = None,
    limit: Number | None = None,
    outcome: Outcome | str = Outcome.YES,
    tactics: Tactics = USUAL,
) -> Execution:
    """`rate` (above 0, at most 1) of what others print from now on; prints beyond the limit do not count."""
    terms = terms_of(ctx, market, side, size, limit, outcome)
    plan = Participation(terms, rate if isinstance(rate, Fraction) else Fraction(str(rate)))
    return _start(ctx, "pov", terms, plan, tactics, duration_ns)


def start_iceberg(
    ctx: Context,
    market: str,
    side: Side | str,
    size: Number,
    *,
    display: Number,
    jitter_percent: int = 0,
    duration_ns: int | None = None,
    limit: Number | None = None,
    outcome: Outcome | str = Outcome.YES,
    tactics: Tactics | None = None,
) -> Execution:
    """Show `display` at a time, the next when it is filled; each off by up to `jitter_percent`, drawn from the strategy's
    own stream. Without `tactics`: rests at the limit, or, where there is none, at our side's best price."""
    terms = terms_of(ctx, market, side, size, limit, outcome)
    if tactics is None:
        tactics = Tactics(style=Style.PASSIVE if limit is None else Style.RESTING)
    plan = Display(terms, terms.instrument.grid.lots(display), jitter_percent, ctx.rng("iceberg"))
    return _start(ctx, "iceberg", terms, plan, tactics, duration_ns)


def _start(ctx: Context, algo: str, terms: Terms, plan: Plan, tactics: Tactics, duration_ns: int | None) -> Execution:
    if tactics.style is Style.RESTING and terms.limit_i is None:
        raise ConfigError(f"{algo}: style resting without a limit", "give the limit its children are to rest at")
    return Execution(
        ctx, algo, Worker(terms, plan, tactics), side=terms.side, outcome=terms.outcome, lots=terms.lots,
        lot=terms.instrument.grid.lot, weights={terms.market: 1}, tactics=tactics, duration_ns=duration_ns,
    )  # fmt: skip
