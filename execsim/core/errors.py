"""Errors say who must act, whether the request reached the venue, and whether trying again can help.

    ExecError
    ├─ fix the program     ConfigError · InvalidOrderState · VenueNotSupported · OrderNotFound · InternalError
    ├─ we said no          ValidationError · RiskRejected · RateLimitExceeded (our own limiter)
    ├─ they said no        VenueError · AuthenticationError · RateLimitExceeded (theirs) · InvalidResponse
    ├─ nobody answered     NetworkError · ExecTimeout
    ├─ the tape is wrong   DataError
    └─ we cannot remember  JournalError: stop trading

Fields are positional and all in `args`, so `type(e)(*e.args)` rebuilds `e`: SimPy and pickling do exactly that.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Generic, TypeVar


class Reached(StrEnum):
    """Did the request reach the venue? UNKNOWN moves an order to UNKNOWN: we ask, we never guess."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class ExecError(Exception):
    """Root of everything execsim raises on purpose. `args` holds every field, in order."""

    retryable: ClassVar[bool] = False
    is_rate_limit: ClassVar[bool] = False
    is_risk_rejection: ClassVar[bool] = False

    @property
    def reached(self) -> Reached:
        return Reached.NO

    @property
    def message(self) -> str:
        return "; ".join(str(a) for a in self.args if a not in ("", None))

    def __str__(self) -> str:
        return self.message


class ConfigError(ExecError):
    """(what, hint): a setting, scenario file or call is wrong. The program or file must change."""


class InvalidOrderState(ExecError):
    """(order_id, status, event): the lifecycle table has no such transition."""

    @property
    def message(self) -> str:
        order_id, status, event = (*self.args, "", "", "")[:3]
        return f"order {order_id}: {event} is impossible in state {status}"


class VenueNotSupported(ExecError):
    """(venue, known): no adapter of that name is registered."""

    @property
    def message(self) -> str:
        venue, known = (*self.args, "", "")[:2]
        return f"venue {venue!r} is not supported" + (f"; known venues: {known}" if known else "")


class OrderNotFound(ExecError):
    """(order_id, hint)."""

    @property
    def message(self) -> str:
        order_id, hint = (*self.args, "", "")[:2]
        return f"order {order_id} is not known" + (f"; {hint}" if hint else "")


class InternalError(ExecError):
    """(what,): a bug in execsim. Please report it."""


class ValidationError(ExecError):
    """(rule, what, hint): the request breaks one of our own rules and was not sent."""

    @property
    def rule(self) -> str:
        return str(self.args[0]) if self.args else ""

    @property
    def message(self) -> str:
        rule, what, hint = (*self.args, "", "", "")[:3]
        return f"{what} (rule {rule})" + (f"; {hint}" if hint else "")


class RiskRejected(ExecError):
    """(violated_policies, what): risk said no; nothing was sent."""

    is_risk_rejection = True

    @property
    def message(self) -> str:
        policies, what = (*self.args, (), "")[:2]
        names = ", ".join(policies) if isinstance(policies, tuple | list) else str(policies)
        return f"refused by risk ({names})" + (f": {what}" if what else "")


class RateLimitExceeded(ExecError):
    """(who, what, retry_after_ns): `who` is "ours" or the venue's name."""

    retryable = True
    is_rate_limit = True

    @property
    def retry_after_ns(self) -> int:
        return int(self.args[2]) if len(self.args) > 2 else 0

    @property
    def message(self) -> str:
        who, what, after = (*self.args, "", "", 0)[:3]
        return f"rate limit ({who}): {what}" + (f"; retry in {int(after) / 1e9:.3f} s" if after else "")


class VenueError(ExecError):
    """(venue, code, text): the venue refused; its raw text is kept."""

    @property
    def reached(self) -> Reached:
        return Reached.YES

    @property
    def message(self) -> str:
        venue, code, text = (*self.args, "", "", "")[:3]
        return f"{venue}: {text}" + (f" [{code}]" if code else "")


class AuthenticationError(VenueError):
    """(venue, code, text): the credentials were refused."""


class InvalidResponse(VenueError):
    """(venue, code, text): the venue answered something we cannot read. The order's fate is unknown."""

    @property
    def reached(self) -> Reached:
        return Reached.UNKNOWN


class NetworkError(ExecError):
    """(venue, what, reached): the connection failed; `reached` is a `Reached` value, default unknown."""

    retryable = True

    @property
    def reached(self) -> Reached:
        return Reached(self.args[2]) if len(self.args) > 2 else Reached.UNKNOWN

    @property
    def message(self) -> str:
        venue, what = (*self.args, "", "")[:2]
        return f"{venue}: {what} (reached: {self.reached})"


class ExecTimeout(NetworkError):
    """(venue, what, reached): nobody answered in time."""


class DataError(ExecError):
    """(where, what, hint): a recording or data file is wrong; `where` names file and row or column."""

    @property
    def message(self) -> str:
        where, what, hint = (*self.args, "", "", "")[:3]
        return f"{where}: {what}" + (f"; {hint}" if hint else "")


class JournalError(ExecError):
    """(path, what): the record cannot be written. Trading stops."""


T = TypeVar("T")


class ExecResult(Generic[T]):
    """A value or an ExecError, for batches where some succeed: `result.ok`, `result.value` (raises), `result.error`."""

    __slots__ = ("_value", "error")

    def __init__(self, value: T | None = None, error: ExecError | None = None) -> None:
        self._value = value
        self.error = error

    @property
    def ok(self) -> bool:
        return self.error is None

    @property
    def value(self) -> T:
        if self.error is not None:
            raise self.error
        return self._value  # type: ignore[return-value]  # a result without error holds a value by construction

    def __repr__(self) -> str:
        return f"ExecResult({self._value!r})" if self.ok else f"ExecResult(error={self.error!r})"
