"""How the venue writes numbers, hashes and sides, and the one door between bytes and our messages.

A message is a frozen dataclass whose fields say by `Annotated` how they stand on the wire; pydantic reads and writes it, in
both directions, for our adapter and for the server that plays the venue. Unknown fields of what comes in are ignored.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

from pydantic import BeforeValidator, PlainSerializer, StringConstraints, TypeAdapter
from pydantic import ValidationError as Invalid
from pydantic_core import PydanticSerializationError

from execsim.core.errors import InvalidResponse, ValidationError
from execsim.core.order import Side
from execsim.core.units import NS_PER_MS, NS_PER_S, decimal_of

VENUE: Final = "polymarket"
T = TypeVar("T")

_DIGITS: Final = re.compile(r"[0-9]{1,78}")  # 2**256 has 78
_NUMBER_MAX: Final = 80
_SHOWN: Final = 300


class Codec(Generic[T]):
    """Bytes to a message and back. `kind` is its class, or a list or mapping of such."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    @cached_property
    def adapter(self) -> TypeAdapter[T]:
        return TypeAdapter(self._kind)  # made when first used: a hundred of them at import would cost 50 ms

    def from_venue(self, data: bytes | str) -> T:
        """Read what the venue said. Errors: InvalidResponse with the field that is wrong and the beginning of the text."""
        try:
            return self.adapter.validate_json(data)
        except Invalid as error:
            raise InvalidResponse(VENUE, "unreadable", f"{_first_fault(error)} in {_shown(data)}") from None

    def from_client(self, data: bytes | str) -> T:
        """Read what a client sent to our server. Errors: ValidationError("payload", ...) naming the field."""
        try:
            return self.adapter.validate_json(data)
        except Invalid as error:
            raise ValidationError("payload", _first_fault(error)) from None

    def from_object(self, value: Any) -> T:
        """Read parsed JSON. Errors: as `from_venue`."""
        try:
            return self.adapter.validate_python(value)
        except Invalid as error:
            raise InvalidResponse(VENUE, "unreadable", f"{_first_fault(error)} in {str(value)[:_SHOWN]}") from None

    def to_bytes(self, message: T) -> bytes:
        """Compact JSON, fields in the order of the class, fields that are None left out.

        Errors: ValidationError naming the field, when what was written could not be read back (a wrong type or number)."""
        data = self.written(message)
        try:
            self.adapter.validate_json(data)
        except Invalid as error:
            raise ValidationError("message", _first_fault(error)) from None
        return data

    def written(self, message: T) -> bytes:
        """As `to_bytes`, a quarter of its time: a number that could not be read back is not found out. For what was read a
        moment ago, or is read next thing on its way out. Errors: ValidationError for a wrong type."""
        try:
            return self.adapter.dump_json(message, by_alias=True, exclude_none=True, warnings="error")
        except PydanticSerializationError as error:
            raise ValidationError("message", str(error).splitlines()[0]) from None


def _first_fault(error: Invalid) -> str:
    fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in fault["loc"])
    return f"{where}: {fault['msg']}" if where else fault["msg"]


def _shown(data: bytes | str) -> str:
    return (data.decode(errors="replace") if isinstance(data, bytes) else data)[:_SHOWN]


# numbers


def _read_decimal(value: Any) -> Any:
    """Text or a JSON number, exactly as written: "0.50" keeps its zero, so it is written back the same."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | float) or len(str(value)) > _NUMBER_MAX:
        raise ValueError("is not a number")
    try:
        return decimal_of(value)
    except ValidationError:
        raise ValueError("is not a number") from None


def _read_digits(value: Any) -> Any:
    if type(value) is int and value >= 0:
        return value
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    raise ValueError("is not an unsigned integer as text")


def _number(value: Decimal) -> int | float:
    """A JSON number. The float prints the same digits: they are few (ticks, fee rates)."""
    return int(value) if value == value.to_integral_value() else float(value)


Amount = Annotated[Decimal, BeforeValidator(_read_decimal), PlainSerializer(lambda value: format(value, "f"))]
"""A decimal number as text."""
Number = Annotated[Decimal, BeforeValidator(_read_decimal), PlainSerializer(_number)]
"""A decimal number as a JSON number."""
MaybeAmount = Literal[""] | Amount
"""A decimal number as text, or "" for none."""
Digits = Annotated[int, BeforeValidator(_read_digits), PlainSerializer(str)]
"""An unsigned integer as text: base units, token ids, milliseconds."""


def _read_absent(value: Any) -> Any:
    return "" if value is None else value


Text = Annotated[str, BeforeValidator(_read_absent)]
"""Text; null is read as ""."""


def amount(value: MaybeAmount) -> Decimal:
    """A number that may be missing; "" is 0."""
    return Decimal(0) if value == "" else Decimal(value)


# hashes and enumerations


def _read_bytes(value: Any) -> Any:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str) and value[:2] in ("0x", "0X"):
        try:
            return binascii.unhexlify(value[2:])
        except (binascii.Error, ValueError):
            pass
    raise ValueError("is not hexadecimal text with 0x")


def _read_word(value: Any) -> Any:
    value = _read_bytes(value)
    if len(value) != 32:
        raise ValueError("has not 32 bytes")
    return value


def _read_side(value: Any) -> Any:
    if isinstance(value, Side):
        return value
    if value in ("BUY", "SELL"):
        return Side(value.lower())
    raise ValueError("is neither BUY nor SELL")


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


Word = Annotated[bytes, BeforeValidator(_read_word), PlainSerializer(_hex)]
"""32 bytes as 0x text."""
Blob = Annotated[bytes, BeforeValidator(_read_bytes), PlainSerializer(_hex)]
"""Bytes as 0x text."""
Address = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{40}$")]
"""An address, kept as it was written."""
SideText = Annotated[Side, BeforeValidator(_read_side), PlainSerializer(lambda side: side.value.upper())]
"""BUY or SELL."""


def ns_of(time: str) -> int:
    """An instant as the venue writes it: Unix seconds, or milliseconds (from 1e11 on), or ISO 8601; 0 for "".

    Errors: InvalidResponse."""
    if not time:
        return 0
    if time.isdecimal():
        return int(time) * (NS_PER_S if int(time) < 10**11 else NS_PER_MS)
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        raise InvalidResponse(VENUE, "unreadable", f"{time[:40]!r} is no time") from None
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * NS_PER_S + since.microseconds * 1_000


# pages

CURSOR_START: Final = "MA=="
CURSOR_END: Final = "LTE="


def cursor_of(offset: int) -> str:
    """Where a page begins; -1 is the end."""
    return base64.b64encode(str(offset).encode()).decode()


def offset_of(cursor: str) -> int:
    """0 for no cursor. Errors: ValidationError."""
    try:
        return int(base64.b64decode(cursor, validate=True)) if cursor else 0
    except ValueError:
        raise ValidationError("next_cursor", f"{cursor[:40]!r} is no cursor") from None
