"""How long messages take: feed, entry and response apart. A model is its parameters; delays are integers.

    LatencyModel ─ feed, entry (and per kind of request), response: each a `Latency`
        Latency.sampler(rng) ─▶ Sampler.next(now_ns) ─▶ delay in ns     (state and randomness live in the sampler)
            Leg ─ one direction of one connection: the sampler, the order of messages, the counts for the summary

Randomness comes from named streams through tables made with `decimal` (core.quantile), so the same seed gives the same
nanoseconds on every machine. The models: `delays` (parametric), `measured` (from your own files), `bursts` (correlated),
`presets` (whole sets by name). docs/latency.md says which to take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from execsim.core.request import RequestKind
from execsim.exchange.delays import ConstantLatency
from execsim.ports import Rng

UNREALISTIC: Final = "unrealistic"
"""How `about` starts where no real path is like that: the summary of a run then names it."""


class Sampler(Protocol):
    """One run's delays of one model, in ns, >= 0. Times given to one sampler do not decrease."""

    def next(self, now_ns: int) -> int:
        """The delay of a message sent now."""

    def many(self, times_ns: Any) -> Any:
        """The delays of messages sent at these times: the numbers as many calls of `next` would give.

        Shape: int64 array (n,) in, int64 array (n,) out.
        """


class Latency(Protocol):
    """A model of delays: frozen, comparable, and nothing but its parameters."""

    def sampler(self, rng: Rng) -> Sampler:
        """Delays drawn from this stream; each call starts a sampler of its own."""

    @property
    def about(self) -> str:
        """The model in a few words, for summaries; starts with "unrealistic" where no real path is like that."""


@dataclass(frozen=True, slots=True)
class LatencyModel:
    """The three legs: market data to us, our requests to the venue, its answers back.

    `kinds` holds the entry latency of request kinds that have one of their own; all others take `entry`. `ordered`:
    requests arrive in the order they were sent, and answers too, as on one connection; False lets them overtake one
    another, as on a pool of connections (the venue's own events and market data stay in order: each is one stream).
    `about` says what the whole is where it has a name, and starts with "unrealistic" like that of a leg.
    """

    feed: Latency = field(default_factory=ConstantLatency)
    entry: Latency = field(default_factory=ConstantLatency)
    response: Latency = field(default_factory=ConstantLatency)
    kinds: Mapping[RequestKind, Latency] = field(default_factory=dict)
    ordered: bool = True
    about: str = ""

    def entry_leg(self, rng: Callable[[str], Rng], name: str) -> Leg:
        """Our requests over the connection of that name. A kind with a latency of its own has a stream of its own."""
        kinds = {kind: each.sampler(rng(f"{name}.entry.{kind}")) for kind, each in self.kinds.items()}
        return Leg(self.entry, rng(f"{name}.entry"), kinds, self.ordered)

    def response_leg(self, rng: Callable[[str], Rng], name: str) -> Leg:
        """What the venue tells us over it."""
        return Leg(self.response, rng(f"{name}.response"), ordered=self.ordered)


class Leg:
    """One direction of one connection: draws delays, keeps what is sent in order, counts for the summary."""

    def __init__(
        self, latency: Latency, rng: Rng, kinds: Mapping[RequestKind, Sampler] | None = None, ordered: bool = True
    ) -> None:
        self._sampler = latency.sampler(rng)
        self._kinds = dict(kinds or {})
        self._ordered = ordered
        self._last_ns = 0
        self.drawn = LatencyStats()

    def arrival_ns(self, now_ns: int, kind: RequestKind = RequestKind.PLACE, stream: bool = False) -> int:
        """When a message sent now arrives: on an ordered leg never before one sent earlier.

        `stream`: an event of the venue's own stream, which keeps its order on a leg that is not ordered too.
        """
        arrival_ns = now_ns + self._kinds.get(kind, self._sampler).next(now_ns)
        if self._ordered or stream:
            self._last_ns = arrival_ns = max(self._last_ns, arrival_ns)
        self.drawn.add(arrival_ns - now_ns)
        return arrival_ns


class LatencyStats:
    """p50, p99 and max of delays in constant memory: counts in buckets of 1/64 of a power of two (error below 1.6 %)."""

    SUB_BITS = 6

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.count = 0
        self.max_ns = 0

    def add(self, ns: int, count: int = 1) -> None:
        shift = max(0, ns.bit_length() - self.SUB_BITS - 1)
        bucket = (shift << (self.SUB_BITS + 1)) + (ns >> shift)
        self._counts[bucket] = self._counts.get(bucket, 0) + count
        self.count += count
        self.max_ns = max(self.max_ns, ns)

    @classmethod
    def merged(cls, several: Iterable[LatencyStats]) -> LatencyStats:
        """The counts of several together."""
        total = cls()
        for stats in several:
            for bucket, count in stats._counts.items():
                total._counts[bucket] = total._counts.get(bucket, 0) + count
            total.count += stats.count
            total.max_ns = max(total.max_ns, stats.max_ns)
        return total

    def quantile(self, per_mille: int) -> int:
        """Upper edge of the bucket that holds the quantile (at most the maximum); 0 when nothing was counted."""
        rank, seen = -(-self.count * per_mille // 1000), 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= rank:
                shift, mantissa = bucket >> (self.SUB_BITS + 1), bucket & ((1 << (self.SUB_BITS + 1)) - 1)
                return min(self.max_ns, ((mantissa + 1) << shift) - 1)
        return 0

    def summary(self) -> dict[str, int]:
        return {"p50": self.quantile(500), "p99": self.quantile(990), "max": self.max_ns}
