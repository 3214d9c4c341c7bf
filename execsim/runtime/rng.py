"""Randomness of a run: named streams of 64-bit integers, the same numbers in every process and on every machine.

PCG64 seeded by `SeedSequence(seed, spawn_key=sha256(name))`: NumPy promises both never to change (NEP 19), and neither
uses floats. A stream depends on the run's seed and its own name only, never on who asked first.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from execsim.core.errors import ConfigError

BUFFER: Final = 256
"""Integers made at once: one call of NumPy costs as much as 20 of its integers."""

RAW_END: Final = 2**64
"""A raw draw lies in [0, RAW_END)."""


class Stream:
    """One named stream; the port `ports.Rng`."""

    __slots__ = ("_bits", "_buffer", "name")

    def __init__(self, seed: int, name: str) -> None:
        digest = sha256(name.encode()).digest()
        key = tuple(int.from_bytes(digest[i : i + 4], "big") for i in range(0, len(digest), 4))
        self.name = name
        self._bits = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key))
        self._buffer: list[int] = []
        """the next draws, last one first"""

    def raw(self) -> int:
        """Next unsigned 64-bit integer."""
        if not self._buffer:
            self._buffer = self._bits.random_raw(BUFFER).tolist()
            self._buffer.reverse()
        return self._buffer.pop()

    def raws(self, n: int) -> NDArray[Any]:
        """The next n draws as a uint64 array: the numbers n calls of `raw` would give, in that order."""
        held = self._buffer[-n:][::-1] if n > 0 else []
        del self._buffer[len(self._buffer) - len(held) :]
        fresh = self._bits.random_raw(n - len(held)) if n > len(held) else np.empty(0, np.uint64)
        return np.concatenate((np.array(held, np.uint64), fresh))

    def below(self, n: int) -> int:
        """Uniform integer in [0, n), unbiased: draws past the last whole multiple of n are thrown away.

        Errors: ConfigError unless 1 <= n <= 2**64.
        """
        if not 1 <= n <= RAW_END:
            raise ConfigError(f"below({n}) on stream {self.name!r}", "n must be between 1 and 2**64")
        end = RAW_END - RAW_END % n
        while (raw := self.raw()) >= end:
            pass
        return raw % n


class Streams:
    """The streams of one run. Errors: ConfigError when the seed is no integer >= 0."""

    __slots__ = ("_streams", "seed")

    def __init__(self, seed: int) -> None:
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise ConfigError(f"seed {seed!r}", "a seed is an integer >= 0")
        self.seed = seed
        self._streams: dict[str, Stream] = {}

    def stream(self, name: str) -> Stream:
        """The stream of that name; the same object for the same name."""
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = Stream(self.seed, name)
        return stream
