"""The small worlds of the exchange tests behind Polymarket's protocol: adapter and server in memory, in virtual time."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

from native_worlds import Served, Trader
from polymarket_script import CREDENTIALS
from worlds import START_NS, VENUE_NAME, Tape

from execsim.core.instrument import Instrument
from execsim.core.order import VenueId
from execsim.exchange.loopback import Loopback
from execsim.ports import VenueConfig
from execsim.runtime import VirtualRuntime
from execsim_polymarket.client import PolymarketVenue
from execsim_polymarket.dialect import PolymarketDialect
from execsim_polymarket.signing import Identity, SigningTransport, account_of


class SuiteVenue(PolymarketVenue):
    """The adapter with the suite's own instrument: what the venue tells of a market is less than the suite's rules say."""

    suite: Mapping[str, Instrument]

    async def _list(self, name: str, wanted: str) -> None:
        await super()._list(name, wanted)
        item = self.by_name[name]
        item.market = replace(item.market, instrument=self.suite[name])


class PolymarketMemory(Served):
    """What venue_suite wants: one trader's engine on the adapter, joined to the dialect by a loopback."""

    exact = False

    def __init__(self, tape: Tape, instruments: Sequence[Instrument], **options: Any) -> None:
        super().__init__(VirtualRuntime(7, START_NS), tape, instruments, **options)
        account = account_of(CREDENTIALS)
        self.transport = SigningTransport(Loopback(self.runtime, PolymarketDialect(), self.desk), account)
        markets = {instrument.market: instrument.market for instrument in instruments}
        extra = {"identity": Identity.of(account).plain(), "markets": markets}
        self.adapter = SuiteVenue(VenueConfig(VenueId(VENUE_NAME), extra=extra), self.transport, self.runtime)
        self.adapter.suite = {instrument.market: instrument for instrument in instruments}
        self._trader = Trader(self, self.adapter)  # type: ignore[arg-type]  # a LiveVenue is enough
        self.engine, self.books = self._trader.engine, self._trader.books

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        async def played() -> None:
            await self.adapter.start()
            self._trader.join()
            self.runtime.spawn(self.market.run(), "tape", daemon=True)
            await main
            await self.adapter.aclose()
            await self.transport.aclose()

        self.runtime.run(main=played())
        self.ledger.check()
