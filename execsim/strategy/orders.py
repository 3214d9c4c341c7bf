"""The order script: places and cancels a list of orders at their times. Users replay their own orders without code.

The list is read and checked at the edge (`execsim.scenario.script.load_script`) and arrives as ready values in
`ctx.params["orders"]`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

from execsim.core.errors import ConfigError
from execsim.core.instrument import Outcome
from execsim.core.order import Order, OrderType, Side, TimeInForce
from execsim.strategy.params import describe, params_of

if TYPE_CHECKING:
    from execsim.engine.context import Context


class Action(StrEnum):
    PLACE = "place"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class ScriptedOrder:
    """One line of a script, checked. `at_ns` and `expire_ns` are instants; price and size are of the `outcome` traded.

    `id` is unique among the placed orders; a CANCEL names the one it cancels and uses nothing else. Exactly one of
    `size` and `amount` (money) is set.
    """

    at_ns: int
    id: str
    market: str = ""
    action: Action = Action.PLACE
    side: Side = Side.BUY
    type: OrderType = OrderType.LIMIT
    tif: TimeInForce = TimeInForce.GTC
    price: Decimal | None = None
    size: Decimal | None = None
    amount: Decimal | None = None
    outcome: Outcome = Outcome.YES
    expire_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Params:
    """Parameters of the order script."""

    orders: Annotated[tuple[ScriptedOrder, ...], "the script, in any order of time"]

    def __post_init__(self) -> None:
        for item in self.orders:
            if not isinstance(item, ScriptedOrder):
                raise ConfigError(f"strategy orders: {item!r} is no ScriptedOrder", "read the file with load_script")


PARAMS: Final = describe(Params)


async def run(ctx: Context) -> None:
    """Place and cancel at the stated times, equal times in the order given; return after the last line.

    A line whose time is over when its turn comes is carried out at once, and its tag says how late. A refused order
    does not stop the script. Errors: ConfigError for a cancel whose order was never placed.
    """
    params = params_of(Params, ctx.params, "orders")
    placed: dict[str, Order] = {}
    for item in sorted(params.orders, key=lambda line: line.at_ns):
        late_ns = ctx.now_ns - item.at_ns
        if late_ns < 0:
            await ctx.sleep(-late_ns)
        if item.action is Action.PLACE:
            placed[item.id] = _place(ctx, item, late_ns)
        elif item.id not in placed:
            raise ConfigError(f"order script: cancel of {item.id!r}, which was not placed", "place it first")
        elif placed[item.id].is_active:
            ctx.cancel(placed[item.id])


def _place(ctx: Context, item: ScriptedOrder, late_ns: int) -> Order:
    return ctx.place(
        item.market,
        item.side,
        item.price,
        item.size,
        type=item.type,
        tif=item.tif,
        outcome=item.outcome,
        amount=item.amount,
        expire_ns=item.expire_ns,
        tag=f"{item.id} (late by {late_ns} ns)" if late_ns > 0 else item.id,
    )
