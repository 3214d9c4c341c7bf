"""What a scenario file may say. TOML in, checked values out; unknown keys are refused, every default is visible.

`execsim show SCENARIO` prints a scenario with all defaults filled in: that output is itself a scenario file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from execsim.core.errors import ConfigError


def _exact(value: object) -> object:
    """Decimals keep what was written: TOML floats arrive as Decimal, a Python float is read through its repr."""
    return Decimal(repr(value)) if isinstance(value, float) else value


Number = Annotated[Decimal, BeforeValidator(_exact)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


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


class Latency(Section):
    """`constant` uses ms only; `lognormal` takes ms as its median."""

    model: Literal["constant", "lognormal"] = "lognormal"
    ms: Number = Field(Decimal(50), ge=0)
    sigma: Number = Field(Decimal("0.4"), gt=0, le=3)


class Venue(Section):
    """One simulated venue: how far away it is and what the trader has there."""

    feed: Latency = Latency(ms=Decimal(10))
    entry: Latency = Latency(ms=Decimal(40))
    response: Latency = Latency(ms=Decimal(15))
    balances: dict[str, Number] = Field({}, description="asset -> amount at the start")
    sets: dict[str, Number] = Field({}, description="market id -> full sets (YES + NO) split from cash at the start")


class Exchange(Section):
    queue: Literal["risk_averse", "proportional"] = "risk_averse"


class Tape(Section):
    inferred_trades: Literal["ignore", "through", "use"] = Field(
        "through", description="prints inferred from books: nothing, trade-through only, or draining queues too"
    )


class RateLimit(Section):
    per_s: Number = Field(gt=0)
    burst: int = Field(ge=1)


class Engine(Section):
    enable_validation: bool = True
    enable_risk_checks: bool = True
    enable_metrics: bool = True
    size_min: Number = Decimal("0.01")
    size_max: Number = Decimal(1_000_000)
    size_bounds: dict[str, tuple[Number, Number]] = Field({}, description="market or venue -> smallest, largest size")
    price_bounds: dict[str, tuple[Number, Number]] = Field({}, description="market or venue -> lowest, highest price")
    rate_limits: dict[str, RateLimit] = Field({}, description="venue -> our own limit; else the venue's preset")


class Risk(Section):
    file: str | None = Field(None, description="YAML, TOML or JSON with a `policies` list")
    policies: list[dict[str, Any]] = []


class Strategy(Section):
    """A shipped strategy by `name`, or a Python `file` with `async def run(ctx)`; `orders` is a script to replay."""

    name: str | None = None
    file: str | None = None
    orders: str | None = None
    markets: list[str] = Field([], description="markets it trades; empty: all")
    params: dict[str, Any] = {}

    @model_validator(mode="after")
    def _one_origin(self) -> Strategy:
        if sum(x is not None for x in (self.name, self.file, self.orders)) != 1:
            raise ValueError("name exactly one of name, file, orders")
        return self


class Journal(Section):
    mode: Literal["full", "batched", "off"] = "batched"


class Scenario(Section):
    """A whole run."""

    title: str = ""
    seed: int = Field(7, ge=0)
    data: list[Data] = Field(min_length=1)
    markets: list[Market] = Field(min_length=1)
    venues: dict[str, Venue] = {}
    exchange: Exchange = Exchange()
    tape: Tape = Tape()
    engine: Engine = Engine()
    risk: Risk = Risk()
    strategy: Strategy
    journal: Journal = Journal()
    notes: list[str] = Field([], description="assumptions a reader of the results must know")

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
        for market in self.strategy.markets:
            if market not in ids:
                raise ValueError(f"strategy.markets: {market!r} is not a market id; known: {', '.join(ids)}")
        return self


def locate(name: str | Path) -> Path:
    """The scenario file: the path itself, with .toml added, or scenario.toml inside a folder. Errors: ConfigError."""
    path = Path(name)
    for candidate in (path, path.with_name(path.name + ".toml"), path / "scenario.toml"):
        if candidate.is_file():
            return candidate
    beside = path.parent if path.parent.is_dir() else Path()
    known = ", ".join(sorted(str(p.with_suffix("")) for p in beside.glob("*.toml"))[:12])
    raise ConfigError(f"no scenario {name}", f"found in {beside}: {known}" if known else "give the path of a TOML file")


def load(path: Path, seed: int | None = None, settings: Sequence[str] = (), replace_strategy: bool = False) -> Scenario:
    """Read and check a scenario file; `settings` are KEY=VALUE with dotted keys ("exchange.queue=proportional").

    `replace_strategy`: the file's own strategy is dropped (its markets stay) and comes from the settings.

    Errors: ConfigError naming the file, the key and the fix.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}", "") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}", "") from None
    if replace_strategy and isinstance(raw.get("strategy"), dict):
        raw["strategy"] = {key: value for key, value in raw["strategy"].items() if key == "markets"}
    for setting in settings:
        override(raw, setting)
    if seed is not None:
        raw["seed"] = seed
    try:
        return Scenario.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(*_explain(path, error)) from None


def override(raw: dict[str, Any], setting: str) -> None:
    """Apply one KEY=VALUE. VALUE is read as TOML if it is TOML, else as text; list items by number (markets.0.id)."""
    key, equals, text = setting.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {setting!r} is not KEY=VALUE", "e.g. --set exchange.queue=proportional")
    try:
        value = tomllib.loads(f"value = {text}", parse_float=Decimal)["value"]
    except tomllib.TOMLDecodeError:
        value = text
    at: Any = raw
    *parents, last = key.strip().split(".")
    for name in parents:
        at = _child(at, name, key)
    if isinstance(at, list):
        at[_number(at, last, key)] = value
    else:
        at[last] = value


def _child(at: Any, name: str, key: str) -> Any:
    if isinstance(at, list):
        return at[_number(at, name, key)]
    child = at.setdefault(name, {})
    if not isinstance(child, dict | list):
        raise ConfigError(f"--set {key}: {name} is a value, not a section", "see `execsim show SCENARIO`")
    return child


def _number(items: list[Any], name: str, key: str) -> int:
    if not name.isdigit() or int(name) >= len(items):
        raise ConfigError(f"--set {key}: {name!r} is not one of 0..{len(items) - 1}", "list items go by number")
    return int(name)


def _explain(path: Path, error: ValidationError) -> tuple[str, str]:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "scenario"
    more = error.error_count() - 1
    hint = f"and {more} more" if more else ""
    if first["type"] == "extra_forbidden":
        known = ", ".join(_known_keys(first["loc"]))
        return f"{path}: unknown key {where}", "; ".join(x for x in (f"known keys: {known}", hint) if x)
    message = str(first["msg"]).removeprefix("Value error, ")
    return f"{path}: {where}: {message}", hint


def _known_keys(loc: Sequence[int | str]) -> list[str]:
    model: Any = Scenario
    for part in loc[:-1]:
        fields = getattr(model, "model_fields", {})
        if part in fields:
            model = _inner(fields[part].annotation)
    return sorted(getattr(model, "model_fields", {}))


def _inner(annotation: Any) -> Any:
    """The Section inside `list[Section]`, `dict[str, Section]` or `Section | None`."""
    for arg in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(arg, type) and issubclass(arg, Section):
            return arg
    return annotation


def as_plain(scenario: Scenario) -> Mapping[str, Any]:
    """Every value, defaults included, as plain data (numbers written as text keep their digits)."""
    plain: Mapping[str, Any] = scenario.model_dump(mode="json", exclude_none=True)
    return plain
