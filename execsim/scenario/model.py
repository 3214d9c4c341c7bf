"""What a scenario file may say. TOML in, checked values out; unknown keys are refused, every default is visible.

`execsim show SCENARIO` prints a scenario with all defaults filled in: that output is itself a scenario file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, get_args

from pydantic import AfterValidator, BeforeValidator, Field, Tag, ValidationError, model_validator

from execsim.core.errors import ConfigError
from execsim.core.units import NS_PER_MS
from execsim.scenario.agents import AgentsSection
from execsim.scenario.calls import Calls
from execsim.scenario.latency import Latencies, anchored_latencies, replace_legs
from execsim.scenario.limits import Limits
from execsim.scenario.section import Amount, Number, Section
from execsim.scenario.venue import Fault, NegRiskEvent, Resolution, Settlement, read_faults


def _ordered(bounds: tuple[Decimal, Decimal]) -> tuple[Decimal, Decimal]:
    low, high = bounds
    if not 0 < low <= high:
        raise ValueError(f"bounds {low} and {high}: write [smallest, largest], both positive")
    return bounds


Recording = TypeVar("Recording", bound="Data")

Bounds = Annotated[tuple[Number, Number], AfterValidator(_ordered)]

START_MIN: Final = datetime(1970, 1, 1, tzinfo=UTC)
START_MAX: Final = datetime(2200, 1, 1, tzinfo=UTC)
"""Where a recording may be moved to: times are 64-bit nanoseconds since 1970, which end in 2262."""


class Data(Section):
    """A recording as it came (`sources`), a finished `tape`, or `synthetic` rows. Paths are relative to the file."""

    sources: list[str] = []
    format: str | None = Field(None, description="importer; guessed from the file if not named")
    options: dict[str, Any] = {}
    tape: str | None = Field(None, description="directory made by `execsim data import`")
    synthetic_rows: int | None = Field(None, ge=200, description="make a market of this many rows from the run's seed")
    start_at: datetime | None = Field(None, description="replay it as if it began then, to put recordings side by side")

    @model_validator(mode="after")
    def _one_origin(self) -> Data:
        given = [bool(self.sources), self.tape is not None, self.synthetic_rows is not None]
        if sum(given) != 1:
            raise ValueError("name exactly one of sources, tape, synthetic_rows")
        if self.start_at is not None and self.start_at.tzinfo is None:
            raise ValueError("start_at needs a time zone, e.g. 2026-04-15T14:25:00Z")
        if self.start_at is not None and not START_MIN <= self.start_at < START_MAX:
            raise ValueError(f"start_at {self.start_at.isoformat()} is not between 1970 and 2200")
        return self


class Resolve(Section):
    """How a market paid out, where the recording does not say."""

    payoff: Number = Field(ge=0, le=1, description="what a YES share pays")
    after_s: Number = Field(Decimal(0), ge=0, description="seconds after the market's last row")
    source: str = Field("", description="where the payoff comes from; printed with the results")


class Market(Section):
    """A market of the data under the name strategies use."""

    id: str = Field(min_length=1)
    venue: str
    market: str = Field(description="its id, slug or title on the tape")
    rules: dict[str, Any] = Field({}, description="overrides for the venue's instrument (fee_rate, ...)")
    resolve: Resolve | None = None


class Rewards(Section):
    """How a venue rewards resting orders in one market; estimated only, never in the PnL (docs/fees.md)."""

    pool_per_day: Number = Field(gt=0, description="what the market's makers share per UTC day, in its quote asset")
    max_spread: Number = Field(
        gt=0, lt=1, description="v: farthest scoring distance from the midpoint, as a price (0.035)"
    )
    size_min: Amount = Field(Decimal(0), description="least size of an order that scores")
    age_min_s: Number = Field(Decimal(0), ge=0, le=86_400, description="least seconds it must have rested to score")
    samples_per_day: int = Field(1_440, ge=1, le=1_440, description="minutes of the day in which the market is sampled")


class Venue(Latencies):
    """One simulated venue: how far away it is (its keys stand here, beside the others) and what the trader has there."""

    balances: dict[str, Amount] = Field({}, description="asset -> amount at the start")
    sets: dict[str, Amount] = Field({}, description="market id -> full sets (YES + NO) split from cash at the start")
    allowances: dict[str, Amount] = Field(
        {}, description="asset -> how much of it the venue may take in trades; not named: all of it"
    )
    taker_delay_ms: Amount = Field(Decimal(0), le=60_000, description="how long an order that would take has to wait")
    taker_delay_acks: bool = Field(False, description="true: it is acknowledged at once (sports), else after the wait")
    limits: Limits = Limits()
    settlement: Settlement = Settlement()
    resolution: Resolution = Resolution()
    rebates: bool = Field(False, description="estimate maker rebates, beside the PnL (docs/fees.md)")
    rewards: dict[str, Rewards] = Field({}, description="market id -> its liquidity rewards, estimated beside the PnL")


class Exchange(Section):
    """How resting orders queue, and how what we took from the book comes back (docs/queue.md)."""

    queue: Literal["risk_averse", "proportional", "power", "power2", "power3", "log", "log2", "fifo"] = "risk_averse"
    queue_exponent: Number = Field(Decimal(3), gt=0, le=100, description="n of the power models: f(x) = x ** n")
    refill: Literal["never", "refresh", "decay", "off"] = Field(
        "never",
        description="what we took from a level is there again: never, when a row touches it, by halves, at once",
    )
    refill_half_life_ms: Number = Field(
        Decimal(1_000),
        ge=Decimal("0.000001"),
        le=3_600_000,
        description="refill = decay: time after which half is back",
    )
    ungraded: Literal["flag", "refuse"] = Field(
        "flag",
        description="minutes of a recording graded C or F (docs/simulation.md): fills are counted, or none happen",
    )


class Tape(Section):
    inferred_trades: Literal["ignore", "through", "use"] = Field(
        "through", description="prints inferred from books: nothing, trade-through only, or draining queues too"
    )


class RateLimit(Section):
    per_s: Number = Field(gt=0)
    burst: int = Field(ge=1)
    shared: bool = Field(False, description="orders and cancels share this budget, cancels first")
    cancel_reserve: int = Field(0, ge=0, description="shared: tokens that orders never take")


class Engine(Section):
    enable_validation: bool = True
    enable_risk_checks: bool = True
    enable_metrics: bool = True
    size_min: Number = Field(Decimal("0.01"), gt=0)
    size_max: Number = Field(Decimal(1_000_000), gt=0)
    size_bounds: dict[str, Bounds] = Field({}, description="market or venue -> smallest, largest size")
    price_bounds: dict[str, Bounds] = Field({}, description="market or venue -> lowest, highest price")
    rate_limits: dict[str, RateLimit] = Field({}, description="venue -> our own limit; else the venue's preset")
    calls: Calls = Calls()
    orders_kept_max: int = Field(
        1_000_000, ge=1,
        description="ended orders kept in memory, here and at each venue; reports show these, the journal has all",
    )  # fmt: skip


class Risk(Section):
    file: str | None = Field(None, description="YAML, TOML or JSON with a `policies` list")
    policies: list[dict[str, Any]] = []
    kill_file: str | None = Field(None, description="once this file exists the engine is killed (`execsim kill`)")
    watch_s: Number = Field(
        Decimal(1), gt=0, description="seconds of the run between two looks at losses, stale data and kill_file"
    )


class Profile(Data):
    """A recording whose trades give a volume profile, by time bucket. Paths are relative to the file."""

    market: str = Field(description="its id, slug or title on the tape")
    buckets: int = Field(10, ge=1, le=10_000, description="equal parts of the recording's span")
    inferred: bool = Field(True, description="count prints inferred from books too")


class Strategy(Section):
    """A shipped strategy by `name`, or a Python `file` with `async def run(ctx)`; `orders` is a script to replay."""

    name: str | None = None
    file: str | None = None
    orders: str | None = None
    markets: list[str] = Field([], description="markets it trades; empty: all")
    params: dict[str, Any] = {}
    profile: Profile | None = Field(None, description="where vwap's weights come from, if params has none")

    @model_validator(mode="after")
    def _one_origin(self) -> Strategy:
        if sum(x is not None for x in (self.name, self.file, self.orders)) != 1:
            raise ValueError("name exactly one of name, file, orders")
        if self.profile is not None and "weights" in self.params:
            raise ValueError("profile and params.weights are both given: name one")
        return self


class Paper(Section):
    """How `--paper` plays the venue's side (docs/paper.md)."""

    hold_ms: Number = Field(
        Decimal(500),
        ge=0,
        le=5_000,
        description="how far the simulated exchange is behind live data: rows have so long",
    )

    @property
    def hold_ns(self) -> int:
        return int(self.hold_ms * NS_PER_MS)


class Journal(Section):
    mode: Literal["full", "batched", "off"] = "batched"


class Scenario(Section):
    """A whole run."""

    title: str = ""
    seed: int = Field(7, ge=0)
    data: list[Data] = Field([], description="recordings; none where `agents` make the market, or it is live")
    agents: AgentsSection | None = None
    markets: list[Market] = Field(min_length=1)
    venues: dict[str, Venue] = {}
    exchange: Exchange = Exchange()
    tape: Tape = Tape()
    events: list[NegRiskEvent] = []
    faults: Annotated[list[Fault], BeforeValidator(read_faults)] = Field(
        [], description="names, or tables with a schedule"
    )
    engine: Engine = Engine()
    risk: Risk = Risk()
    strategy: Strategy
    journal: Journal = Journal()
    paper: Paper = Paper()
    notes: list[str] = Field([], description="assumptions a reader of the results must know")

    @model_validator(mode="after")
    def _one_origin(self) -> Scenario:
        if self.data and self.agents is not None:
            raise ValueError("name either data (recordings) or agents (a market they make)")
        if self.agents is not None and len(self.markets) != 1:
            raise ValueError(f"agents make one market, the scenario names {len(self.markets)}")
        if self.agents is not None and self.markets[0].resolve is not None:
            raise ValueError("markets.0.resolve: a market of agents resolves by agents.resolve")
        return self

    @model_validator(mode="after")
    def _names_agree(self) -> Scenario:
        ids = [market.id for market in self.markets]
        for name in ids:
            if ids.count(name) > 1:
                raise ValueError(f"market id {name!r} is used twice")
        known = {market.venue for market in self.markets}
        for venue in self.venues:
            if venue not in known:
                raise ValueError(f"venues.{venue} has no market; markets are on: {', '.join(sorted(known))}")
        for fault in self.faults:
            if fault.venue is not None and fault.venue not in known:
                raise ValueError(f"faults: {fault.venue!r} is no venue; known: {', '.join(sorted(known))}")
        for market in self.strategy.markets:
            if market not in ids:
                raise ValueError(f"strategy.markets: {market!r} is not a market id; known: {', '.join(ids)}")
        bounded = {"size_bounds": self.engine.size_bounds, "price_bounds": self.engine.price_bounds}
        places = [*ids, *sorted(known)]
        for section, bounds in bounded.items():
            for name in bounds:
                if name not in places:
                    raise ValueError(f"engine.{section}: {name!r} is no market or venue; known: {', '.join(places)}")
        for name in self.engine.rate_limits:
            if name not in known:
                raise ValueError(f"engine.rate_limits: {name!r} is no venue; known: {', '.join(sorted(known))}")
        return self


def locate(name: str | Path) -> Path:
    """The scenario file: the path itself, with .toml added, or scenario.toml inside a folder. Errors: ConfigError."""
    path = Path(name)
    candidates = [path, path / "scenario.toml"]
    if path.name:
        candidates.insert(1, path.with_name(path.name + ".toml"))
    try:
        found = next((candidate for candidate in candidates if candidate.is_file()), None)
    except OSError as error:
        raise ConfigError(
            f"no scenario {str(name)[:200]!r}: {error.strerror}", "give the path of a TOML file"
        ) from None
    if found is None:
        known = ", ".join(str(scenario) for scenario in _scenarios_near(path)[:12])
        raise ConfigError(
            f"no scenario {str(name)!r}", f"there are: {known}" if known else "give the path of a TOML file"
        )
    return found


def _scenarios_near(path: Path) -> list[Path]:
    """Scenario files in, beside or in `scenarios/` beside a path that is none, as one would name them."""
    folders = [path, path.parent, path.parent / "scenarios", Path("scenarios")]
    files = [file for folder in dict.fromkeys(folders) if folder.is_dir() for file in sorted(folder.glob("*.toml"))]
    return [file.with_suffix("") for file in dict.fromkeys(files) if file.is_file() and file.name != "pyproject.toml"]


def load(path: Path, seed: int | None = None, settings: Sequence[str] = (), replace_strategy: bool = False) -> Scenario:
    """Read and check a scenario file; `settings` are KEY=VALUE with dotted keys ("exchange.queue=proportional").

    `replace_strategy`: the file's own strategy is dropped (its markets stay) and comes from the settings.

    Errors: ConfigError naming the file, the key and the fix.
    """
    raw = _raw(path)
    if replace_strategy and isinstance(raw.get("strategy"), dict):
        raw["strategy"] = {key: value for key, value in raw["strategy"].items() if key == "markets"}
    for setting in settings:
        override(raw, setting)
        replace_legs(raw, setting.partition("=")[0].strip().split("."))
    if seed is not None:
        raw["seed"] = seed
    try:
        return Scenario.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(*_explain(path, error)) from None


EXTENDS_MAX: Final = 8
"""Scenarios a scenario may stand on, one on another."""


def _raw(path: Path, depth: int = 0) -> dict[str, Any]:
    """The file as it stands, laid over the one it `extends` (whose paths become absolute)."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}", "") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}", "") from None
    base = raw.pop("extends", None)
    if base is None:
        return raw
    if not isinstance(base, str) or depth >= EXTENDS_MAX:
        what = f"is {base!r}" if not isinstance(base, str) else f"goes on for more than {EXTENDS_MAX} files"
        raise ConfigError(f"{path}: extends {what}", "name one other scenario file, relative to this one")
    below = locate(path.parent / base)
    under = _raw(below, depth + 1)
    try:
        plain = as_plain(anchored(Scenario.model_validate(under), below.parent))
    except ValidationError as error:
        raise ConfigError(*_explain(below, error)) from None
    return _laid_over(dict(plain), raw)


def _laid_over(under: dict[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged key by key, everything else is replaced. Another strategy takes the place of the whole section."""
    given = raw.get("strategy")
    if isinstance(given, Mapping) and {"name", "file", "orders"} & set(given):
        under = {key: value for key, value in under.items() if key != "strategy"}
    merged = dict(under)
    for key, value in raw.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _laid_over(dict(merged[key]), value) if both else value
    return merged


def override(raw: dict[str, Any], setting: str, flag: str = "--set") -> None:
    """Apply one KEY=VALUE. VALUE is read as TOML if it is TOML, else as text; list items by number (markets.0.id).

    Errors: ConfigError naming the `flag` it was given with.
    """
    key, equals, text = (part.strip() for part in setting.partition("="))
    if not equals or not key:
        raise ConfigError(f"{flag} {setting!r} is not KEY=VALUE", f"e.g. {flag} exchange.queue=proportional")
    try:
        value = tomllib.loads(f"value = {text}", parse_float=Decimal)["value"]
    except tomllib.TOMLDecodeError:
        value = text
    at: Any = raw
    *parents, last = key.split(".")
    for name in parents:
        at = _child(at, name, f"{flag} {key}")
    if isinstance(at, list):
        at[_number(at, last, f"{flag} {key}")] = value
    else:
        at[last] = value


def _child(at: Any, name: str, where: str) -> Any:
    child = at[_number(at, name, where)] if isinstance(at, list) else at.setdefault(name, {})
    if not isinstance(child, dict | list):
        raise ConfigError(f"{where}: {name} is a value, not a section", "see `execsim show SCENARIO`")
    return child


def _number(items: list[Any], name: str, where: str) -> int:
    if not name.isdecimal() or int(name) >= len(items):
        raise ConfigError(f"{where}: {name!r} is not one of 0..{len(items) - 1}", "list items go by number")
    return int(name)


_WORDS: Final = {
    "dict_type": "should be a table (KEY = VALUE)",
    "model_type": "should be a table (KEY = VALUE)",
    "list_type": "should be a list ([...])",
}
"""pydantic's name of a fault -> what to say in the words of TOML."""


def _explain(path: Path, error: ValidationError) -> tuple[str, str]:
    """(what and where, hint) of the first fault; a misspelt key goes before the key that is missing for it."""
    faults = error.errors(include_url=False)
    first = next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])
    where = " ".join(".".join(_place(first["loc"])[0]).split())
    more = len(faults) - 1
    hint = f"and {more} more" if more else ""
    kind, message = first["type"], str(first["msg"])
    if kind == "extra_forbidden":
        known = f"known keys: {', '.join(sorted(_place(first['loc'][:-1])[1]))}"
        return f"{path}: unknown key {where}", f"{known}; {hint}" if hint else known
    if kind == "missing":
        return f"{path}: {where} is missing", hint
    if kind == "value_error":
        place = f"{where}: " if where else ""
        return f"{path}: {place}{message.removeprefix('Value error, ')}", hint
    wanted = _WORDS.get(kind, message.removeprefix("Input ").removeprefix("String "))
    return f"{path}: {where} is {_shown(first['input'])}, {wanted}", hint


def _shown(value: object) -> str:
    """A value of the file as it may have been written, short."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list):
        return "a list"
    text = str(value) if isinstance(value, Decimal | datetime) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _place(loc: Sequence[int | str]) -> tuple[list[str], Mapping[str, Any]]:
    """(pydantic's place of a fault as it stands in the file, the keys of the section there)."""
    place: list[str] = []
    fields: Mapping[str, Any] = Scenario.model_fields
    choices: dict[str, type[Section]] = {}
    for part in loc:
        if part in choices:  # which of several sections it was read as: not a key of the file
            fields, choices = choices[str(part)].model_fields, {}
            continue
        place.append(str(part))
        if part in fields:
            found = dict(_sections(fields[str(part)].annotation))
            inner = found.pop("", None)
            fields, choices = inner.model_fields if inner else {}, found
    return place, fields


def _sections(annotation: Any) -> Iterator[tuple[str, type[Section]]]:
    """The Section inside `list[Section]`, `dict[str, Section]` or `Section | None`, under "", or those of a tagged union,
    each under its tag."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield "", annotation
    tag = next((item.tag for item in getattr(annotation, "__metadata__", ()) if isinstance(item, Tag)), "")
    for arg in get_args(annotation):
        yield from ((tag or name, section) for name, section in _sections(arg))


def anchored(scenario: Scenario, folder: Path) -> Scenario:
    """The same scenario with every path absolute; `folder` is what they were relative to."""

    def at(path: str | None) -> str | None:
        return None if path is None else str((folder / path).resolve())

    def moved(item: Recording) -> Recording:
        return item.model_copy(update={"sources": [at(source) for source in item.sources], "tape": at(item.tape)})

    data = [moved(item) for item in scenario.data]
    held = scenario.strategy
    paths = {"file": at(held.file), "orders": at(held.orders)}
    strategy = held.model_copy(update={**paths, "profile": None if held.profile is None else moved(held.profile)})
    risk = scenario.risk.model_copy(update={"file": at(scenario.risk.file), "kill_file": at(scenario.risk.kill_file)})
    venues = {name: anchored_latencies(venue, lambda path: str(at(path))) for name, venue in scenario.venues.items()}
    return scenario.model_copy(update={"data": data, "venues": venues, "strategy": strategy, "risk": risk})


def as_plain(scenario: Scenario) -> Mapping[str, Any]:
    """Every value, defaults included, as TOML knows them: numbers keep their digits, nothing is left out but None."""
    plain: Mapping[str, Any] = scenario.model_dump(exclude_none=True)
    return plain
