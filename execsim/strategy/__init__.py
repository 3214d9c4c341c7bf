"""Shipped strategies, written on `Context` only. Each module offers `Params`, `PARAMS` and `async def run(ctx)`."""

from collections.abc import Mapping
from types import ModuleType
from typing import Final

from execsim.strategy import iceberg, imbalance, orders, pov, quoter, router, twap, vwap

SHIPPED: Final[Mapping[str, ModuleType]] = {
    "quoter": quoter,
    "imbalance": imbalance,
    "orders": orders,
    "twap": twap,
    "vwap": vwap,
    "pov": pov,
    "iceberg": iceberg,
    "router": router,
}
"""Name in a scenario -> module."""

__all__ = ["SHIPPED"]
