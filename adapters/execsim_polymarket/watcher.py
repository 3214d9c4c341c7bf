"""`PolymarketData`: Polymarket's public market data and nothing else, over any transport.

    config = VenueConfig(VenueId("polymarket"), extra={"markets": {"btc-up": "0x..."}})
    data = PolymarketData(config, WebTransport(REST, WS), runtime)
    await data.start()                  # what the markets are
    data.feed(sink)                     # the market channel

It asks for markets and their terms and subscribes to the market channel: no login, no user channel, and no way to order.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from execsim.core.errors import ConfigError, ExecError
from execsim.core.events import VenueEvent
from execsim.core.instrument import Instrument
from execsim.ports import Crew, MarketSink, Runtime, Task, Transport, VenueConfig
from execsim_polymarket import endpoints
from execsim_polymarket.calls import Calls
from execsim_polymarket.listing import Listed, condition_of, listed
from execsim_polymarket.market_stream import MarketStream
from execsim_polymarket.wire.markets import CLOB_MARKET

log = logging.getLogger("execsim.polymarket")


class PolymarketData:
    """`ports.MarketSource`. `extra`: markets (the engine's name -> condition id, token id or slug), rules (the engine's name
    -> overrides, `instruments.OVERRIDES`)."""

    def __init__(self, config: VenueConfig, transport: Transport, runtime: Runtime) -> None:
        self._venue_id = config.venue_id
        self._wanted: dict[str, str] = dict(config.extra.get("markets", {}))
        self._rules: Mapping[str, Mapping[str, Any]] = config.extra.get("rules", {})
        self._transport = transport
        self._runtime = runtime
        self._calls = Calls(transport, runtime, "")
        self.by_condition: dict[str, Listed] = {}
        self._crew = Crew(runtime, self._venue_id)

    async def start(self) -> None:
        """Errors: NetworkError, VenueError; ConfigError: no such market, or two names for one."""
        for name, wanted in self._wanted.items():
            condition = await condition_of(self._calls, wanted)
            found = await self._calls.get(CLOB_MARKET, endpoints.GET_CLOB_MARKET, name=condition)
            item = listed(name, found, self._rules.get(name, {}), self._venue_id)
            other = self.by_condition.setdefault(item.condition, item)
            if other is not item:
                raise ConfigError(f"markets {other.name!r} and {name!r} are the same market there", "remove one")

    def instruments(self) -> Mapping[str, Instrument]:
        return {item.name: item.instrument for item in self.by_condition.values()}

    def feed(self, sink: MarketSink) -> Task:
        """Market data of every market to the sink, over reconnects, until it is closed."""
        stream = MarketStream(self, self._runtime, self._transport, sink, _nobody)
        return self._crew.spawn(stream.run(self._crew.spawn), "market data")

    def refresh_soon(self, item: Listed) -> None:
        """Read a market's terms again."""
        self._crew.spawn(self._refresh(item), f"terms of {item.name}")

    async def _refresh(self, item: Listed) -> None:
        try:
            item.refresh(await self._calls.get(CLOB_MARKET, endpoints.GET_CLOB_MARKET, name=item.condition))
        except ExecError as error:
            log.warning("polymarket: the terms of %s could not be read again: %s", item.name, error)

    async def aclose(self) -> None:
        await self._crew.aclose()


def _nobody(event: VenueEvent) -> None:
    """Ticks and resolutions come by the sink as well; there is no engine here to hear them as events."""
