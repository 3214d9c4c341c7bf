"""Queue models: what a scenario may choose, each its own parameters, and the integer tables the kernel reads.

The question each answers: a level we queue in got smaller, and no print says why. Which part of that stood ahead of us?
Sources: E. Rigtorp, "Estimating order queue position", 2013 (rigtorp.se); hftbacktest 2.4, "Order Fill" (queue models).
docs/queue.md has the formulas and what each does not model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow, localcontext
from functools import lru_cache
from typing import ClassVar, Final

from execsim.core.errors import ConfigError
from execsim.core.units import decimal_of
from execsim.kernel import layout as L

EXPONENT_MAX: Final = 100
"""Largest exponent: the table is then off by 0.002 at most: step**2 / 8 x the largest second derivative, (4 n)**2 / 10."""
PRECISION: Final = 40


@dataclass(frozen=True, slots=True)
class RiskAverse:
    """Only prints move us; never more can be ahead than the level shows (hftbacktest: RiskAdverseQueueModel)."""

    code: ClassVar[int] = L.RISK_AVERSE

    def table(self) -> tuple[int, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class Proportional:
    """A lot that leaves is any lot of the level with equal chance (hftbacktest: PowerProbQueueFunc, n = 1)."""

    code: ClassVar[int] = L.PROPORTIONAL

    def table(self) -> tuple[int, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class Power:
    """The chance that a lot left from behind us is made of f(x) = x ** exponent; `variant` says how (`share_ahead`).

    Variants are hftbacktest's PowerProbQueueFunc (1), PowerProbQueueFunc2 (2) and PowerProbQueueFunc3 (3).
    Errors: ConfigError unless 0 < exponent <= 100 and the variant is one of those.
    """

    code: ClassVar[int] = L.POWER
    exponent: Decimal = Decimal(3)
    variant: int = 1

    def __post_init__(self) -> None:
        exponent = decimal_of(self.exponent, "queue exponent")
        if not 0 < exponent <= EXPONENT_MAX:
            raise ConfigError(f"a queue exponent of {self.exponent}", f"it is positive, at most {EXPONENT_MAX}")
        if self.variant not in (1, 2, 3):
            raise ConfigError(f"power variant {self.variant}", "variants are 1, 2, 3")
        object.__setattr__(self, "exponent", exponent)

    def share_ahead(self, front: Decimal) -> Decimal:
        """1 - p: the part of a decrease that stood ahead of us when `front` (0 to 1) of the level did."""
        n, back = self.exponent, 1 - front
        if self.variant == 1:
            return front**n / (front**n + back**n)
        return 1 - back**n if self.variant == 2 else front**n

    def table(self) -> tuple[int, ...]:
        """`share_ahead` at 0, 1/1024, ..., 1 in units of 2**-30, rounded half to even: the same on every machine."""
        return _sampled(self.share_ahead, L.SHARE_BITS)


@dataclass(frozen=True, slots=True)
class Logarithmic:
    """As `Power` with f(x) = log(1 + x), x the size in units of the market (hftbacktest: LogProbQueueFunc, 2)."""

    variant: int = 1

    def __post_init__(self) -> None:
        if self.variant not in (1, 2):
            raise ConfigError(f"logarithmic variant {self.variant}", "variants are 1, 2")

    @property
    def code(self) -> int:
        return L.LOGARITHMIC if self.variant == 1 else L.LOGARITHMIC_2

    def table(self) -> tuple[int, ...]:
        """log2 of 1, 1 + 1/1024, ..., 2 in units of 2**-40, rounded half to even."""
        return _sampled(_log2_above_one, L.LOG_BITS)


@dataclass(frozen=True, slots=True)
class Fifo:
    """Exact where the tape tells the birth of each order (schema.COLUMNS, `order_id`): who was born before we joined stands
    ahead of us. Where it does not, as `RiskAverse`, and counted (Replay.unknown_births)."""

    code: ClassVar[int] = L.FIFO

    def table(self) -> tuple[int, ...]:
        return ()


QueueModel = RiskAverse | Proportional | Power | Logarithmic | Fifo


def _log2_above_one(fraction: Decimal) -> Decimal:
    return (1 + fraction).ln() / Decimal(2).ln()


@lru_cache(maxsize=64)
def _sampled(fn: Callable[[Decimal], Decimal], bits: int) -> tuple[int, ...]:
    """`fn` (a method of a frozen model, or a function) at 1025 points as integers."""
    steps = 1 << L.TABLE_BITS
    with localcontext(
        Context(prec=PRECISION, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])
    ):
        points = [fn(Decimal(i) / steps) * (1 << bits) for i in range(steps + 1)]
        return tuple(int(point.to_integral_value(ROUND_HALF_EVEN)) for point in points)
