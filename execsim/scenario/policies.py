"""Risk policies from YAML, TOML or JSON: a list under `policies`, each with a `type` (docs/risk.md)."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    create_model,
)

from execsim.core import errors
from execsim.core.errors import ConfigError
from execsim.core.units import decimal_of
from execsim.engine.policies import POLICIES
from execsim.engine.risk import Policy, RiskAction

Format = Literal["yaml", "toml", "json"]

FORMATS: Final[Mapping[str, Format]] = {".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".json": "json"}


def _exact(value: Any) -> Decimal:
    """A number exactly as it was written: 0.1 in YAML is 0.1."""
    try:
        limit = decimal_of(value, "limit")
    except errors.ValidationError as error:
        raise ValueError(error.args[1]) from None
    if limit < 0:
        raise ValueError("a limit cannot be negative")
    return limit


Limit = Annotated[Decimal, BeforeValidator(_exact)]
Count = Annotated[StrictInt, Field(ge=1)]

KINDS: Final[Mapping[str, Any]] = {
    "Decimal": Limit,
    "Decimal | None": Limit | None,
    "int": Count,
    "bool": StrictBool,
    "str | None": StrictStr | None,
    "RiskAction": RiskAction,
}
"""Annotation of a policy's field -> how it is read."""


def _model(kind: type[Any]) -> type[BaseModel]:
    """What a policy's mapping may hold: a policy is its parameters, so its fields say it all."""
    read: dict[str, Any] = {"type": (Literal[kind.__name__], ...)}
    for field in dataclasses.fields(kind):
        if not field.name.startswith("_"):
            default = ... if field.default is dataclasses.MISSING else field.default
            read[field.name] = (KINDS[str(field.type)], default)
    return create_model(kind.__name__, __config__=ConfigDict(extra="forbid", frozen=True), **read)


MODELS: Final[Mapping[str, tuple[type[BaseModel], type[Any]]]] = {
    kind.__name__: (_model(kind), kind) for kind in POLICIES
}


def load_policies(path: Path | str) -> list[Policy]:
    """Policies of a file, its format by its suffix. Errors: ConfigError naming the file and the place in the list."""
    path = Path(path)
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        raise ConfigError(f"{path}: unknown suffix {path.suffix!r}", f"one of: {', '.join(FORMATS)}")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        hint = "check the path (a scenario's paths are relative to its file)"
        raise ConfigError(f"{path}: cannot be read: {error.strerror}", hint) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not text in UTF-8", "save it as such") from None
    return parse_policies(text, found, where=str(path))


def parse_policies(text: str, format: Format, where: str = "policies") -> list[Policy]:
    """Policies of a text. Errors: ConfigError; `where` names the source in it."""
    readers: Mapping[str, Callable[[str], Any]] = {
        "yaml": yaml.safe_load,
        "toml": lambda source: tomllib.loads(source, parse_float=Decimal),
        "json": lambda source: json.loads(source, parse_float=Decimal),
    }
    if format not in readers:
        raise ConfigError(f"{where}: unknown format {format!r}", f"one of: {', '.join(readers)}")
    try:
        data = readers[format](text)
    except (yaml.YAMLError, tomllib.TOMLDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"{where}: not valid {format.upper()}", " ".join(str(error).split())) from None
    if not isinstance(data, Mapping) or set(data) != {"policies"}:
        raise ConfigError(
            f"{where}: expected one key, `policies`, with a list", 'e.g. policies: [{"type": "KillSwitch"}]'
        )
    return policies_of(data["policies"], where)


def policies_of(items: Any, where: str = "policies") -> list[Policy]:
    """Policies of a list of mappings (a scenario's own section). Errors: ConfigError."""
    if items is None:
        return []
    if not isinstance(items, list | tuple):
        raise ConfigError(f"{where}: policies is {type(items).__name__}", "it must be a list of mappings with a `type`")
    return [_policy(item, f"{where}: policies[{index}]") for index, item in enumerate(items)]


def _policy(item: Any, where: str) -> Policy:
    known = ", ".join(MODELS)
    if not isinstance(item, Mapping):
        raise ConfigError(f"{where} is {item!r}", f"it must be a mapping with a `type`, one of: {known}")
    if "type" not in item:
        raise ConfigError(f"{where} has no `type`", f"one of: {known}")
    found = MODELS.get(str(item["type"]))
    if found is None:
        raise ConfigError(f"{where}: unknown type {item['type']!r}", f"known types: {known}")
    model, kind = found
    try:
        checked = model.model_validate(dict(item))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        message = str(first["msg"]).removeprefix("Value error, ")
        raise ConfigError(f"{where}.{name}: {message}", _hint(model, name, first["input"])) from None
    values = {name: getattr(checked, name) for name in model.model_fields if name != "type"}
    try:
        policy: Policy = kind(**values)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error.args[0]}", *error.args[1:]) from None
    return policy


def _hint(model: type[BaseModel], name: str, value: Any) -> str:
    if name == "market_id" and isinstance(value, int):
        return f"put the id in quotes: YAML reads it as the number {value}"
    if name == "action" and name in model.model_fields:
        return f"one of: {', '.join(RiskAction)}"
    return f"{model.__name__} takes: {', '.join(model.model_fields)}"
