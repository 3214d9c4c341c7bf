"""Hypothesis strategies for every message of the native dialect, made from the types of its fields."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from execsim.core import errors
from execsim.core.errors import ExecError, Reached
from execsim.core.fees import BinaryFee, DatedFees, FeeSchedule, NoFee, NotionalFee
from execsim.core.instrument import Asset, Instrument, InstrumentKind
from execsim.core.units import Grid, Rounding

INTS = st.integers(-(2**63) + 1, 2**63 - 1)
TEXTS = st.text(max_size=40)
SHARES = st.decimals(0, 1, places=4)


def rates() -> SearchStrategy[Any]:
    binary = st.builds(
        BinaryFee, SHARES, st.integers(0, 3), st.integers(0, 8), st.integers(0, 2), SHARES, st.sampled_from(Rounding), SHARES
    )  # fmt: skip
    plain = st.one_of(st.builds(NoFee), st.builds(NotionalFee, SHARES, SHARES, SHARES), binary)
    starts = st.lists(st.integers(0, 2**62), min_size=1, max_size=3, unique=True).map(sorted)
    dated = starts.flatmap(lambda ns: st.builds(DatedFees, st.tuples(*(st.tuples(st.just(n), plain) for n in ns))))
    return st.one_of(plain, dated)


ARGUMENTS = st.one_of(TEXTS, INTS, st.booleans(), st.none())


def named(*names: str, args: int) -> SearchStrategy[ExecError]:
    """Errors of these classes with so many texts."""
    kinds = st.sampled_from([getattr(errors, name) for name in names])
    return kinds.flatmap(lambda kind: st.builds(kind, *[TEXTS] * args))


def a_refusal() -> SearchStrategy[ExecError]:
    """A refusal of every class a venue answers with, with args as execsim gives them."""
    return st.one_of(
        named("VenueError", "AuthenticationError", "InvalidResponse", "ValidationError", args=3),
        named("VenueNotSupported", "OrderNotFound", args=2),
        st.builds(errors.RateLimitExceeded, TEXTS, TEXTS, st.integers(0, 2**62)),
        st.builds(errors.NetworkError, TEXTS, TEXTS, st.sampled_from(Reached)),
        st.builds(errors.ExecTimeout, TEXTS, TEXTS, st.sampled_from(Reached)),
    )


def a_fault() -> SearchStrategy[ExecError]:
    """An error of every other class: something went wrong at the venue."""
    return st.one_of(
        named("InternalError", args=1),
        named("ConfigError", "JournalError", args=2),
        named("DataError", "InvalidOrderState", args=3),
        st.builds(errors.RiskRejected, st.lists(TEXTS, max_size=3).map(tuple), TEXTS),
    )


@st.composite
def instruments(draw: st.DrawFn) -> Instrument:
    price_unit = draw(st.sampled_from([Decimal("0.0001"), Decimal("0.01"), Decimal(1)]))
    lot = draw(st.sampled_from([Decimal("0.000001"), Decimal("0.01"), Decimal(1)]))
    binary = draw(st.booleans())
    name = draw(TEXTS)
    return Instrument(
        draw(TEXTS), draw(TEXTS), InstrumentKind.BINARY if binary else InstrumentKind.SPOT, Grid(price_unit, lot),
        base=Asset(name, lot), quote=Asset(draw(TEXTS), price_unit * lot), complement=Asset(name, lot) if binary else None,
        tick_i=draw(INTS), size_step_lots=draw(INTS), size_min_lots=draw(INTS), size_max_lots=draw(st.none() | INTS),
        notional_min=draw(INTS), notional_min_taker_buys_only=draw(st.booleans()), price_min_i=draw(st.none() | INTS),
        price_max_i=draw(st.none() | INTS), fees=draw(rates()), cash_rounding=draw(st.sampled_from(Rounding)),
    )  # fmt: skip


def values(kind: Any) -> SearchStrategy[Any]:
    """Any value of a field's type."""
    kind = getattr(kind, "__supertype__", kind)
    origin, args = get_origin(kind), get_args(kind)
    if kind is Instrument:
        return instruments()
    if kind is FeeSchedule:
        return rates()
    if kind is ExecError:
        return a_refusal()
    if origin in (UnionType, Union):
        return st.one_of(*(st.none() if each is NoneType else values(each) for each in args))
    if origin is tuple and args[-1] is Ellipsis:
        return st.lists(values(args[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values, args))
    if origin is dict:
        return st.dictionaries(TEXTS, st.one_of(INTS, TEXTS, st.booleans()), max_size=3)
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        fields = {field.name: values(hints[field.name]) for field in dataclasses.fields(kind) if field.init}
        return st.builds(kind, **fields)  # type: ignore[arg-type]  # a dataclass is callable
    if issubclass(kind, Enum):
        return st.sampled_from(kind)
    simple: dict[Any, SearchStrategy[Any]] = {int: INTS, str: TEXTS, bool: st.booleans(), Decimal: SHARES}
    return simple[kind]
