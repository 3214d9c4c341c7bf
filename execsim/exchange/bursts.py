"""Delays that stay bad for a while: an AR(1) process on the logarithm of the delay, in integers, with spikes.

    z(t+1) = phi x z(t) + sqrt(1 - phi**2) x normal         once every `step_ns` of time
    delay  = median x exp(sigma x z)  (x spike_factor, in a step with a spike)

The process runs in time, not in messages: congestion lasts for seconds whether we send a thousand messages meanwhile or
one. All messages of one step have one delay, so a busy connection keeps its order without piling delays up.

Integers throughout: z in units of 6 / 2**40, cut at 6; its innovations from a quantile table of the normal distribution;
exp from a table of 1025 delays made with `decimal`, linear between them. The stationary deviation of the log is sigma up
to 2 % (the normal table ends at one in 2048).
Source: Box, Jenkins and Reinsel, Time Series Analysis, 3.2 (first-order autoregressive process). That delays of one path
are correlated over seconds: Bolot, End-to-end packet delay and loss behavior in the Internet, SIGCOMM 1993.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from functools import lru_cache
from typing import Any, Final

import numpy as np

from execsim.core.errors import ConfigError
from execsim.core.quantile import PRECISION, QUANTILE_MAX, SIGMA_MAX, QuantileTable, normal_quantiles
from execsim.core.units import decimal_of
from execsim.exchange.delays import shown
from execsim.ports import Rng

PHI_BITS: Final = 20
Z_BITS: Final = 40
"""z is a multiple of Z_MAX / 2**40."""
Z_MAX: Final = 6
"""Where z is cut: beyond that lies one in 5 x 10**8 steps."""
PHI_MAX: Final = Decimal("0.999")
FORGOTTEN_BITS: Final = 10
"""After a pause in which phi**steps falls below 2**-10 the next z is drawn afresh: it no longer depends on the last."""

_TABLE_K: Final = 10
_LIMIT: Final = 2**Z_BITS
_CONTEXT: Final = Context(prec=PRECISION, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class BurstLatency:
    """Lognormal delays of the given median and sigma that are correlated in time, and now and then a spike.

    `phi`: correlation of the log of one step's delay with the next's; 1 / (1 - phi) steps is how long a burst lasts.
    `spike_per_mille`: of the steps, how many multiply the delay by `spike_factor`.
    Errors: ConfigError for parameters out of range.
    """

    median_ns: int
    sigma: str = "0.4"
    phi: str = "0.9"
    step_ns: int = 100_000_000
    spike_per_mille: int = 0
    spike_factor: int = 10
    innovations: QuantileTable = field(init=False, repr=False, compare=False)
    stationary: QuantileTable = field(init=False, repr=False, compare=False)
    delays: QuantileTable = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        sigma, phi = decimal_of(self.sigma, "sigma"), decimal_of(self.phi, "phi")
        what = f"bursts of median {self.median_ns} ns, sigma {sigma}, phi {phi}, step {self.step_ns} ns"
        if not (1 <= self.median_ns <= QUANTILE_MAX and 0 <= sigma <= SIGMA_MAX and self.step_ns >= 1):
            raise ConfigError(what, f"1 <= median <= {QUANTILE_MAX}, 0 <= sigma <= {SIGMA_MAX}, step >= 1")
        if not 0 <= phi <= PHI_MAX:
            raise ConfigError(what, f"0 <= phi <= {PHI_MAX}; for longer bursts make the step longer")
        if not (0 <= self.spike_per_mille <= 1_000 and 1 <= self.spike_factor <= 10_000):
            raise ConfigError(
                f"spikes in {self.spike_per_mille} of 1000 steps, {self.spike_factor} times the delay",
                "0 to 1000 of 1000, a factor of 1 to 10000",
            )
        object.__setattr__(self, "innovations", _normal_table(phi))
        object.__setattr__(self, "stationary", _normal_table(Decimal(0)))
        object.__setattr__(self, "delays", _delay_table(self.median_ns, sigma))

    @property
    def phi_fixed(self) -> int:
        """phi in units of 2**-20."""
        return int((decimal_of(self.phi, "phi") * 2**PHI_BITS).to_integral_value(ROUND_HALF_EVEN))

    @property
    def memory_steps(self) -> int:
        """Steps after which phi**steps is below 2**-10."""
        steps, left = 0, 2 ** (2 * PHI_BITS)
        while left >> (2 * PHI_BITS - FORGOTTEN_BITS):
            left = left * self.phi_fixed >> PHI_BITS
            steps += 1
        return steps

    def sampler(self, rng: Rng) -> BurstSampler:
        return BurstSampler(self, rng)

    @property
    def about(self) -> str:
        spikes = ""
        if self.spike_per_mille:
            spikes = f", {self.spike_per_mille} of 1000 steps {self.spike_factor} times as slow"
        every = f"phi {self.phi} every {shown(self.step_ns)}"
        return f"bursts, median {shown(self.median_ns)}, sigma {self.sigma}, {every}{spikes}"


class BurstSampler:
    """The state of one process. A step costs a table draw in Python, whatever the number of messages in it."""

    __slots__ = ("_delay_ns", "_memory", "_model", "_phi", "_rng", "_step", "_z")

    def __init__(self, model: BurstLatency, rng: Rng) -> None:
        self._model = model
        self._rng = rng
        self._phi = model.phi_fixed
        self._memory = model.memory_steps
        self._step: int | None = None
        self._z = 0
        self._delay_ns = 0

    def next(self, now_ns: int) -> int:
        step = now_ns // self._model.step_ns
        if self._step is None or step > self._step:
            self._advance(step)
        return self._delay_ns

    def many(self, times_ns: Any) -> Any:
        if not len(times_ns):
            return np.empty(0, np.int64)
        steps = np.maximum.accumulate(times_ns // self._model.step_ns)
        opens = np.flatnonzero(np.diff(steps, prepend=steps[0] - 1))
        starts = times_ns[opens].tolist()
        delays = np.fromiter((self.next(now_ns) for now_ns in starts), np.int64, len(starts))
        return np.repeat(delays, np.diff(opens, append=len(steps)))

    def _advance(self, step: int) -> None:
        model, raw = self._model, self._rng.raw
        if self._step is None or step - self._step >= self._memory:
            self._z = model.stationary.draw(raw())
        else:
            draw, phi, z = model.innovations.draw, self._phi, self._z
            for _ in range(step - self._step):
                z = (phi * z >> PHI_BITS) + draw(raw())
            self._z = min(max(z, -_LIMIT), _LIMIT - 1)
        self._step = step
        self._delay_ns = model.delays.draw((self._z + _LIMIT) << (63 - Z_BITS))
        if model.spike_per_mille and raw() * 1_000 >> 64 < model.spike_per_mille:
            self._delay_ns = min(self._delay_ns * model.spike_factor, QUANTILE_MAX)


@lru_cache(maxsize=64)
def _normal_table(phi: Decimal) -> QuantileTable:
    """Innovations sqrt(1 - phi**2) x normal, in units of z."""
    upper = normal_quantiles(_TABLE_K)
    with localcontext(_CONTEXT):
        unit = (1 - phi * phi).sqrt() * _LIMIT / Z_MAX
        above = [int((z * unit).to_integral_value(ROUND_HALF_EVEN)) for z in upper]
    return QuantileTable([*(-value for value in reversed(above[1:])), *above])


@lru_cache(maxsize=64)
def _delay_table(median_ns: int, sigma: Decimal) -> QuantileTable:
    """median x exp(sigma x z) at 1025 places of z from -6 to 6: rising, so a quantile table looks it up."""
    half = 2 ** (_TABLE_K - 1)
    with localcontext(_CONTEXT):
        factors = ((sigma * Z_MAX * i / half).exp() for i in range(-half, half + 1))
        delays = [int(min(median_ns * factor, QUANTILE_MAX).to_integral_value(ROUND_HALF_EVEN)) for factor in factors]
    return QuantileTable(delays)
