"""The smart order router as a strategy: one parent order over all markets of the run, which are the same thing."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Final

from execsim.core.errors import ConfigError, ValidationError
from execsim.core.units import decimal_of
from execsim.strategy.algos.router import start_router
from execsim.strategy.algos.tactics import Style
from execsim.strategy.params import above_zero, at_least, describe, params_of
from execsim.strategy.parents import ParentParams, work

if TYPE_CHECKING:
    from execsim.engine.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Params(ParentParams):
    """Parameters of the router; `reprice_ns` and `patience_ns` mean nothing to it, as its orders never rest."""

    penalties: Annotated[tuple[str, ...], 'what a market costs besides, per unit: ["btc-k=0.002"]'] = ()
    price_per_s: Annotated[Decimal, "what a second from order to ack, as measured, costs per unit"] = Decimal(0)
    depth: Annotated[int, "levels of each book that are looked at"] = 20
    duration_ns: Annotated[int, "time after which it ends; 0: none"] = 0

    def __post_init__(self) -> None:
        self.check("router")
        above_zero("router", depth=self.depth)
        at_least("router", 0, price_per_s=self.price_per_s, duration_ns=self.duration_ns)
        self.penalty_by_market()

    def penalty_by_market(self) -> dict[str, Decimal]:
        """Errors: ConfigError for an entry that is no market=number."""
        found = {}
        for text in self.penalties:
            market, _, price = str(text).partition("=")
            try:
                found[market.strip()] = decimal_of(price.strip(), "penalty")
            except ValidationError:
                raise ConfigError(f"strategy router: {text!r} in penalties", "write market=0.002") from None
        return found


PARAMS: Final = describe(Params)


async def run(ctx: Context) -> None:
    """Work one parent over all markets until it has ended. Errors: ConfigError."""
    p = params_of(Params, ctx.params, "router")
    await work(
        ctx, p.delay_ns, ctx.markets[:1],
        lambda _: start_router(
            ctx, ctx.markets, p.side, p.size, limit=p.limit_or_none, outcome=p.outcome,
            duration_ns=p.duration_ns or None, penalties=p.penalty_by_market(), price_per_s=p.price_per_s,
            depth=p.depth, tactics=p.tactics(Style.AGGRESSIVE),
        ),
    )  # fmt: skip
