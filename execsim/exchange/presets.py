"""Whole sets of latencies by name, from what nobody has to what nobody wants.

Medians in ms; `bursts` keeps each leg's delay correlated, `spikes` says how many of a thousand steps are how much slower:

| preset      | feed | place | batch | cancel | amend | query | answer | spikes     |
|-------------|------|-------|-------|--------|-------|-------|--------|------------|
| idealized   |    0 |     0 |     0 |      0 |     0 |     0 |      0 | none       |
| colocated   |    2 |     4 |     6 |      3 |     4 |     3 |      2 | 1 of 1000, 10 times |
| realistic   |   10 |    40 |    50 |     30 |    40 |    30 |     15 | 5 of 1000, 10 times |
| retail      |  100 |   160 |   180 |    150 |   160 |   150 |    110 | 10 of 1000, 10 times |
| congested   |   60 |   250 |   350 |    250 |   250 |   200 |    150 | 20 of 1000, 8 times |
| adversarial |  250 |   600 |   800 |   1000 |  1000 |   500 |    400 | 50 of 1000, 5 times |

None of them was fitted to measurements of one venue's order path: nobody publishes any for the venues here. Each docstring
says what is known and what is assumed. Measure your own path and use `measured` instead (docs/latency.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from execsim.core.errors import ConfigError
from execsim.core.request import RequestKind
from execsim.exchange.bursts import BurstLatency
from execsim.exchange.latency import LatencyModel

MS: Final = 1_000_000
DEFAULT: Final = "realistic"


def idealized() -> LatencyModel:
    """Everything arrives the instant it is sent. For comparing with simulators that know no latency, and for finding out
    what latency costs a strategy; no result of it can be had."""
    return LatencyModel(about="unrealistic: preset idealized, nothing takes time")


def colocated() -> LatencyModel:
    """A server in the venue's own cloud region, a connection kept open, nothing else on the machine.

    Known: Polymarket's documentation names eu-west-2 (London) as its primary servers, open to order entry only after a
    review of the applicant (docs.polymarket.com, geoblock page; py-sdk issue 195). From Amsterdam a plain GET of the CLOB
    host had its first byte after 6 ms at the median (dev.to/bluewhale-quant-lab, 2026), the content network's share
    included. Assumed: some ms of the venue's own work on an order, in the entry leg.
    """
    return _set(feed=2, place=4, batch=6, cancel=3, query=3, answer=2, sigma="0.4", phi="0.8", spikes=(1, 10))


def realistic() -> LatencyModel:
    """The default: a rented server in a neighbouring region, HTTPS through a content network, a program in Python.

    Known: round trips to the CLOB host are 9 ms (Frankfurt) to 88 ms (US East) before the venue does anything (same
    measurement as in `colocated`); orders are posted over HTTPS, where calls of more than 500 to 700 ms happen
    (clob-client issue 244). Assumed: 30 ms of our own and the venue's work (signing alone is 0.4 to 5 ms in Python), bursts
    of about a second, and one step of 200 ten times as slow. A cancel carries no signature to check: a little faster.
    """
    return _set(feed=10, place=40, batch=50, cancel=30, query=30, answer=15, sigma="0.5", phi="0.9", spikes=(5, 10))


def retail() -> LatencyModel:
    """A home connection on another continent.

    Known: one recorder's round trip to Polymarket was 183 ms, and its book messages arrived 338 to 667 ms after their
    timestamps (scenarios/data, polymarket_ws_pranay_excerpt; both clocks' errors included). A bot trading real money from a
    machine in UTC+8 logged 2 of its roughly 116 order posts above 2.2 s, 2.45 and 2.47 s (github.com/Chihen-Tai/
    polymarket_bot_for_5_min_btc, 28 March 2026; its log holds only calls above 2.2 s, so its median is unknown). Assumed:
    everything in between.
    """
    return _set(
        feed=100, place=160, batch=180, cancel=150, query=150, answer=110, sigma="0.5", phi="0.9", spikes=(10, 10)
    )


def congested() -> LatencyModel:
    """The venue under load: news, or the last minute of a five-minute market.

    Known: users report failing and slow posts just then (py-clob-client issue 331), posts timing out after 5 s although
    they matched (issue 273), and over 40 s until a fill was confirmed (issue 261). Those are outages as much as latency:
    this preset only makes everything slow for seconds at a time; `faults` do the rest. Assumed: all numbers.
    """
    return _set(
        feed=60, place=250, batch=350, cancel=250, query=200, answer=150, sigma="0.7", phi="0.97", spikes=(20, 8)
    )  # fmt: skip


def adversarial() -> LatencyModel:
    """Worse than any path we know, on purpose: cancels are slowest, and requests overtake one another.

    Assumed throughout. A strategy whose profit survives this does not depend on being fast; one that loses it here may
    still be fine in reality.
    """
    slow = _set(
        feed=250, place=600, batch=800, cancel=1_000, amend=1_000, query=500, answer=400, sigma="0.7", phi="0.98",
        spikes=(50, 5),
    )  # fmt: skip
    about = "unrealistic: preset adversarial, slower than any path we know, on purpose"
    return LatencyModel(slow.feed, slow.entry, slow.response, slow.kinds, ordered=False, about=about)


PRESETS: Final[Mapping[str, Callable[[], LatencyModel]]] = {
    "idealized": idealized,
    "colocated": colocated,
    "realistic": realistic,
    "retail": retail,
    "congested": congested,
    "adversarial": adversarial,
}
"""From best to worst."""


@lru_cache(maxsize=len(PRESETS))
def preset(name: str) -> LatencyModel:
    """The preset of that name. Errors: ConfigError naming those there are."""
    if name not in PRESETS:
        raise ConfigError(f"no latency preset {name!r}", f"known: {', '.join(PRESETS)}")
    return PRESETS[name]()


def _set(
    feed: int, place: int, batch: int, cancel: int, query: int, answer: int, sigma: str, phi: str,
    spikes: tuple[int, int], amend: int | None = None,
) -> LatencyModel:  # fmt: skip
    """Bursts of these medians (ms) on every leg and for every kind, each of its own randomness."""

    def bursts(ms: int) -> BurstLatency:
        return BurstLatency(ms * MS, sigma, phi, spike_per_mille=spikes[0], spike_factor=spikes[1])

    kinds = {
        RequestKind.BATCH: bursts(batch),
        RequestKind.CANCEL: bursts(cancel),
        RequestKind.AMEND: bursts(place if amend is None else amend),
        RequestKind.QUERY: bursts(query),
    }
    return LatencyModel(bursts(feed), bursts(place), bursts(answer), kinds)
