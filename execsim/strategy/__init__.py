"""Shipped strategies, written on `Context` only. Each module offers `Params`, `PARAMS` and `async def run(ctx)`."""

from collections.abc import Mapping
from types import ModuleType
from typing import Final

from execsim.strategy import imbalance, orders, quoter

SHIPPED: Final[Mapping[str, ModuleType]] = {"quoter": quoter, "imbalance": imbalance, "orders": orders}
"""Name in a scenario -> module."""

__all__ = ["SHIPPED"]
