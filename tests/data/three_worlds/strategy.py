"""One of everything a strategy does, one after the other, on a book that stands still. What it heard goes to `params.log`.

Run by tests/conformance/test_three_worlds.py on virtual time, over sockets and on a fake venue.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from execsim import Context, ExecError
from execsim.core.events import OrderUpdate
from execsim.core.order import Order, OrderStatus

MS = 1_000_000
Until = Callable[[Order], bool]


class Diary:
    """What was heard, as plain values without ids and times."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.said: list[Any] = []
        self.updates = ctx.updates()

    def note(self, what: str, *values: object) -> None:
        self.said.append([what, *values])

    async def hear(self, order: Order, until: Until) -> None:
        """Every update up to the one after which `until` holds; others' orders are heard as well."""
        while not until(order):
            self.write(await self.updates.__anext__())
        while self.updates._queue:  # what came with the last one
            self.write(await self.updates.__anext__())

    def write(self, update: OrderUpdate) -> None:
        order, fill, error = update.order, update.fill, update.error
        self.note(
            order.tag, update.event.value, update.before.value, update.after.value,
            [order.type.value, order.tif.value, order.side.value, order.price_i, order.size_lots, order.quote_amount],
            None if error is None else [type(error).__name__, error.message, error.reached.value],
            None if fill is None else [fill.lots, fill.price_i, fill.cash, fill.fee, fill.liquidity.value],
        )  # fmt: skip

    def position(self, market: str) -> None:
        position = self.ctx.position(market)
        self.note("position", position.yes_lots, position.no_lots, str(position.size), position.realised, position.fees)
        self.note("open", [order.tag for order in self.ctx.open_orders(market)])


def resting(order: Order) -> bool:
    return order.status is OrderStatus.WORKING


def ended(order: Order) -> bool:
    return order.is_terminal


async def run(ctx: Context) -> None:
    market = "coin"
    diary = Diary(ctx)
    async for top in ctx.top(market):
        if top.two_sided:
            break
    diary.note("top", top.bid_i, top.bid_lots, top.ask_i, top.ask_lots)
    diary.note("depth", *[list(map(list, side)) for side in (ctx.depth(market).bids, ctx.depth(market).asks)])

    async def place(tag: str, until: Until, *args: Any, **options: Any) -> Order:
        order = ctx.place(market, *args, tag=tag, **options)
        await diary.hear(order, until)
        return order

    rests = await place("limit", resting, "buy", "0.47", 10)
    await place("post-only", resting, "buy", "0.46", 5, type="post_only")
    await place("post-only that would take", ended, "buy", "0.52", 5, type="post_only")
    await place("ioc that takes a part", ended, "buy", "0.52", 100, tif="ioc")
    await place("ioc that finds nothing", ended, "buy", "0.52", 10, tif="ioc")
    await place("fok that cannot fill", ended, "buy", "0.53", 400, tif="fok")
    await place("fok", ended, "buy", "0.53", 20, tif="fok")
    await place("market order by money", ended, "buy", None, None, type="market", tif="ioc", amount=5)
    diary.position(market)
    await place("off the tick", ended, "buy", "0.481", 10)
    await place("too much for risk", ended, "buy", "0.45", 900)
    await place("more than the account has", ended, "buy", "0.40", 700)
    await place("limit that takes and is done", ended, "sell", "0.48", 25)
    gtd = await place("gtd", resting, "buy", "0.44", 7, tif="gtd", expire_ns=ctx.now_ns + 1_500 * MS)
    await ctx.modify_and_wait(rests, price="0.45", size=12)
    await diary.hear(rests, resting)
    diary.note("modified", rests.price_i, rests.size_lots)
    try:
        await ctx.modify_and_wait(rests, price="0.455")
    except ExecError as error:
        diary.note("modify refused", type(error).__name__, error.message)
    await diary.hear(rests, resting)
    ack = await ctx.cancel_and_wait(rests)
    diary.note("cancelled", ack.cancelled)
    await diary.hear(rests, ended)
    again = await ctx.cancel_and_wait(rests)
    diary.note("cancelled again", again.cancelled, again.reason)
    await diary.hear(gtd, ended)
    diary.position(market)
    Path(ctx.params["log"]).write_text(json.dumps(diary.said, indent=1))
    if ctx.params.get("interrupt"):
        os.kill(os.getpid(), signal.SIGINT)
