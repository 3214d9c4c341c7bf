"""Trades without a pause: rests, takes, amends, cancels. A new session goes on where it finds itself."""

from __future__ import annotations

from execsim import Context, OrderStatus


async def run(ctx: Context) -> None:
    market, rng = ctx.markets[0], ctx.rng("bot")
    if ctx.params.get("rests"):
        return
    lot = ctx.instrument(market).size_min_lots or 1
    async for _ in ctx.every(40_000_000):
        top, tick = ctx.best(market), ctx.tick_i(market)
        if top.bid_i is None or top.ask_i is None:
            continue
        resting = [order for order in ctx.open_orders(market) if order.status is OrderStatus.WORKING]
        what = rng.below(10)
        side = "buy" if rng.below(2) else "sell"
        near, far = (top.bid_i, top.ask_i) if side == "buy" else (top.ask_i, top.bid_i)
        away = tick * (1 + rng.below(3)) * (1 if side == "buy" else -1)
        if what < 4:
            ctx.place_i(market, side, min(max(near - away, tick), 10_000 - tick), lot * (1 + rng.below(5)))
        elif what < 6:
            ctx.place_i(market, side, far, lot * (1 + rng.below(3)), tif="ioc")
        elif what < 8 and resting:
            ctx.cancel(resting[rng.below(len(resting))])
        elif resting:
            order = resting[rng.below(len(resting))]
            ctx.modify(order, size=float(order.size or 1) + 1)
        for order in resting[:-12]:
            ctx.cancel(order)
