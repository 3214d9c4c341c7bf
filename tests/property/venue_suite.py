"""What every `VenueAdapter` must do, asked through the real engine. Subclass `VenueSuite`, give `make` (venue_session)."""

from __future__ import annotations

from suite_orders import Cancelling, Placing
from suite_trading import Amending, Taking
from suite_venue import Doings
from venue_session import BUY, GTD, IOC, POST_ONLY, SELL, SHARE, STEP, Session, quiet
from worlds import START_NS, Tape

from execsim.core.order import OrderId
from execsim.tape.schema import Kind


class VenueSuite(Placing, Cancelling, Amending, Taking, Doings):
    """All of it, whole, wherever it is played."""


async def busy_session(s: Session) -> None:
    """A bit of everything, for comparing what two runtimes publish. Needs `busy_tape`."""
    await s.at(1)
    s.send(s.order("bid", BUY, 10, "0.48"))
    s.send(s.order("ask", SELL, 10, "0.52", type=POST_ONLY))
    await s.at(2)
    s.send(s.order("cross", BUY, 10, "0.52", type=POST_ONLY))
    s.send(s.order("take", BUY, 120, "0.52", tif=IOC))
    await s.at(4)
    s.spawn(s.engine.modify_order(OrderId("bid"), size_lots=8 * SHARE))
    s.send(s.order("gtd", BUY, 10, "0.40", tif=GTD, expire_ns=START_NS + int(5.5 * STEP)))
    await s.at(6)
    s.send(s.order("gone", BUY, 5, "0.30"))
    s.spawn(s.engine.cancel_order(OrderId("gone")))
    await s.at(8)
    s.spawn(s.engine.submit_batch([s.order("x", SELL, 20, "0.45"), s.order("y", BUY, 1, "0.45")]))
    await s.at(11)


def busy_tape() -> Tape:
    tape = quiet().trade(3 * STEP, -1, 4800, 103 * SHARE).level(3 * STEP, 1, 4800, 5 * SHARE)
    tape.trade(5 * STEP, 1, 5300, 4 * SHARE).trade(7 * STEP, -1, 4700, 30 * SHARE)
    return tape.level(7 * STEP, 1, 4800, 0).add(10 * STEP, Kind.RESOLVE, price=2_500)
