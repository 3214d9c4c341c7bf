"""Where faults are switched: begins and ends effects by their schedules, and answers for all that are active.

Everything begins and ends at its own time (timers), not at the next tape row. While no fault is planned the desk costs one
attribute read a message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from execsim.core.errors import ExecError
from execsim.core.events import OrderFilled, VenueEvent
from execsim.core.request import RequestKind
from execsim.exchange.faults.effects import Active, Effect, Levers
from execsim.exchange.faults.packs import Pack
from execsim.exchange.faults.schedule import Schedule
from execsim.ports import Priority, Rng, Runtime


def event_order(event: VenueEvent) -> str:
    """The order a report is about, "" for reports about markets."""
    if isinstance(event, OrderFilled):
        return event.fill.order_id
    return str(getattr(event, "order_id", ""))


class FaultDesk:
    """The faults of one venue. `plan` them before the run, `start` with it, `stop` before its end is settled."""

    def __init__(self, runtime: Runtime, venue_id: str) -> None:
        self._runtime = runtime
        self._venue_id = venue_id
        self._rng: Rng = runtime.rng(f"{venue_id}.faults")
        self._planned: list[tuple[Pack, Schedule, Rng]] = []
        self._by_order: list[tuple[Pack, Schedule]] = []
        self._active: list[Active] = []
        self._levers: Levers | None = None
        self._start_ns = 0
        self._orders = 0
        self._over = False
        self.watching = False
        """whether anything is planned or active: else nobody needs to ask"""
        self.on_thaw: list[Callable[[], None]] = []
        """called when reports may flow again"""
        self.counts: dict[str, int] = {}
        """pack -> how often it began"""

    # ---------------------------------------------------------------- switching
    def plan(self, pack: Pack, schedule: Schedule) -> None:
        """Add a fault. Packs of one name may be planned several times."""
        number = len(self._planned)
        rng = self._runtime.rng(f"{self._venue_id}.faults.{number}.{pack.name}")
        self._planned.append((pack, schedule, rng))
        if schedule.by_order:
            self._by_order.append((pack, schedule))
        self.watching = True

    def start(self, levers: Levers) -> None:
        """The run begins now: set the timers of everything that is planned."""
        self._levers = levers
        self._start_ns = self._runtime.now_ns()
        for pack, schedule, rng in self._planned:
            for at_ns in schedule.at_ns:
                self._runtime.call_at(self._start_ns + at_ns, self.begin, pack, priority=Priority.VENUE)
            self._next_random(pack, schedule, rng, 0)

    def _next_random(self, pack: Pack, schedule: Schedule, rng: Rng, from_ns: int) -> None:
        at_ns = schedule.next_random_ns(rng, from_ns)
        if at_ns is not None:
            when = self._start_ns + at_ns
            self._runtime.call_at(when, self._random, pack, schedule, rng, at_ns, priority=Priority.VENUE)

    def _random(self, pack: Pack, schedule: Schedule, rng: Rng, at_ns: int) -> None:
        if not self._over:
            self.begin(pack)
            self._next_random(pack, schedule, rng, at_ns)

    def begin(self, pack: Pack, only: str | None = None) -> None:
        """Let it happen now (also while a served exchange runs); `only` to messages about that order."""
        if self._over or self._levers is None:
            return
        self.watching = True
        self.counts[pack.name] = self.counts.get(pack.name, 0) + 1
        now_ns = self._runtime.now_ns()
        for part in pack.parts():
            start_ns = now_ns + part.after_ns
            until_ns = start_ns + part.lasts_ns
            active = Active(part.effect, only, until_ns, pack.name)
            if part.after_ns:
                self._runtime.call_at(start_ns, self._on, active, priority=Priority.VENUE)
            else:
                self._on(active)

    def _on(self, active: Active) -> None:
        if self._over or self._levers is None:
            return
        self._active.append(active)
        active.effect.begin(self._levers)
        self._runtime.call_at(active.until_ns, self._off, active, priority=Priority.VENUE)

    def _off(self, active: Active) -> None:
        if active not in self._active or self._levers is None:
            return
        frozen = self.frozen
        self._active.remove(active)
        active.effect.end(self._levers)
        if frozen and not self.frozen:
            for thaw in self.on_thaw:
                thaw()

    def is_active(self, name: str) -> bool:
        """Whether a pack of that name is at work now."""
        return any(active.pack == name for active in self._active)

    def end(self, name: str) -> None:
        """Let what is active of that pack be over now."""
        for active in [active for active in self._active if active.pack == name]:
            self._off(active)

    def stop(self) -> None:
        """The end of the run: everything works again, so that what is left can be settled."""
        for active in list(self._active):
            self._off(active)
        self._over = True
        self.watching = False

    # ---------------------------------------------------------------- asked about every message
    def count_orders(self, order_id: str, orders: int) -> None:
        """Orders are being sent: those a schedule names bring their fault with them."""
        first, self._orders = self._orders + 1, self._orders + orders
        for pack, schedule in self._by_order:
            if any(schedule.hits(number) for number in range(first, self._orders + 1)):
                self.begin(pack, order_id if pack.per_order else None)

    def _about(self, order_id: str | None = None) -> list[Effect]:
        """Effects at work on a message about that order (None: on everything). The same effect twice at once is one: two
        outages are not twice as dark, and reports that come twice do not come four times."""
        found: list[Effect] = []
        for active in self._active:
            if (active.only is None or active.only == order_id) and active.effect not in found:
                found.append(active.effect)
        return found

    @property
    def frozen(self) -> bool:
        """Whether reports are held back."""
        return any(a.effect.freezes for a in self._active)

    def loses(self, kind: RequestKind, order_id: str) -> str | None:
        """How a request that is being sent gets lost, or None."""
        found = (effect.loses(kind, self._rng) for effect in self._about(order_id))
        return next((how for how in found if how is not None), None)

    def slow_ns(self, kind: RequestKind) -> int:
        return sum(effect.slow_ns(kind) for effect in self._about())

    def refusal(self, kind: RequestKind, order_id: str, post_only: bool) -> ExecError | None:
        """Why the door refuses a request that has arrived, or None."""
        now_ns = self._runtime.now_ns()
        for active in self._active:
            if active.only is None or active.only == order_id:
                left_ns = max(0, active.until_ns - now_ns)
                said = active.effect.refusal(kind, post_only, self._venue_id, left_ns, self._rng)
                if said is not None:
                    return said
        return None

    def answer(self, kind: RequestKind, order_id: str) -> tuple[bool, int]:
        """(lost, late by ns) for an answer about to be sent."""
        lost, late_ns = False, 0
        for effect in self._about(order_id):
            gone, more_ns = effect.answer(kind, self._rng)
            lost, late_ns = lost or gone, late_ns + more_ns
        return lost, late_ns

    def copies(self, event: VenueEvent) -> Sequence[int]:
        """Extra ns of each copy of a report that is about to be sent."""
        found: list[int] = [0]
        for effect in self._about(event_order(event)):
            found = [a + b for a in found for b in effect.copies(event, self._rng)]
        return found
