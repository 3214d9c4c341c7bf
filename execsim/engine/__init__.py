"""The one engine: validate, risk, track, throttle, journal, send; and the Context strategies are written on."""

from execsim.engine.breaker import BreakerConfig, BreakerState
from execsim.engine.context import Context
from execsim.engine.flatten import Flattened
from execsim.engine.halt import Halt
from execsim.engine.inquiry import InquiryConfig
from execsim.engine.metrics import Metrics
from execsim.engine.policies import (
    DailyLoss,
    InventoryLimit,
    KillSwitch,
    MaxDrawdown,
    MaxNotional,
    MaxOpenOrders,
    MaxOrderSize,
    MaxOutcomeLoss,
    OrderRate,
    PositionLimit,
    PriceBand,
    StaleData,
    VenueHealth,
)
from execsim.engine.portfolio import Portfolio, Totals
from execsim.engine.recover import ReconcileConfig
from execsim.engine.retry import RetryConfig
from execsim.engine.risk import Policy, PolicyTraits, RiskAction, RiskContext, RiskDecision, RiskEngine
from execsim.engine.route import RouteConfig
from execsim.engine.session import EngineConfig, ExecutionEngine
from execsim.engine.throttle import RateLimiter, RateLimiterConfig
from execsim.engine.track import OrderTracker
from execsim.engine.validate import Check, OrderValidator, Refusal, ValidatorConfig
from execsim.engine.view import EngineView

__all__ = [
    "BreakerConfig",
    "BreakerState",
    "Check",
    "Context",
    "DailyLoss",
    "EngineConfig",
    "EngineView",
    "ExecutionEngine",
    "Flattened",
    "Halt",
    "InquiryConfig",
    "InventoryLimit",
    "KillSwitch",
    "MaxDrawdown",
    "MaxNotional",
    "MaxOpenOrders",
    "MaxOrderSize",
    "MaxOutcomeLoss",
    "Metrics",
    "OrderRate",
    "OrderTracker",
    "OrderValidator",
    "Policy",
    "PolicyTraits",
    "Portfolio",
    "PositionLimit",
    "PriceBand",
    "RateLimiter",
    "RateLimiterConfig",
    "ReconcileConfig",
    "Refusal",
    "RetryConfig",
    "RiskAction",
    "RiskContext",
    "RiskDecision",
    "RiskEngine",
    "RouteConfig",
    "StaleData",
    "Totals",
    "ValidatorConfig",
    "VenueHealth",
]
