"""One order on Polymarket, from the environment to the cancel: place, status, position, list, cancel.

    export EXECSIM_POLYMARKET_PRIVATE_KEY=0x...       # the key that signs
    export EXECSIM_POLYMARKET_FUNDER=0x...            # the wallet with the money, if it is not the key's own address
    export EXECSIM_POLYMARKET_HOST=http://127.0.0.1:PORT   # `execsim serve`; leave it out for the real venue
    python scenarios/place_order.py MARKET --price 0.40 --size 5 --yes-live

MARKET is a condition id, a token id or a slug. Without --yes-live nothing is sent but questions. The order is cancelled at
the end, whatever happens; what may still be open then is said, and the exit code is 1. It is 2 if the order failed and
nothing is open.
"""

from __future__ import annotations

import argparse
import os
import sys

from execsim.core.errors import ExecError
from execsim.core.order import Order, OrderType, Side, VenueId
from execsim.core.units import NS_PER_S
from execsim.engine import EngineConfig, ExecutionEngine
from execsim.engine.policies import MaxOrderSize, PositionLimit
from execsim.engine.risk import RiskEngine
from execsim.journal import HashJournal
from execsim.market import Books, Ladders
from execsim.plugins import venue as plugin_of
from execsim.ports import LiveVenue, VenueConfig
from execsim.runtime import SessionTransport, WallRuntime
from execsim.scenario.live import LiveAddress, live_address

VENUE = "polymarket"
GRACE_NS = 5 * NS_PER_S
NAME = "market"
"""What the market is called here."""


async def trade(runtime: WallRuntime, address: LiveAddress, market: str, price: str, size: str, send: bool) -> int:
    """Exit code."""
    # the adapter: who trades (`known` holds no secret), where, and on which market
    transport = SessionTransport(runtime, address.transport())
    config = VenueConfig(VenueId(VENUE), extra={**address.known, "markets": {NAME: market}})
    connect = plugin_of(VENUE).connect
    assert connect is not None  # Polymarket has an adapter
    venue = connect(config, transport, runtime)
    try:
        await venue.start()
        engine = engine_of(runtime, venue, size)
        print("balances", dict(await venue.balances()))
        if not send:
            print("nothing is sent without --yes-live")
            return 0
        return await one_order(runtime, engine, venue, price, size)
    finally:
        await venue.aclose()
        await transport.aclose()


def engine_of(runtime: WallRuntime, venue: LiveVenue, size: str) -> ExecutionEngine:
    """An engine with one venue, books that follow it, and limits that fit one order."""
    engine = ExecutionEngine(EngineConfig(), runtime, HashJournal())
    engine.register_adapter(venue)
    ladders = Ladders({NAME: venue.instruments()[NAME].tick_i})
    ladders.sink = books = Books(runtime, ladders, ladders, [NAME])
    engine.attach_books(books)
    engine.set_risk_engine(RiskEngine([PositionLimit(max_size=size), MaxOrderSize(max_size=size)]))
    venue.feed(ladders)
    return engine


async def one_order(runtime: WallRuntime, engine: ExecutionEngine, venue: LiveVenue, price: str, size: str) -> int:
    instrument = engine.instrument(NAME)
    grid = instrument.grid
    order = Order(
        engine.new_order_id(), instrument, Side.BUY, OrderType.LIMIT, size_lots=grid.lots(size), price_i=grid.price_i(price)
    )  # fmt: skip
    code = 0
    try:
        ack = await engine.submit_order(order)
        print("placed", order.id, "as", ack.venue_order_id)
        report = await venue.get_order_status(order.id)
        print("status", report.status.value, "filled", grid.size(report.filled_lots), "of", order.size)
        print("position", grid.size(engine.get_position(NAME).net_lots))
        print("open at the venue", [found.venue_order_id for found in await venue.get_open_orders(NAME)])
    except ExecError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        code = 2
    finally:
        left = await cancelled(runtime, engine)
        print("may still be open" if left else "not open", order.id, order.status.value)
    return 1 if left else code


async def cancelled(runtime: WallRuntime, engine: ExecutionEngine) -> list[Order]:
    """Cancel everything; what may still be open after some seconds, e.g. because the venue does not answer."""
    try:
        await engine.cancel_all()
    except ExecError as error:
        print(f"cancel: {type(error).__name__}: {error}", file=sys.stderr)
    until_ns = runtime.now_ns() + GRACE_NS
    while engine.get_active_orders() and runtime.now_ns() < until_ns:
        await runtime.sleep(NS_PER_S // 50)
    return engine.get_active_orders()


def main() -> int:
    parser = argparse.ArgumentParser(description="Place one order on Polymarket, look at it, cancel it.")
    parser.add_argument("market", help="condition id, token id or slug")
    parser.add_argument("--price", default="0.01")
    parser.add_argument("--size", default="5", help="shares")
    parser.add_argument("--yes-live", action="store_true", help="really send it")
    asked = parser.parse_args()
    try:
        address = live_address(VENUE)
        failed = [finding for finding in address.examine({NAME: asked.market}) if finding.grade == "fail"]
        for finding in failed:
            print(f"{finding.check}: {finding.said}; {finding.fix}", file=sys.stderr)
        if failed:
            return 2
        runtime = WallRuntime(seed=int.from_bytes(os.urandom(6)))
        code = runtime.run(main=trade(runtime, address, asked.market, asked.price, asked.size, asked.yes_live))
    except ExecError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    return 1 if code is None else code


if __name__ == "__main__":
    sys.exit(main())
