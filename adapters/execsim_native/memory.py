"""What an adapter must remember of its account to make good what a lost connection swallowed. Sans-IO.

heard(event), alive(id)           while the stream flows
since_ns, suspects(open)          what to ask the venue after a reconnect
missed(fills, reports, lost, ...) the events that would have come, in order
is_echo(event)                    an event of the new stream that `missed` has told already
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from execsim.core.events import (
    FillSettled,
    FillVoided,
    MarketClosed,
    MarketResolved,
    OrderFilled,
    OrderGone,
    TickChanged,
    VenueEvent,
)
from execsim.core.order import TERMINAL, Fill, FillStatus, MarketId, OrderId, OrderReport, OrderStatus
from execsim.core.units import NS_PER_S
from execsim.ports import MarketState

OVERLAP_NS: Final = 60 * NS_PER_S
"""How far before the newest fill we ask again: reports may have overtaken one another by so much."""
TOLD_MAX: Final = 10_000
"""Facts of one resync that are kept to recognise their echo on the stream."""
ENDED_MAX: Final = 10_000
"""Orders whose end is remembered until their ack has come: an ack is at most a deadline late."""
LOST: Final = "the venue no longer knows it"
"""Why an order is gone that the venue had booked, does not list as open and cannot find. How it ended nobody can say: its
fills are told first, and one that comes to light later still counts."""
FINAL: Final = (FillStatus.CONFIRMED, FillStatus.VOIDED)


class AccountMemory:
    """Bounded by open orders, unsettled fills and the fills of the last minute. `start_ns`: the venue's time when we
    began to listen; what was before is not ours to report."""

    def __init__(self, start_ns: int, markets: Iterable[MarketState]) -> None:
        self._start_ns = start_ns
        self._newest_ns = start_ns
        self._open: dict[OrderId, None] = {}
        self._ended: dict[OrderId, None] = {}
        self._fills: dict[str, Fill] = {}
        self._markets = {state.market: state for state in markets}
        self._told: dict[tuple[str, ...], None] = {}
        self._told_ns = 0

    # ---------------------------------------------------------------- while the stream flows
    def alive(self, order_id: OrderId) -> None:
        """The venue has acknowledged or listed it; its end may have been heard before."""
        if order_id not in self._ended:
            self._open[order_id] = None

    def ended(self, order_id: OrderId) -> None:
        """Nothing more will come of it."""
        self._open.pop(order_id, None)
        self._ended[order_id] = None
        if len(self._ended) > ENDED_MAX:
            del self._ended[next(iter(self._ended))]

    def heard(self, event: VenueEvent) -> None:
        """Take note of what the stream said."""
        match event:
            case OrderFilled(fill, done, _):
                self._keep(fill)
                if done:
                    self.ended(fill.order_id)
            case OrderGone(order_id=order_id):
                self.ended(order_id)
            case FillSettled(fill_id=fill_id, status=status):
                self._settle(fill_id, status)
            case FillVoided(fill_id=fill_id):
                self._settle(fill_id, FillStatus.VOIDED)
            case MarketClosed(market, proposed_i, _):
                self._change(market, proposed_i=proposed_i)
            case MarketResolved(market, payoff_i, _, _):
                self._change(market, payoff_i=payoff_i)
            case TickChanged(market, tick_i, _):
                self._change(market, tick_i=tick_i)

    def _keep(self, fill: Fill) -> None:
        self._fills[fill.id] = fill
        if fill.ts_ns > self._newest_ns:
            self._newest_ns = fill.ts_ns
            edge_ns = self._newest_ns - OVERLAP_NS
            for old in [f for f in self._fills.values() if f.ts_ns < edge_ns and f.status in FINAL]:
                del self._fills[old.id]

    def _settle(self, fill_id: str, status: FillStatus) -> None:
        if (fill := self._fills.get(fill_id)) is not None:
            self._fills[fill_id] = replace(fill, status=status)

    def _change(self, market: str, **known: int) -> None:
        if (state := self._markets.get(market)) is not None:
            self._markets[market] = MarketState(
                market, known.get("tick_i", state.tick_i), state.open, state.in_gap,
                known.get("proposed_i", state.proposed_i), known.get("payoff_i", state.payoff_i),
            )  # fmt: skip

    # ---------------------------------------------------------------- after a reconnect
    @property
    def since_ns(self) -> int:
        """Ask for fills from here on."""
        unsettled = [fill.ts_ns for fill in self._fills.values() if fill.status not in FINAL]
        return max(self._start_ns, min([self._newest_ns - OVERLAP_NS, *unsettled]))

    def suspects(self, open_ids: Iterable[OrderId]) -> list[OrderId]:
        """Orders we believe open that the venue does not list: ask for their status."""
        known = set(open_ids)
        return [order_id for order_id in self._open if order_id not in known]

    def missed(
        self,
        fills: Sequence[Fill],
        reports: Mapping[OrderId, OrderReport],
        lost: Iterable[OrderId],
        markets: Iterable[MarketState],
        now_ns: int,
    ) -> list[VenueEvent]:
        """What the venue would have told. `reports` are of the suspects, `lost` those it does not know any more, `now_ns` is
        the venue's time after all answers."""
        found: list[VenueEvent] = []
        new = [fill for fill in fills if fill.id not in self._fills]
        last = {fill.order_id: fill.id for fill in new}
        for fill in new:
            report = reports.get(fill.order_id)
            filled = report is not None and report.status is OrderStatus.FILLED
            shown = replace(fill, status=FillStatus.PROVISIONAL) if fill.status is FillStatus.VOIDED else fill
            found.append(OrderFilled(shown, filled and last[fill.order_id] == fill.id, now_ns))
        for fill in fills:
            found += self._settled(fill, now_ns)
        for report in reports.values():
            if report.status in TERMINAL and report.status is not OrderStatus.FILLED:
                lapsed = report.status is OrderStatus.EXPIRED
                found.append(OrderGone(report.order_id, "while we were away", lapsed, now_ns))
        found += [OrderGone(order_id, LOST, False, now_ns) for order_id in lost]
        for state in markets:
            found += self._moved(state, now_ns)
        self._told, self._told_ns = dict.fromkeys([_key(event) for event in found][-TOLD_MAX:]), now_ns
        for event in found:
            self.heard(event)
        for report in reports.values():
            if report.status in TERMINAL:
                self.ended(report.order_id)
        return found

    def _settled(self, fill: Fill, now_ns: int) -> Iterable[VenueEvent]:
        """A fill we know as something else; a new one that failed meanwhile is reported, and then voided."""
        known = self._fills.get(fill.id)
        before = known.status if known is not None else FillStatus.PROVISIONAL
        if fill.status is FillStatus.VOIDED and before is not FillStatus.VOIDED:
            yield FillVoided(fill.id, fill.order_id, now_ns)
        elif known is not None and fill.status is not before and before not in FINAL:
            yield FillSettled(fill.id, fill.order_id, fill.status, now_ns)

    def _moved(self, state: MarketState, now_ns: int) -> Iterable[VenueEvent]:
        known, market = self._markets.get(state.market), MarketId(state.market)
        if known is None:
            return
        if state.tick_i != known.tick_i:
            yield TickChanged(market, state.tick_i, now_ns)
        if state.payoff_i is not None and known.payoff_i is None:
            yield MarketResolved(market, state.payoff_i, now_ns, state.paid)
        elif state.proposed_i is not None and known.proposed_i is None:
            yield MarketClosed(market, state.proposed_i, now_ns)

    def is_echo(self, event: VenueEvent) -> bool:
        """Whether the resync has told this already (the stream began before its answers)."""
        return bool(self._told) and event.ts_ns <= self._told_ns and _key(event) in self._told


def _key(event: VenueEvent) -> tuple[str, ...]:
    """What makes two reports the same fact."""
    kind = type(event).__name__
    match event:
        case OrderFilled(fill, _, _):
            return (kind, fill.id)
        case FillSettled(fill_id=fill_id, status=status):
            return (kind, fill_id, status)
        case FillVoided(fill_id=fill_id):
            return (kind, fill_id)
        case OrderGone(order_id=order_id):
            return (kind, order_id)
        case MarketClosed(market=market) | MarketResolved(market=market):
            return (kind, market)
        case TickChanged(market, tick_i, _):
            return (kind, market, str(tick_i))
        case _:
            return (kind, repr(event))
