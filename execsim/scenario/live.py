"""Trading at the venue itself: where it is, who trades there, what was looked at first. Nothing here runs without `--live`.

environment ──credentials──▶ LiveDoor.secure ──▶ a transport that signs      (the secrets end here)
                                  └──▶ what may be known of them ──▶ adapter, journal
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from execsim import plugins
from execsim.core.errors import ConfigError
from execsim.core.units import NS_PER_S
from execsim.engine.policies import (
    DailyLoss,
    InventoryLimit,
    MaxDrawdown,
    MaxNotional,
    MaxOutcomeLoss,
    PositionLimit,
)
from execsim.net.web import WebTransport, is_loopback_url
from execsim.observe import conceal
from execsim.ports import Credentials, DeskClock, Finding, LiveDoor, Transport
from execsim.runtime import SessionTransport, WallRuntime
from execsim.scenario import model
from execsim.scenario.build import risk_engine

SKEW_NS: Final = 30 * NS_PER_S
"""Farther than this from our clock the venue lives in a time of its own (a served recording): the run takes that over."""
LIMITING: Final = (PositionLimit, InventoryLimit, MaxNotional, MaxOutcomeLoss, MaxDrawdown, DailyLoss)
"""Policies that bound sizes or losses. The others (a kill switch, order rates, fresh data) bound neither."""
PREFIX: Final = "EXECSIM_"
LIVE: Final = "live"


@dataclass(frozen=True, slots=True)
class LiveAddress:
    """`session.Door` of a venue. `used`: which environment variables were read, by name only."""

    dialect: str
    rest: str
    ws: str
    known: Mapping[str, Any]
    used: tuple[str, ...]
    door: LiveDoor = field(repr=False)
    credentials: Credentials = field(repr=False)

    @property
    def mode(self) -> str:
        return LIVE

    @property
    def account(self) -> str:
        return str(self.known.get("identity", {}).get("funder", ""))

    @property
    def local(self) -> bool:
        """The host is this machine: `execsim serve`."""
        return is_loopback_url(self.rest)

    def transport(self) -> Transport:
        return self.door.secure(self.credentials, WebTransport(self.rest, self.ws))[1]

    def clock(self, scenario: model.Scenario) -> DeskClock:
        return clock_at(self.door, self.rest, self.ws)

    def examine(self, markets: Mapping[str, str] | None = None) -> list[Finding]:
        """The preflight; `markets`: those that will be traded, ours -> the venue's name. Errors: ConfigError; what the venue
        cannot be asked for is a finding."""
        runtime = WallRuntime(0)
        known = {**self.known, "markets": dict(markets or {})}

        async def look() -> list[Finding]:
            transport = SessionTransport(runtime, self.transport())
            try:
                return await self.door.examine(known, transport, runtime, self.local)
            finally:
                await transport.aclose()

        return runtime.run(main=look()) or []


def live_address(venue: str, environment: Mapping[str, str] | None = None) -> LiveAddress:
    """Read the environment. Errors: ConfigError: no live trading there, credentials that are missing or wrong."""
    environment = os.environ if environment is None else environment
    door = plugins.venue(venue).live
    if door is None:
        raise ConfigError(f"there is no live trading at {venue}", "polymarket can be traded live")
    values: dict[str, str] = {}
    used: list[str] = []
    for credential, names in door.variables.items():
        name = next((name for name in names if environment.get(name, "").strip()), None)
        if name is not None:
            values[credential] = environment[name].strip()
            used.append(name)
    credentials = Credentials(values, conceal)
    conceal(credentials)
    rest, ws = hosts_of(venue, door, environment)
    known, _ = door.secure(credentials, _Nowhere())
    return LiveAddress(venue, rest, ws, known, tuple(used), door, credentials)


def hosts_of(venue: str, door: LiveDoor, environment: Mapping[str, str]) -> tuple[str, str]:
    """Where REST and WebSocket are: as EXECSIM_<VENUE>_HOST and _WS say, else the venue's own."""
    prefix = PREFIX + venue.upper()
    rest = environment.get(f"{prefix}_HOST", "").strip() or door.rest
    own_host = rest != door.rest
    return rest, environment.get(f"{prefix}_WS", "").strip() or ("" if own_host else door.ws)


def clock_at(door: LiveDoor, rest: str, ws: str) -> DeskClock:
    """What time it is there: ours, unless the venue lives in a time of its own. Errors: ExecError."""
    runtime = WallRuntime(0)

    async def ask() -> tuple[int, int]:
        transport = SessionTransport(runtime, WebTransport(rest, ws))
        try:
            return await door.clock(transport)
        finally:
            await transport.aclose()

    found = runtime.run(main=ask())
    assert found is not None
    told_ns, speed = found
    ours_ns = runtime.real_ns()
    theirs = abs(told_ns - ours_ns) > SKEW_NS or speed != 1
    now_ns = told_ns if theirs else ours_ns
    return DeskClock(now_ns, now_ns, now_ns, speed, True, False)


def require_limits(scenario: model.Scenario, folder: Path) -> None:
    """Errors: ConfigError when a market has no risk policy that limits what may be lost there (LIMITING): a live session
    does not start then."""
    markets = [market.id for market in scenario.markets]
    policies = risk_engine(scenario.risk, folder, markets).policies
    limiting = [policy for policy in policies if isinstance(policy, LIMITING)]
    free = [market for market in markets if not any(policy.market_id in (None, market) for policy in limiting)]
    if free:
        raise ConfigError(
            f"a live session needs risk limits, and nothing limits what may be lost in {', '.join(free)}",
            f"add one of these under [risk]: {', '.join(kind.__name__ for kind in LIMITING)}",
        )


def require_venue(scenario: model.Scenario) -> str:
    """The one venue a scenario trades at. Errors: ConfigError."""
    names = list(dict.fromkeys(market.venue for market in scenario.markets))
    if len(names) != 1:
        raise ConfigError(f"the scenario trades at {', '.join(names)}", "a session at a venue has one")
    return names[0]


class _Nowhere:
    """A transport for those who only want to know who trades."""

    async def request(self, request: Any) -> Any:
        raise ConfigError("nothing is sent here", "")

    def stream(self, url: str) -> Any:
        raise ConfigError("nothing is sent here", "")

    async def aclose(self) -> None:
        pass
