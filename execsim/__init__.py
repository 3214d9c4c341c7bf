"""execsim: one execution engine for prediction markets and crypto; backtest, paper and live with the same strategy.

The names below are the public interface; everything else is documented in its module. A strategy is

    async def run(ctx: Context) -> None: ...

and `execsim run SCENARIO` runs it. See README.md.
"""

from execsim.core.errors import (
    AuthenticationError,
    ConfigError,
    DataError,
    ExecError,
    ExecResult,
    ExecTimeout,
    InternalError,
    InvalidOrderState,
    InvalidResponse,
    JournalError,
    NetworkError,
    OrderNotFound,
    RateLimitExceeded,
    RiskRejected,
    ValidationError,
    VenueError,
    VenueNotSupported,
)
from execsim.core.events import Depth, OrderUpdate, Top, Trade
from execsim.core.fees import Liquidity
from execsim.core.instrument import Asset, Instrument, InstrumentKind, Outcome
from execsim.core.order import (
    CancelAck,
    Cause,
    Fill,
    FillId,
    MarketId,
    Order,
    OrderAck,
    OrderId,
    OrderReport,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
    VenueId,
)
from execsim.core.position import Position
from execsim.core.units import Grid
from execsim.engine.context import Context
from execsim.engine.flatten import Flattened
from execsim.engine.halt import Halt
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
from execsim.engine.risk import RiskAction, RiskContext, RiskDecision, RiskEngine
from execsim.engine.session import EngineConfig, ExecutionEngine
from execsim.engine.throttle import RateLimiter, RateLimiterConfig
from execsim.engine.track import OrderTracker
from execsim.engine.validate import OrderValidator, Refusal, ValidatorConfig
from execsim.observe import init_logging
from execsim.ports import Credentials, VenueAdapter, VenueConfig

__version__ = "0.1.0"

__all__ = [
    "Asset", "AuthenticationError", "CancelAck", "Cause", "ConfigError", "Context", "Credentials", "DailyLoss",
    "DataError", "Depth", "EngineConfig", "ExecError", "ExecResult", "ExecTimeout", "ExecutionEngine", "Fill",
    "FillId", "Flattened", "Grid", "Halt", "Instrument", "InstrumentKind", "InternalError", "InvalidOrderState",
    "InvalidResponse", "InventoryLimit", "JournalError", "KillSwitch", "Liquidity", "MarketId", "MaxDrawdown",
    "MaxNotional", "MaxOpenOrders", "MaxOrderSize", "MaxOutcomeLoss", "Metrics", "NetworkError", "Order", "OrderAck",
    "OrderId", "OrderNotFound", "OrderRate", "OrderReport", "OrderStatus", "OrderTracker", "OrderType", "OrderUpdate",
    "OrderValidator", "Outcome", "Position", "PositionLimit", "PriceBand", "RateLimitExceeded", "RateLimiter",
    "RateLimiterConfig", "Refusal", "RiskAction", "RiskContext", "RiskDecision", "RiskEngine", "RiskRejected", "Side",
    "StaleData", "TimeInForce", "Top", "Trade", "ValidationError", "ValidatorConfig", "VenueAdapter", "VenueConfig",
    "VenueError", "VenueHealth", "VenueId", "VenueNotSupported", "init_logging",
]  # fmt: skip
