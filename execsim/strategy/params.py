"""A strategy's parameters: a frozen dataclass, filled from what the scenario says, exactly and completely.

    size: Annotated[Decimal, "size of each quote"] = Decimal(10)

A field is a parameter: its type, its default and one line of meaning. Numbers may come as text, int or float (TOML,
`--set`, Python) and become what the field says without passing through binary fractions. Unknown names are refused: a
misspelt `max_positon` must not silently trade with the default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

from execsim.core.errors import ConfigError, ValidationError
from execsim.core.units import decimal_of

T = TypeVar("T")

_WORDS: Final = {"true": True, "false": False}
_WHAT: Final[Mapping[type, str]] = {
    int: "a whole number",
    Decimal: "a number",
    Fraction: "a ratio like 3/5 or 0.6",
    bool: "true or false",
    str: "a text",
    tuple: "a list",
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter as people see it (`execsim show`). `default` is None where it must be given."""

    name: str
    kind: type
    default: Any
    meaning: str
    required: bool


def describe(cls: type[Any]) -> tuple[Parameter, ...]:
    """The parameters of a strategy, in order."""
    hints = get_type_hints(cls, include_extras=True)
    found = []
    for f in fields(cls):
        hint, meaning = get_args(hints[f.name])  # Annotated[type, meaning]
        required = f.default is MISSING
        found.append(Parameter(f.name, get_origin(hint) or hint, None if required else f.default, meaning, required))
    return tuple(found)


def params_of(cls: type[T], given: Mapping[str, Any], strategy: str) -> T:
    """Build `cls` from `given`. Types: int, Decimal, Fraction ("3/5" or 0.6), bool, str, tuple (of anything).

    Errors: ConfigError naming strategy and parameter: unknown (the known ones are listed), missing, or not exactly a
    value of its type.
    """
    parameters = {parameter.name: parameter for parameter in describe(cls)}
    for name in given:
        if name not in parameters:
            raise ConfigError(f"strategy {strategy} has no parameter {name!r}", f"it has: {', '.join(parameters)}")
    for parameter in parameters.values():
        if parameter.required and parameter.name not in given:
            raise ConfigError(f"strategy {strategy} needs the parameter {parameter.name!r}", parameter.meaning)
    return cls(**{name: _exact(value, parameters[name], strategy) for name, value in given.items()})


def at_least(strategy: str, minimum: int, **values: int | Decimal | Fraction) -> None:
    """Check bounds. Errors: ConfigError naming the first parameter below `minimum`."""
    for name, value in values.items():
        if value < minimum:
            raise ConfigError(f"strategy {strategy}: parameter {name} is {value}", f"it must be at least {minimum}")


def above_zero(strategy: str, **values: int | Decimal | Fraction) -> None:
    """Check signs. Errors: ConfigError naming the first parameter that is not positive."""
    for name, value in values.items():
        if value <= 0:
            raise ConfigError(f"strategy {strategy}: parameter {name} is {value}", "it must be positive")


def _exact(value: Any, parameter: Parameter, strategy: str) -> Any:
    kind = parameter.kind
    try:
        if kind is bool:
            return value if isinstance(value, bool) else _WORDS[str(value).lower()]
        if kind is int and decimal_of(value) == int(decimal_of(value)):
            return int(decimal_of(value))
        if kind is Decimal:
            return decimal_of(value)
        if kind is Fraction:
            return Fraction(value) if isinstance(value, str) and "/" in value else Fraction(decimal_of(value))
        if kind is tuple and isinstance(value, list | tuple):
            return tuple(value)
        if kind is str and isinstance(value, str):
            return value
    except (ValidationError, KeyError, ValueError, ZeroDivisionError):
        pass  # said below, in the words of the strategy
    raise ConfigError(f"strategy {strategy}: parameter {parameter.name}: {value!r} is not {_WHAT.get(kind, kind)}", "")
