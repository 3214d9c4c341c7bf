"""The risk policies: one small class each. A policy is its parameters.

sizes    PositionLimit, MaxOrderSize
money    InventoryLimit, MaxNotional, MaxOutcomeLoss
losses   MaxDrawdown, DailyLoss
flow     MaxOpenOrders, OrderRate
market   PriceBand, StaleData, VenueHealth
switch   KillSwitch
"""

from typing import Final

from execsim.engine.policies.flow import MaxOpenOrders, OrderRate
from execsim.engine.policies.losses import DailyLoss, MaxDrawdown
from execsim.engine.policies.market import PriceBand, StaleData, VenueHealth
from execsim.engine.policies.money import InventoryLimit, MaxNotional, MaxOutcomeLoss
from execsim.engine.policies.sizes import MaxOrderSize, PositionLimit
from execsim.engine.policies.switch import KillSwitch

POLICIES: Final = (
    PositionLimit,
    InventoryLimit,
    KillSwitch,
    MaxOrderSize,
    MaxNotional,
    MaxOpenOrders,
    OrderRate,
    PriceBand,
    MaxDrawdown,
    DailyLoss,
    MaxOutcomeLoss,
    StaleData,
    VenueHealth,
)
"""Every policy there is; its name is its `type` in a file of policies."""

__all__ = [
    "POLICIES",
    "DailyLoss",
    "InventoryLimit",
    "KillSwitch",
    "MaxDrawdown",
    "MaxNotional",
    "MaxOpenOrders",
    "MaxOrderSize",
    "MaxOutcomeLoss",
    "OrderRate",
    "PositionLimit",
    "PriceBand",
    "StaleData",
    "VenueHealth",
]
