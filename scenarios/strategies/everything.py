"""Sends every kind of order in turn, so that a fault has something to break."""

from execsim import Context
from execsim.core.errors import ExecError

STEP_NS = 1_000_000_000


async def run(ctx: Context) -> None:
    market, resting, turn = ctx.markets[0], [], 0
    async for now_ns in ctx.every(STEP_NS):
        top, tick_i = ctx.best(market), ctx.tick_i(market)
        if top.bid_i is None or top.ask_i is None:
            continue
        lots = ctx.instrument(market).grid.lots(6)
        turn += 1
        bid_i, ask_i = top.bid_i - top.bid_i % tick_i, top.ask_i - top.ask_i % tick_i
        if turn % 2:
            resting.append(ctx.place_i(market, "buy", bid_i - tick_i, lots, type="post_only"))
        else:
            resting.append(ctx.place_i(market, "sell", ask_i + tick_i, lots, type="post_only"))
        if turn % 5 == 0:
            expire_ns = now_ns + 200 * STEP_NS
            resting.append(ctx.place_i(market, "sell", ask_i + 12 * tick_i, lots, tif="gtd", expire_ns=expire_ns))
        if turn % 7 == 0:
            ctx.place_i(market, "buy", ask_i, lots, tif="ioc")
        if turn % 11 == 0:
            ctx.place_i(market, "sell", bid_i, lots, tif="fok")
        if turn % 13 == 0:
            ctx.place(market, "buy", amount=3, type="market", tif="ioc", outcome="no")
        if turn % 3 == 0:
            alive = [order for order in resting if order.is_active]
            if len(alive) > 4:
                ctx.cancel(next((order for order in alive if order.tif != "gtd"), alive[0]))
            elif alive and alive[-1].status == "working":
                ctx.modify(alive[-1], size=7)
        if turn % 29 == 0:
            try:
                await ctx.split(market, 5)
                await ctx.merge(market, 5)
            except ExecError:
                pass
        resting = [order for order in resting if order.is_active]
