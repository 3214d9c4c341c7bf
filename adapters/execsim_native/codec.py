"""Values of execsim as JSON and back, exactly: integers stay integers, decimals are text, nothing is guessed.

plain(value)           dataclass -> object, enum -> its value, tuple -> list, Decimal -> text, ExecError -> class and args
build(kind, data)      the value again; BadMessage names the field that is not what its type says
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

from execsim.core import errors
from execsim.core.errors import ExecError
from execsim.core.fees import BinaryFee, DatedFees, FeeSchedule, NoFee, NotionalFee

T = TypeVar("T")

INT_MAX: Final = 2**63 - 1
"""Every integer of the protocol fits 64 bits; a price x size beyond that is nobody's."""
TEXT_MAX: Final = 4_096
"""Characters of a text a message may hold."""
ITEMS_MAX: Final = 100_000

FEES: Final[Mapping[str, type]] = {"none": NoFee, "notional": NotionalFee, "binary": BinaryFee, "dated": DatedFees}
FEE_NAMES: Final = {kind: name for name, kind in FEES.items()}
REFUSALS: Final[Mapping[str, type[ExecError]]] = {
    kind.__name__: kind
    for kind in (
        errors.VenueError,
        errors.AuthenticationError,
        errors.RateLimitExceeded,
        errors.OrderNotFound,
        errors.ValidationError,
        errors.VenueNotSupported,
        errors.NetworkError,
        errors.ExecTimeout,
        errors.InvalidResponse,
    )
}
"""What a simulated venue answers on purpose: these say themselves whether the request had an effect. Any other class is a
fault over there (InternalError, JournalError, ConfigError, ...), perhaps after the order was booked."""


class BadMessage(Exception):
    """(where, what): a message that is not what it should be."""

    def __str__(self) -> str:
        where, what = self.args
        return f"{where}: {what}" if where else str(what)


# ---------------------------------------------------------------------------------------------------- to JSON
def plain(value: Any) -> Any:
    """Errors: TypeError for a value that has no place in a message (a float, say): a bug of ours."""
    kind = type(value)
    if value is None or kind in (int, str, bool):
        return value
    if isinstance(value, Enum):
        return value.value
    if kind in (tuple, list):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, ExecError):
        return error_out(value)
    if dataclasses.is_dataclass(value):
        named = {"fees": FEE_NAMES[kind]} if kind in FEE_NAMES else {}
        return named | {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
    raise TypeError(f"{kind.__name__} has no place in a message")


def error_out(error: ExecError) -> dict[str, Any]:
    """`text` is for people; class and args rebuild the error."""
    return {"class": type(error).__name__, "args": [_argument(arg) for arg in error.args], "text": str(error)}


def _argument(arg: Any) -> Any:
    if isinstance(arg, tuple | list):
        return [_argument(item) for item in arg]
    if isinstance(arg, Enum):
        return arg.value
    return arg if arg is None or type(arg) in (int, str, bool) else str(arg)


# ---------------------------------------------------------------------------------------------------- from JSON
def build(kind: Any, data: Any, where: str = "") -> Any:
    """`data` as a value of that type. Errors: BadMessage."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _object(kind, data, where)
    return _value(kind, data, where)


def error_in(data: Any, venue: str) -> ExecError:
    """The refusal that was raised at the other side. Whatever is none is an InvalidResponse with its text: nobody can tell
    what the venue had done before it failed."""
    if not isinstance(data, dict) or not isinstance(data.get("args"), list):
        return errors.InvalidResponse(venue, "bad_message", f"an error that cannot be read: {str(data)[:200]}")
    name, args = data.get("class"), tuple(_tuples(arg) for arg in data["args"])
    kind = REFUSALS.get(name) if isinstance(name, str) else None
    unread = errors.InvalidResponse(venue, str(name), str(data.get("text") or args))
    if kind is None:
        return unread
    try:
        error = kind(*args)
        str(error), error.reached  # args that no such error has show here, not where it is handled
    except (TypeError, ValueError):
        return unread
    return error


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {f.name: hints[f.name] for f in dataclasses.fields(kind) if f.init}


@cache
def _needed(kind: type) -> frozenset[str]:
    missing = dataclasses.MISSING
    found = (f for f in dataclasses.fields(kind) if f.init)
    return frozenset(f.name for f in found if f.default is missing and f.default_factory is missing)


def _object(kind: type, data: Any, where: str) -> Any:
    if not isinstance(data, dict):
        raise BadMessage(where, f"should be an object, not {_name(data)}")
    hints = _hints(kind)
    for name in data:
        if name not in hints:
            raise BadMessage(where, f"there is no field {name[:64]!r}; there are: {', '.join(hints) or 'none'}")
    for name in _needed(kind):
        if name not in data:
            raise BadMessage(where, f"field {name!r} is missing")
    given = {name: build(hints[name], value, f"{where}.{name}" if where else name) for name, value in data.items()}
    try:
        return kind(**given)
    except ExecError as error:
        raise BadMessage(where, str(error)) from None


def _value(kind: Any, data: Any, where: str) -> Any:
    kind = getattr(kind, "__supertype__", kind)  # NewType
    origin = get_origin(kind)
    if origin in (UnionType, Union):
        return _optional(get_args(kind), data, where)
    if origin in (tuple, list):
        return _items(get_args(kind), data, where)
    if origin is dict or kind is dict:
        return _scalars(data, where)
    if kind is FeeSchedule:
        return _fees(data, where)
    if kind is ExecError:
        return error_in(data, "native")
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _choice(kind, data, where)
    if kind is Decimal:
        return _decimal(data, where)
    if kind in (int, str, bool):
        return _scalar(kind, data, where)
    raise TypeError(f"{kind} has no place in a message")


def _scalar(kind: type[Any], data: Any, where: str) -> Any:
    if type(data) is not kind:
        raise BadMessage(where, f"should be {_NAMES[kind]}, not {_name(data)}")
    if kind is int and not -INT_MAX <= data <= INT_MAX:
        raise BadMessage(where, "does not fit 64 bits")
    if kind is str and len(data) > TEXT_MAX:
        raise BadMessage(where, f"is longer than {TEXT_MAX} characters")
    return data


_NAMES: Final = {int: "an integer", str: "a string", bool: "true or false"}


def _name(data: Any) -> str:
    if isinstance(data, dict | list):
        return "an object" if isinstance(data, dict) else "a list"
    shown = repr(data)
    return "null" if data is None else shown if len(shown) <= 40 else shown[:40] + "..."


def _optional(kinds: tuple[Any, ...], data: Any, where: str) -> Any:
    if data is None and NoneType in kinds:
        return None
    (kind,) = (each for each in kinds if each is not NoneType)
    return build(kind, data, where)


def _items(kinds: tuple[Any, ...], data: Any, where: str) -> Any:
    if not isinstance(data, list):
        raise BadMessage(where, f"should be a list, not {_name(data)}")
    if len(data) > ITEMS_MAX:
        raise BadMessage(where, f"has more than {ITEMS_MAX} items")
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(data)
    if len(kinds) != len(data):
        raise BadMessage(where, f"should have {len(kinds)} items, not {len(data)}")
    return tuple(build(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(zip(kinds, data, strict=True)))


def _scalars(data: Any, where: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise BadMessage(where, f"should be an object, not {_name(data)}")
    for name, value in data.items():
        if type(value) not in _NAMES:
            raise BadMessage(
                f"{where}.{name[:64]}", f"should be an integer, a string or true or false, not {_name(value)}"
            )
        _scalar(type(value), value, f"{where}.{name[:64]}")
    return data


def _choice(kind: type[Enum], data: Any, where: str) -> Enum:
    try:
        return kind(data)
    except ValueError:
        raise BadMessage(where, f"{_name(data)} is none of: {', '.join(str(each.value) for each in kind)}") from None


def _decimal(data: Any, where: str) -> Decimal:
    try:
        value = Decimal(_scalar(str, data, where))
    except InvalidOperation:
        raise BadMessage(where, f"{_name(data)} is not a decimal") from None
    if not value.is_finite():
        raise BadMessage(where, f"{_name(data)} is not a finite number")
    return value


def _fees(data: Any, where: str) -> Any:
    name = data.get("fees") if isinstance(data, dict) else None
    kind = FEES.get(name) if isinstance(name, str) else None
    if kind is None:
        raise BadMessage(where, f"a fee schedule is one of: {', '.join(FEES)}")
    return _object(kind, {key: value for key, value in data.items() if key != "fees"}, where)
