from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any

import pytest

from execsim.core.errors import ConfigError
from execsim.strategy import SHIPPED
from execsim.strategy.params import describe, params_of


@dataclass(frozen=True)
class Params:
    size: Annotated[Decimal, "how much"]
    count: Annotated[int, "how often"] = 3
    ratio: Annotated[Fraction, "how far"] = Fraction(1, 2)
    loud: Annotated[bool, "how"] = False
    word: Annotated[str, "what"] = "x"
    items: Annotated[tuple[int, ...], "which"] = ()


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ("0.1", "size", Decimal("0.1")),
        (0.1, "size", Decimal("0.1")),
        (7, "size", Decimal(7)),
        ("12", "count", 12),
        (12.0, "count", 12),
        ("1e3", "count", 1000),
        ("3/5", "ratio", Fraction(3, 5)),
        ("0.6", "ratio", Fraction(3, 5)),
        (0.6, "ratio", Fraction(3, 5)),
        ("True", "loud", True),
        (True, "loud", True),
        ("false", "loud", False),
        ("y", "word", "y"),
        ([1, 2], "items", (1, 2)),
    ],
)
def test_numbers_become_exactly_what_the_field_says(given: Any, name: str, value: Any) -> None:
    made = getattr(params_of(Params, {"size": 1, name: given}, "s"), name)
    assert made == value
    assert type(made) is type(value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"size": 1, "sise": 2}, "strategy s has no parameter 'sise'; it has: size, count, ratio, loud, word, items"),
        ({"count": 2}, "strategy s needs the parameter 'size'; how much"),
        ({"size": "ten"}, "strategy s: parameter size: 'ten' is not a number"),
        ({"size": "nan"}, "parameter size: 'nan' is not a number"),
        ({"size": 1, "count": 2.5}, r"parameter count: 2\.5 is not a whole number"),
        ({"size": 1, "count": True}, "parameter count: True is not a whole number"),
        ({"size": 1, "ratio": "1/0"}, "parameter ratio: '1/0' is not a ratio like 3/5"),
        ({"size": 1, "loud": "loud"}, "parameter loud: 'loud' is not true or false"),
        ({"size": 1, "word": 5}, "parameter word: 5 is not a text"),
        ({"size": 1, "items": 5}, "parameter items: 5 is not a list"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        params_of(Params, given, "s")


def test_every_shipped_strategy_describes_its_parameters() -> None:
    assert [p.name for p in describe(Params) if p.required] == ["size"]
    for module in SHIPPED.values():
        assert describe(module.Params) == module.PARAMS
        assert all(parameter.meaning for parameter in module.PARAMS)
        assert callable(module.run)


@pytest.mark.parametrize(
    ("strategy", "given", "message"),
    [
        ("quoter", {"size": 0}, "quoter: parameter size is 0; it must be positive"),
        ("quoter", {"edge_ticks": -1}, "quoter: parameter edge_ticks is -1; it must be at least 0"),
        ("quoter", {"requote_ticks": 0}, "quoter: parameter requote_ticks is 0; it must be at least 1"),
        ("imbalance", {"threshold": 0}, "imbalance: parameter threshold is 0; it must be positive"),
        ("imbalance", {"threshold": "6/5"}, "imbalance: parameter threshold is 6/5; it must be at most 1"),
        ("orders", {"orders": ["x"]}, "orders: 'x' is no ScriptedOrder; read the file with load_script"),
    ],
)
def test_bounds_of_the_shipped_strategies(strategy: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        params_of(SHIPPED[strategy].Params, given, strategy)
