"""The simulated exchange passes the `VenueAdapter` suite in virtual and in wall time, directly and behind the native
dialect (in memory, over sockets), and says the same everywhere."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

import pytest
from native_worlds import Memory, Sockets, money_of
from venue_session import PROFILE, SHARE, Session, Wire
from venue_suite import VenueSuite, busy_session, busy_tape
from worlds import MS, START_NS, Tape, World

from execsim.core.instrument import Asset, Instrument
from execsim.kernel import warm_up
from execsim.ports import VenueProfile
from execsim.runtime import VirtualRuntime, WallRuntime


@pytest.fixture(scope="module", autouse=True)
def kernel() -> None:
    """Loading the compiled kernel takes a second: before the wall clock counts."""
    warm_up()


class Simulated(World):
    """The simulated exchange on a tape, as the suite wants it."""

    wire = Wire()

    def __init__(self, runtime: Any, exact: bool, tape: Tape, instrument: Instrument, profile: VenueProfile) -> None:
        super().__init__(runtime, tape, [instrument], profile=profile)
        self.adapter = self.venue
        self.exact = exact

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        async def both() -> None:
            self.runtime.spawn(self.market.run(), "tape", daemon=True)
            await main

        self.runtime.run(main=both())  # type: ignore[attr-defined]  # a runtime's own method, not of the port
        self.venue.ledger.check()


def funded(world: Simulated, instrument: Instrument, money: Mapping[str, int], sets: int) -> Simulated:
    for name, units in money.items():
        world.fund(Asset(name, instrument.quote.unit), units)
    world.split(instrument.market, sets)
    return world


class TestVirtualTime(VenueSuite):
    def make(
        self, tape: Tape, instrument: Instrument, profile: VenueProfile, money: Mapping[str, int], sets: int, speed: int
    ) -> Simulated:
        world = Simulated(VirtualRuntime(7, START_NS), True, tape, instrument, profile)
        return funded(world, instrument, money, sets)


class TestWallTime(VenueSuite):
    def make(
        self, tape: Tape, instrument: Instrument, profile: VenueProfile, money: Mapping[str, int], sets: int, speed: int
    ) -> Simulated:
        runtime = WallRuntime(7, START_NS, speed, cleanup_ns=200 * MS)
        return funded(Simulated(runtime, False, tape, instrument, profile), instrument, money, sets)


class TestNativeInMemory(VenueSuite):
    """Virtual time, the native client joined to the native dialect: times are exact here too."""

    def make(
        self, tape: Tape, instrument: Instrument, profile: VenueProfile, money: Mapping[str, int], sets: int, speed: int
    ) -> Memory:
        return Memory(tape, [instrument], money=money_of(instrument, money), sets=sets, profile=profile)


class TestNativeOverSockets(VenueSuite):
    """Wall time, over TCP on loopback."""

    def make(
        self, tape: Tape, instrument: Instrument, profile: VenueProfile, money: Mapping[str, int], sets: int, speed: int
    ) -> Sockets:
        return Sockets(tape, [instrument], speed, money=money_of(instrument, money), sets=sets, profile=profile)


@pytest.mark.parametrize("other", [TestWallTime, TestNativeInMemory, TestNativeOverSockets])
def test_every_way_to_the_venue_publishes_the_same_in_the_same_order(other: type[VenueSuite]) -> None:
    """The same callbacks in the same order, event for event, and the same money."""

    def played(suite: VenueSuite) -> Session:
        return suite.play(busy_tape(), busy_session, profile=PROFILE)

    virtual, wall = played(TestVirtualTime()), played(other())
    assert wall.log == virtual.log
    # a venue's own names for orders differ: it has named those of another account
    assert [(f.order_id, f.price_i, f.lots, f.cash, f.fee, f.cause) for f in wall.fills] == [
        (f.order_id, f.price_i, f.lots, f.cash, f.fee, f.cause) for f in virtual.fills
    ]
    assert wall.engine.portfolio.cash == virtual.engine.portfolio.cash
    kinds = {kind for kind, _, _ in virtual.log}
    assert kinds == {"send", "ack", "refuse", "fill", "done", "gone", "lapse", "ask_cancel"}
    assert sum(fill.lots for fill in virtual.fills) > 100 * SHARE
