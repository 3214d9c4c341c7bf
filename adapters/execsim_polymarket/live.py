"""The real venue: who trades there, its clock, and the preflight of `execsim doctor polymarket`.

The preflight asks and never orders. Source of what it looks for: polymarket.md sections 5.4, 10 and 12.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, Final, Literal

from execsim.core.errors import ConfigError, ExecError, ExecTimeout, VenueError
from execsim.core.order import VenueId
from execsim.core.units import NS_PER_S, plain
from execsim.ports import Credentials, Finding, Request, Runtime, Transport, VenueConfig
from execsim_polymarket import endpoints
from execsim_polymarket.auth import ApiKey
from execsim_polymarket.client import PolymarketVenue
from execsim_polymarket.domains import exchange, exchange_for
from execsim_polymarket.errors import refusal
from execsim_polymarket.instruments import LOT
from execsim_polymarket.link import Send
from execsim_polymarket.orders import SignatureType
from execsim_polymarket.session import UserSession
from execsim_polymarket.signing import USER_CHANNEL, Identity, SigningTransport, account_of, api_key_of
from execsim_polymarket.wire.account import CLOSED_ONLY, GEOBLOCK, TIME, VERSION
from execsim_polymarket.wire.channels import PING
from execsim_polymarket.wire.trading import BALANCE
from execsim_polymarket.wire.values import VENUE

GEOBLOCK_URL: Final = "https://polymarket.com/api/geoblock"

SKEW_WARN_NS: Final = 2 * NS_PER_S
SKEW_FAIL_NS: Final = 30 * NS_PER_S
PONG_NS: Final = 10 * NS_PER_S
VERSION_KNOWN: Final = 2
Grade = Literal["ok", "warn", "fail"]


def secure(credentials: Credentials, transport: Transport) -> tuple[Mapping[str, Any], Transport]:
    """`LiveDoor.secure`. Errors: ConfigError, ValidationError."""
    account = account_of(credentials)
    beat = credentials.values.get("heartbeat_ms", "") or "0"
    if not beat.isdecimal():
        raise ConfigError(f"EXECSIM_POLYMARKET_HEARTBEAT_MS = {beat[:20]!r}", "milliseconds, e.g. 5000; 0: none")
    known = {"identity": Identity.of(account).plain(), "heartbeat_ms": int(beat)}
    return known, SigningTransport(
        transport, account, api_key_of(credentials, account.key.address), credentials.learned
    )


async def clock(transport: Transport) -> tuple[int, int]:
    """`LiveDoor.clock`. Errors: NetworkError, VenueError, InvalidResponse."""
    response = await transport.request(Request("GET", endpoints.TIME.path))
    if response.status != 200:
        raise VenueError(VENUE, str(response.status), f"GET /time: {response.body[:200].decode(errors='replace')}")
    return TIME.from_venue(response.body) * NS_PER_S + NS_PER_S // 2, 1


async def examine(known: Mapping[str, Any], transport: Transport, runtime: Runtime, local: bool) -> list[Finding]:
    """`LiveDoor.examine`. With `markets` (the engine's name -> the venue's) the allowances are judged by what these need."""
    return await Preflight(known, transport, runtime, local).run()


class Preflight:
    """One look at everything."""

    def __init__(self, known: Mapping[str, Any], transport: Transport, runtime: Runtime, local: bool) -> None:
        self._transport = transport
        self._runtime = runtime
        self._local = local
        self._venue = PolymarketVenue(VenueConfig(VenueId(VENUE), extra=known), transport, runtime)
        self._calls = self._venue.calls
        self._identity = self._venue.identity
        self._markets: Mapping[str, str] = known.get("markets", {})
        self._found: list[Finding] = []

    async def run(self) -> list[Finding]:
        self._ok("key", f"signs as {self._identity.address}")
        kind = SignatureType(self._identity.kind)
        self._ok("funder", f"{self._identity.funder} (signature type {int(kind)}, {kind.name})")
        if not await self._try("host", self._host(), "check EXECSIM_POLYMARKET_HOST and the network"):
            return self._found
        await self._try("clock", self._clock(), "")
        await self._try("version", self._version(), "")
        await self._try("geoblock", self._geoblock(), "see polymarket.com/api/geoblock")
        if await self._try("login", self._login(), "wrong key, or the API key belongs to another wallet"):
            await self._try("account", self._closed_only(), "")
            if self._markets:
                await self._try("markets", self._listed(), "name its condition id (0x...)")
            await self._try("balance", self._balance(), "")
            await self._try("open orders", self._open_orders(), "")
            await self._try("limits", self._limits(), "")
            await self._try("user channel", self._user_channel(), "check EXECSIM_POLYMARKET_WS")
        return self._found

    def _add(self, finding: Finding) -> None:
        self._found.append(finding)

    def _ok(self, check: str, said: str) -> None:
        self._add(Finding(check, "ok", said))

    async def _try(self, check: str, work: Awaitable[None], fix: str) -> bool:
        try:
            await work
            return True
        except ExecError as error:
            self._add(Finding(check, "fail", str(error), fix))
            return False

    async def _host(self) -> None:
        await self._calls.ask(endpoints.OK)
        self._ok("host", "answers")

    async def _clock(self) -> None:
        skew_ns = await self._calls.measure_skew()
        said = f"the venue's clock is {skew_ns / NS_PER_S:+.1f} s from ours (it tells whole seconds)"
        if abs(skew_ns) <= SKEW_WARN_NS:
            return self._ok("clock", said)
        if self._local:
            return self._add(
                Finding("clock", "warn", said, "a served recording has its own time: the session takes it")
            )
        grade: Grade = "warn" if abs(skew_ns) <= SKEW_FAIL_NS else "fail"
        return self._add(Finding("clock", grade, said, "set this machine's clock (ntp)"))

    async def _version(self) -> None:
        version = (await self._calls.get(VERSION, endpoints.VERSION)).version
        if version == VERSION_KNOWN:
            return self._ok("version", f"CLOB version {version}")
        what = f"CLOB version {version}; this adapter knows {VERSION_KNOWN}"
        return self._add(Finding("version", "fail", what, "do not trade before the adapter knows it"))

    async def _geoblock(self) -> None:
        if self._local:
            return self._ok("geoblock", "not asked: the host is this machine")
        response = await self._transport.request(Request("GET", GEOBLOCK_URL))
        if response.status != 200:
            what = f"HTTP {response.status}: nobody knows whether orders are taken from here"
            return self._add(Finding("geoblock", "fail", what, "look at polymarket.com/api/geoblock, then try again"))
        found = GEOBLOCK.from_venue(response.body)
        where = f"{found.country} {found.region}".strip()
        if found.blocked:
            return self._add(
                Finding("geoblock", "fail", f"blocked from here ({where})", "it takes no orders from here")
            )
        return self._ok("geoblock", f"not blocked ({where})")

    async def _login(self) -> None:
        await self._venue.login()
        self._ok("login", "API credentials are there")

    async def _closed_only(self) -> None:
        if (await self._calls.get(CLOSED_ONLY, endpoints.CLOSED_ONLY)).closed_only:
            return self._add(Finding("account", "fail", "closed-only mode", "it may close positions, not open any"))
        return self._ok("account", "may open positions")

    async def _listed(self) -> None:
        for name, wanted in self._markets.items():
            await self._venue.list_market(name, wanted)
        self._ok("markets", ", ".join(f"{item.name} is {item.condition}" for item in self._venue.by_name.values()))

    async def _balance(self) -> None:
        query: dict[str, str | int] = {"asset_type": "COLLATERAL", "signature_type": int(self._identity.kind)}
        found = await self._calls.get(BALANCE, endpoints.GET_BALANCE, query=query)
        said = f"{plain(found.balance * LOT)} pUSD"
        if found.balance:
            self._ok("balance", said)
        else:
            self._add(Finding("balance", "warn", said, "deposit, or check the funder and the signature type"))
        self._allowances({address.lower(): units for address, units in found.allowances.items()})

    def _allowances(self, granted: Mapping[str, int]) -> None:
        """What may be taken by the exchanges that the markets settle on; by all, where no market is known."""
        chain = self._identity.chain_id
        names = {
            exchange(chain).contract: "standard",
            exchange(chain, neg_risk=True).contract: "neg-risk",
            exchange(chain, v3=True).contract: "V3",
        }
        needed = {
            exchange_for(int(item.market.yes_token), neg_risk=item.neg_risk, chain_id=chain).contract
            for item in self._venue.by_name.values()
        }
        wanted = [contract for contract in names if contract in needed or not needed]
        missing = [names[contract] for contract in wanted if not granted.get(contract.lower())]
        if not missing:
            return self._ok("allowances", f"{' and '.join(names[contract] for contract in wanted)} may take pUSD")
        grade: Grade = "fail" if needed or len(missing) == len(wanted) else "warn"
        what = f"the {' and '.join(missing)} exchange may not take pUSD"
        fix = "approve it on polymarket.com, then run doctor again"
        return self._add(Finding("allowances", grade, what, fix))

    async def _open_orders(self) -> None:
        count = len(await self._venue.open_rows())
        if count:
            fix = "a session reports those it did not place; cancel them, or set engine.calls.strangers"
            return self._add(Finding("open orders", "warn", f"{count} are open already", fix))
        return self._ok("open orders", "none")

    async def _limits(self) -> None:
        response = await self._calls.raw(endpoints.GET_ORDERS)
        if response.status != 200:
            raise refusal(response.status, response.headers, response.body)
        headers = {name.lower(): value for name, value in response.headers.items()}
        tier, left = headers.get("poly-ratelimit-tier", ""), headers.get("poly-ratelimit-remaining", "")
        self._ok(
            "limits", f"tier {tier}, {left} left" if tier else "the venue does not name a tier: standard is assumed"
        )

    async def _user_channel(self) -> None:
        stream = self._transport.stream(USER_CHANNEL)
        machine = UserSession(ApiKey(self._identity.address, "", "", ""), {})
        late = ExecTimeout(VENUE, f"no PONG within {PONG_NS // NS_PER_S} s", "unknown")
        try:
            for action in machine.opened(self._runtime.now_ns()):
                if isinstance(action, Send):
                    await stream.send(action.frame)
            await stream.send(PING)
            await self._runtime.within(self._runtime.now_ns() + PONG_NS, stream.__anext__(), late)
        except StopAsyncIteration:
            raise VenueError(VENUE, "", "the venue closed the user channel: it refuses the API credentials") from None
        finally:
            await stream.aclose()
        self._ok("user channel", "opens and answers")
