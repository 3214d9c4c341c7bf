"""The shipped quoter on two markets of two venues, each with parameters of its own."""

from execsim import Context
from execsim.strategy import SHIPPED

PARAMS = {
    "btc-up": {"size": 10, "max_position": 50},
    "BTCUSDT": {"size": "0.01", "skew_ticks": 20, "skew_max_ticks": 200, "max_position": "0.1", "shorting": True},
}


async def run(ctx: Context) -> None:
    quoters = [ctx.spawn(SHIPPED["quoter"].run(ctx.narrow([m], PARAMS[m])), f"quoter {m}") for m in ctx.markets]
    for quoter in quoters:
        await quoter.join()
