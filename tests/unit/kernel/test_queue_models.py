"""Each queue model against its published formula in decimals, and against the naive model to the lot, up to 2**61 lots."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from naive_book import QUEUES, left_ahead

from execsim.core.errors import ConfigError
from execsim.kernel import Logarithmic, MarketSpan, Power, Proportional, QueueModel, Replay, RiskAverse, Stop
from execsim.kernel.estimate import mul_div
from execsim.tape.rows import KIND_BITS
from execsim.tape.schema import Flag, Kind

BID, PRICE = 1, 50
SIZES = st.integers(1, 2**61) | st.integers(1, 1_000)
LARGEST = 31_045_290_000_000
"""lots of 0.000001: 31 M shares at one price, the largest level of the recordings this was built on (Polymarket)"""
NAMES = [repr(model) for model in QUEUES]


def published(model: QueueModel, front: int, before: int, after: int, unit: int) -> Decimal:
    """hftbacktest's ProbQueueModel: front - (1 - p) x change + min(0, back - p x change), at most the new size."""
    f, b, change = Decimal(front), Decimal(before - front), Decimal(before - after)
    if isinstance(model, RiskAverse):
        return min(f, Decimal(after))
    if isinstance(model, Logarithmic):

        def log(x: Decimal) -> Decimal:
            return (1 + x / unit).ln()

        p = log(b) / (log(b) + log(f)) if model.variant == 1 else log(b) / log(b + f)
    else:
        n, variant = (model.exponent, model.variant) if isinstance(model, Power) else (Decimal(1), 1)
        p = {
            1: lambda: b**n / (b**n + f**n),
            2: lambda: b**n / (b + f) ** n,
            3: lambda: 1 - (f / (f + b)) ** n,
        }[variant]()
    return max(Decimal(0), min(f - (1 - p) * change + min(Decimal(0), b - p * change), Decimal(after)))


def row(ts: int, kind: Kind, side: int, price: int, size: int, flags: int = 0) -> list[int]:
    return [ts, ts, 0, kind | flags << KIND_BITS, side, price, size, ts]


def kernel_at(model: QueueModel, unit: int, *rows: list[int]) -> Replay:
    kernel = Replay([MarketSpan(1, 1, 1, 100, unit)], queue=model)
    table = np.array([*rows, row(10**9, Kind.LEVEL, BID, 1, 1)], np.int64)
    kernel.feed(table, table[:0])
    assert kernel.advance(0) is Stop.HORIZON
    return kernel


def ahead_after(model: QueueModel, front: int, before: int, after: int, unit: int = 1) -> int:
    """Lots ahead when a level of `before`, `front` of it ahead of us, has shrunk to `after` for no printed reason."""
    kernel = kernel_at(
        model, unit, row(0, Kind.SNAPSHOT, BID, PRICE, front or 1, Flag.FIRST | Flag.LAST),
        row(1, Kind.LEVEL, BID, PRICE, before), row(2, Kind.LEVEL, BID, PRICE, after),
    )  # fmt: skip
    if not front:
        kernel.consume(0, BID, PRICE, 1)
    order = kernel.rest(0, BID, PRICE, 1)
    assert kernel.ahead(order) == front
    assert kernel.advance(2) is Stop.HORIZON
    return kernel.ahead(order)


@pytest.mark.parametrize("model", QUEUES, ids=NAMES)
@given(sizes=st.tuples(SIZES, SIZES, SIZES), unit=st.sampled_from([1, 1_000, 1_000_000, 10**8]))
@example(sizes=(LARGEST // 3, LARGEST // 2, LARGEST), unit=1_000_000)
@example(sizes=(2**61 - 2, 2**61 - 1, 2**61), unit=1)
@settings(max_examples=25, deadline=None)
def test_the_estimate_is_the_published_one_and_the_naive_one(
    model: QueueModel, sizes: tuple[int, int, int], unit: int
) -> None:
    a, b, before = sorted(sizes)
    for front, after in ((a, b), (b, a), (0, a), (before, b)):
        got = ahead_after(model, front, before, after, unit)
        gone = before - after
        naive = left_ahead(model, front, before, gone, unit) if gone else 0
        assert got == max(0, min(front - naive, after))
        with localcontext(prec=60):
            wrong = abs(got - published(model, front, before, after, unit))
        assert wrong <= 1 + tolerance(model, Decimal(front) / before) * gone


def tolerance(model: QueueModel, front: Decimal) -> Decimal:
    """Largest error of the share, from interpolating its table: step**2 / 8 x the second derivative, which near the ends
    of a root is not bounded: there a quarter of the root of a step."""
    if isinstance(model, Power) and model.exponent < 2:
        return Decimal("0.005") if model.exponent >= 1 or 0.01 < front < 0.99 else Decimal("0.1")
    return Decimal("0.0006") if isinstance(model, Logarithmic) else Decimal("0.000003")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (RiskAverse(), 60),
        (Proportional(), 60 - 24),
        (Power(Decimal(2)), 60 - 27),  # 0.36 / (0.36 + 0.16) = 0.6923: 27.69 of the 40 stood ahead
        (Power(Decimal(2), 2), 60 - 33),  # 1 - 0.16 = 0.84: 33.6
        (Power(Decimal(2), 3), 60 - 14),  # 0.36: 14.4
        (Logarithmic(), 60 - 21),  # log 61 / (log 61 + log 41) = 0.5254: 21.01
        (Logarithmic(2), 60 - 7),  # 1 - log 41 / log 101 = 0.1954: 7.8
    ],
    ids=repr,
)
def test_60_ahead_of_100_when_40_leave(model: QueueModel, expected: int) -> None:
    assert ahead_after(model, 60, 100, 60) == expected


def test_power_of_one_is_proportional() -> None:
    for front in (0, 1, 37, 99, 100):
        near = ahead_after(Power(Decimal(1)), front, 100, 55) - ahead_after(Proportional(), front, 100, 55)
        assert abs(near) <= 1


@pytest.mark.parametrize("model", QUEUES, ids=NAMES)
def test_a_print_and_the_update_that_repeats_it_count_once(model: QueueModel) -> None:
    kernel = kernel_at(
        model, 1, row(0, Kind.SNAPSHOT, BID, PRICE, 100, Flag.FIRST | Flag.LAST),
        row(1, Kind.TRADE, -1, PRICE, 12), row(2, Kind.TRADE, -1, PRICE, 18), row(3, Kind.LEVEL, BID, PRICE, 70),
        row(4, Kind.LEVEL, BID, PRICE, 70),
    )  # fmt: skip
    order = kernel.rest(0, BID, PRICE, 5)
    seen = []
    for now in range(5):
        kernel.advance(now)
        seen.append(kernel.ahead(order))
    assert seen == [100, 88, 70, 70, 70]


@pytest.mark.parametrize("model", QUEUES, ids=NAMES)
def test_what_joins_behind_us_does_not_move_us(model: QueueModel) -> None:
    kernel = kernel_at(
        model, 1, row(0, Kind.SNAPSHOT, BID, PRICE, 10, Flag.FIRST | Flag.LAST), row(1, Kind.LEVEL, BID, PRICE, 10**6)
    )
    order = kernel.rest(0, BID, PRICE, 5)
    kernel.advance(1)
    assert kernel.ahead(order) == 10


@pytest.mark.parametrize("exponent", ["0", "-1", "100.5"])
def test_a_bad_exponent(exponent: str) -> None:
    with pytest.raises(ConfigError, match=f"queue exponent of {exponent}"):
        Power(Decimal(exponent))


@pytest.mark.parametrize("make", [lambda: Power(Decimal(1), 4), lambda: Logarithmic(3)])
def test_a_variant_there_is_not(make: object) -> None:
    with pytest.raises(ConfigError, match="variants are 1, 2"):
        make()  # type: ignore[operator]


def test_tables_rise_from_nothing_to_everything() -> None:
    for model in QUEUES:
        table = model.table()
        if isinstance(model, Power):
            assert (table[0], table[512] > 0, table[-1], len(table)) == (0, True, 2**30, 1025)
        if isinstance(model, Logarithmic):
            assert (table[0], table[-1], len(table)) == (0, 2**40, 1025)
        assert list(table) == sorted(table)


@given(st.integers(0, 2**62 - 1), st.integers(0, 2**62 - 1), st.integers(1, 2**62 - 1))
def test_mul_div_is_exact_to_the_largest_sizes(a: int, b: int, c: int) -> None:
    a = min(a, c)
    assert mul_div(a, b, c) == a * b // c
