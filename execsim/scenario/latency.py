"""The latencies of a venue in a scenario file, and the models they stand for.

    [venues.polymarket]
    latency = "realistic"                                              # a whole set by name, and or instead single legs:
    entry = { model = "gamma", ms = 40, shape = 2, floor_ms = 15 }
    cancel = { model = "empirical", file = "cancels.csv", column = "ms" }

A leg or kind that is named replaces that of the set; naming `entry` replaces the set's latencies of every kind of request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, get_args

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from execsim.core.errors import ConfigError
from execsim.core.request import RequestKind
from execsim.core.units import plain
from execsim.exchange.bursts import BurstLatency
from execsim.exchange.delays import ConstantLatency, GammaLatency, LognormalLatency, UniformLatency
from execsim.exchange.latency import UNREALISTIC, LatencyModel
from execsim.exchange.latency import Latency as LatencyKind
from execsim.exchange.measured import NPZ_FIELDS, InterpolatedLatency, RoundTrips, read_round_trips, read_sample
from execsim.exchange.presets import preset
from execsim.scenario.section import Number, Section

NS_PER_MS: Final = 1_000_000
COVERED_MIN: Final = Decimal("0.99")
"""Share of the run a recording must cover, else the summary names it."""

Millis = Annotated[Number, Field(ge=0, le=3_600_000)]


class Constant(Section):
    """The same each time. Named as unrealistic in the summary."""

    model: Literal["constant"] = "constant"
    ms: Millis


class Uniform(Section):
    """Anything between two bounds. Named as unrealistic in the summary."""

    model: Literal["uniform"] = "uniform"
    ms_min: Millis
    ms_max: Millis


class Lognormal(Section):
    """Independent, skewed to the right: the usual first model."""

    model: Literal["lognormal"] = "lognormal"
    ms: Millis = Field(Decimal(50), description="median")
    sigma: Number = Field(Decimal("0.4"), gt=0, le=3, description="deviation of the logarithm")


class Gamma(Section):
    """Independent: a least delay and queueing on top of it."""

    model: Literal["gamma"] = "gamma"
    ms: Millis = Field(description="mean, the floor included")
    shape: Number = Field(Decimal(2), ge=Decimal("0.05"), le=1_000, description="1: exponential; larger: steadier")
    floor_ms: Millis = Decimal(0)


class Bursts(Section):
    """Lognormal, correlated in time: what is slow stays slow for 1 / (1 - phi) steps; now and then a spike."""

    model: Literal["bursts"] = "bursts"
    ms: Millis = Field(description="median")
    sigma: Number = Field(Decimal("0.4"), ge=0, le=3, description="deviation of the logarithm")
    phi: Number = Field(Decimal("0.9"), ge=0, le=Decimal("0.999"), description="correlation of one step with the next")
    step_ms: Number = Field(Decimal(100), ge=Decimal("0.001"), le=3_600_000)
    spike_per_mille: int = Field(0, ge=0, le=1_000, description="steps of a thousand that are slower")
    spike_factor: int = Field(10, ge=1, le=10_000, description="by how much")


class Empirical(Section):
    """Drawn from measured times: one column of a CSV or parquet file."""

    model: Literal["empirical"] = "empirical"
    file: str
    column: str = Field(description="the column with the times")
    unit: Literal["ns", "us", "ms", "s"] = "ms"


class Interpolated(Section):
    """Followed through time from recorded requests: CSV, parquet, or hftbacktest's order-latency npz."""

    model: Literal["interpolated"] = "interpolated"
    file: str
    columns: tuple[str, str, str] = Field(NPZ_FIELDS, description="times of request, venue and response")
    unit: Literal["guess", "iso", "ns", "us", "ms", "s"] = Field("guess", description="of the times; npz: always ns")
    venue_shift_ms: Number = Field(Decimal(0), description="added to venue times, to undo a difference of the clocks")
    from_start: bool = Field(False, description="replay the recording as if it began when the run begins")


def _model_of(value: Any) -> Any:
    return value.get("model", "lognormal") if isinstance(value, Mapping) else value.model


def _known(value: object) -> object:
    """Errors: ValueError saying what a leg is, before any of its keys is looked at."""
    if isinstance(value, Section):
        return value
    if not isinstance(value, Mapping):
        raise ValueError('a latency is a table, e.g. { model = "lognormal", ms = 40, sigma = 0.4 }')
    name = value.get("model", "lognormal")
    if not isinstance(name, str) or name not in MODELS:
        raise ValueError(f"no latency model {name!r}; known: {', '.join(MODELS)}")
    return value


Leg = Annotated[
    Annotated[Constant, Tag("constant")]
    | Annotated[Uniform, Tag("uniform")]
    | Annotated[Lognormal, Tag("lognormal")]
    | Annotated[Gamma, Tag("gamma")]
    | Annotated[Bursts, Tag("bursts")]
    | Annotated[Empirical, Tag("empirical")]
    | Annotated[Interpolated, Tag("interpolated")],
    Discriminator(_model_of),
    BeforeValidator(_known),
]
"""One leg, told apart by `model` (lognormal where it is not said)."""

MODELS: Final[Mapping[str, type[Section]]] = {
    get_args(each)[1].tag: get_args(each)[0] for each in get_args(get_args(Leg)[0])
}
"""Name of a model -> its section."""

LEGS: Final = ("feed", "entry", "response")
KINDS: Final = tuple(str(kind) for kind in RequestKind if kind is not RequestKind.PLACE)
"""Requests that may have an entry latency of their own; placing an order is what `entry` stands for."""


class Latencies(Section):
    """How far away a venue is: a set by name, and single legs or kinds of request that replace the set's."""

    latency: Literal["idealized", "colocated", "realistic", "retail", "congested", "adversarial"] = Field(
        "realistic", description="a whole set of latencies, from best to worst (docs/latency.md)"
    )
    feed: Leg | None = Field(None, description="market data to us, on top of the recording's own receive times")
    entry: Leg | None = Field(None, description="our requests to the venue")
    response: Leg | None = Field(None, description="the venue's answers and reports to us")
    batch: Leg | None = Field(None, description="entry of batches; likewise cancel, amend, query, tokens")
    cancel: Leg | None = None
    amend: Leg | None = None
    query: Leg | None = None
    tokens: Leg | None = None
    ordered: bool | None = Field(None, description="whether requests and answers keep their order; default: the set's")

    @model_validator(mode="after")
    def _a_recording_of_requests_has_no_feed(self) -> Latencies:
        if isinstance(self.feed, Interpolated):
            raise ValueError("feed: a recording of requests holds no market data; take another model for this leg")
        return self

    @property
    def named(self) -> dict[str, Section]:
        """The legs and kinds the scenario names itself."""
        found = {name: getattr(self, name) for name in (*LEGS, *KINDS)}
        return {name: leg for name, leg in found.items() if leg is not None}


def latency_model(
    item: Latencies, where: str, folder: Path = Path(), span_ns: tuple[int, int] = (0, 0)
) -> LatencyModel:
    """The model of a venue. `where`: its section, for messages; `folder`: what paths are relative to; `span_ns`: the run's
    first and last instant. Errors: ConfigError and DataError naming the key, or the file and row."""
    build = _Builder(folder, span_ns)
    legs = {name: build.leg(leg, name, f"{where}.{name}") for name, leg in item.named.items()}
    base = preset(item.latency)
    kinds = {} if "entry" in legs else dict(base.kinds)
    kinds.update({RequestKind(name): legs[name] for name in KINDS if name in legs})
    return LatencyModel(
        legs.get("feed", base.feed), legs.get("entry", base.entry), legs.get("response", base.response), kinds,
        base.ordered if item.ordered is None else item.ordered,
        "" if legs.keys() >= set(LEGS) else base.about,
    )  # fmt: skip


def unrealistic(item: Latencies, model: LatencyModel) -> list[str]:
    """What is unrealistic about a venue's latencies: its set if any leg comes from it, and each leg named one by one."""
    said = [f"latency is {model.about}"] if model.about.startswith(UNREALISTIC) else []
    used = {"feed": model.feed, "entry": model.entry, "response": model.response}
    used |= {str(kind): latency for kind, latency in model.kinds.items()}
    for name in item.named:
        if used[name].about.startswith(UNREALISTIC):
            said.append(f"{name} latency is {used[name].about}")
    return said


LatenciesT = TypeVar("LatenciesT", bound=Latencies)


def anchored_latencies(item: LatenciesT, at: Callable[[str], str]) -> LatenciesT:
    """The same with every path of a measured leg passed through `at`."""
    moved = {
        name: leg.model_copy(update={"file": at(leg.file)})
        for name, leg in item.named.items()
        if isinstance(leg, Empirical | Interpolated)
    }
    return item.model_copy(update=moved)


def replace_legs(raw: Any, keys: list[str]) -> None:
    """A set named on the command line (`venues.NAME.latency`) stands for all of it: drop the legs the file names."""
    if len(keys) == 3 and keys[0] == "venues" and keys[2] == "latency":
        for name in (*LEGS, *KINDS, "ordered"):
            raw["venues"][keys[1]].pop(name, None)


class _Builder:
    """Turns sections into models; a recording that several legs name is read once."""

    def __init__(self, folder: Path, span_ns: tuple[int, int]) -> None:
        self._folder = folder
        self._span_ns = span_ns
        self._trips: dict[Interpolated, RoundTrips] = {}

    def leg(self, leg: Section, name: str, where: str) -> LatencyKind:
        try:
            return self._leg(leg, name)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error.args[0]}", *error.args[1:]) from None

    def _leg(self, leg: Section, name: str) -> LatencyKind:
        match leg:
            case Constant():
                return ConstantLatency(_ns(leg.ms))
            case Uniform():
                return UniformLatency(_ns(leg.ms_min), _ns(leg.ms_max))
            case Lognormal():
                ns = _ns(leg.ms)
                return LognormalLatency(ns, str(leg.sigma)) if ns else ConstantLatency(0)
            case Gamma():
                return GammaLatency(_ns(leg.ms), str(leg.shape), _ns(leg.floor_ms))
            case Bursts():
                return BurstLatency(
                    _ns(leg.ms), str(leg.sigma), str(leg.phi), _ns(leg.step_ms), leg.spike_per_mille, leg.spike_factor
                )
            case Empirical():
                return read_sample(self._folder / leg.file, leg.column, leg.unit)
            case Interpolated():
                trips = self._recorded(leg)
                return self._covered(trips.response() if name == "response" else trips.entry())
        raise TypeError(leg)

    def _recorded(self, leg: Interpolated) -> RoundTrips:
        trips = self._trips.get(leg)
        if trips is None:
            trips = read_round_trips(self._folder / leg.file, leg.columns, leg.unit, _ns(leg.venue_shift_ms))
            if leg.from_start:
                trips = trips.moved_to(self._span_ns[0])
            self._trips[leg] = trips
        return trips

    def _covered(self, latency: InterpolatedLatency) -> InterpolatedLatency:
        """Errors: ConfigError when the recording and the run share no instant."""
        start, end = self._span_ns
        first, last = latency.times_ns[0], latency.times_ns[-1]
        if first > end or last < start:
            what = f"{latency.source} is of another time than the run ({first} to {last} ns, the run {start} to {end})"
            raise ConfigError(what, "set from_start = true to replay it from the run's start")
        share = Decimal(min(last, end) - max(first, start)) / max(1, end - start)
        if share >= COVERED_MIN:
            return latency
        said = f"it covers {plain(round(100 * share, 1))} % of the run, and its first and last delay hold beyond"
        return replace(latency, caveat="; ".join(filter(None, (latency.caveat, said))))


def _ns(ms: Decimal) -> int:
    """Whole ns of ms that may have decimals."""
    return int(ms * NS_PER_MS)
