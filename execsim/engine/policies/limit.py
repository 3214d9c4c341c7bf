"""Numbers of policies, as people write them, turned into exact ones. Errors: ConfigError naming the policy and the field."""

from __future__ import annotations

from decimal import Decimal

from execsim.core.errors import ConfigError, ValidationError
from execsim.core.units import NS_PER_S, Number, decimal_of
from execsim.engine.risk import RiskAction


def limit(value: Number, what: str) -> Decimal:
    """A number >= 0."""
    try:
        number = decimal_of(value, what)
    except ValidationError as error:
        raise ConfigError(f"{what}: {error.args[1]}", "give a number") from None
    if number < 0:
        raise ConfigError(f"{what} is {value}", "a limit cannot be negative")
    return number


def count(value: int, what: str) -> int:
    """A whole number >= 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{what} is {value!r}", "give a whole number, at least 1")
    return value


def duration_ns(value: Number, what: str) -> int:
    """Seconds > 0, in nanoseconds."""
    ns = limit(value, what) * NS_PER_S
    if ns < 1:
        raise ConfigError(f"{what} is {value}", "give seconds, more than 0")
    return int(ns)


def seconds(ns: int) -> Decimal:
    return Decimal(ns) / NS_PER_S


def bind(policy: object, market_id: str | None, action: RiskAction | str, **fields: object) -> None:
    """Set the fields of a frozen policy, the two every policy has and its own."""
    name = type(policy).__name__
    try:
        chosen = RiskAction(action)
    except ValueError:
        raise ConfigError(f"{name}.action is {action!r}", f"one of: {', '.join(RiskAction)}") from None
    for key, value in {"market_id": market_id, "action": chosen, **fields}.items():
        object.__setattr__(policy, key, value)
