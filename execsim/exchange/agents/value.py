"""What a market is really worth, known to informed traders only: a jump process in whole ticks."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from execsim.core.errors import ConfigError
from execsim.core.quantile import QuantileTable, exponential_quantiles
from execsim.core.units import NS_PER_MS, NS_PER_S
from execsim.exchange.agents.arrivals import Arrivals, arrivals_of
from execsim.ports import Rng, Runtime


@dataclass(frozen=True, slots=True)
class ValueModel:
    """News arrives `per_s` and moves the value up or down alike by 1 + an exponential number of ticks.

    Arrivals are Poisson, or with `branching` Hawkes: news brings news, and volatility clusters. `jump_ticks` sets the size
    of a move. Reflected at the bounds, so it stays tradable and is a martingale away from them.
    Source: the exogenous value of Glosten and Milgrom 1985; news in jumps: Merton 1976; jumps that excite each other:
    Ait-Sahalia, Cacho-Diaz, Laeven 2015.
    """

    per_s: Decimal
    jump_ticks: int
    branching: Decimal = Decimal(0)
    half_life_ns: int = 20 * NS_PER_S
    arrivals: Arrivals = field(init=False, repr=False, compare=False)
    sizes: QuantileTable = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.jump_ticks < 1:
            raise ConfigError(f"a mean jump of {self.jump_ticks} ticks", "at least 1")
        half_life_ms = Decimal(self.half_life_ns) / NS_PER_MS
        object.__setattr__(self, "arrivals", arrivals_of(self.per_s, self.branching, half_life_ms))
        object.__setattr__(self, "sizes", QuantileTable(exponential_quantiles(self.jump_ticks * 1024)))

    def jump(self, rng: Rng) -> int:
        """Ticks of one move, signed."""
        ticks = 1 + (self.sizes.draw(rng.raw()) >> 10) if self.jump_ticks > 1 else 1
        return ticks if rng.below(2) else -ticks


class Value:
    """The value of one market as time goes on; `price_i` is what it is now."""

    def __init__(self, model: ValueModel, price_i: int, tick_i: int, low_i: int, high_i: int | None) -> None:
        self.price_i = price_i
        self._model = model
        self._tick_i = tick_i
        self._low_i = low_i
        self._high_i = high_i

    async def run(self, runtime: Runtime, rng: Rng) -> None:
        for wait_ns in self._model.arrivals.waits(rng):
            await runtime.sleep(wait_ns)
            self.move(self._model.jump(rng))

    def move(self, ticks: int) -> None:
        """Move and reflect at the bounds (once: a jump beyond the far bound ends at it)."""
        price_i = self.price_i + ticks * self._tick_i
        price_i = max(price_i, 2 * self._low_i - price_i)
        if self._high_i is not None:
            price_i = max(self._low_i, min(price_i, 2 * self._high_i - price_i))
        self.price_i = price_i
