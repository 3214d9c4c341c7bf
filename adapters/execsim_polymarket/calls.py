"""The calls of the CLOB as an adapter makes them: logins, deadlines, refusals as our errors, listings to their end."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from execsim.core.errors import ExecError, ExecTimeout, InvalidResponse, NetworkError, Reached
from execsim.core.units import NS_PER_S
from execsim.ports import Response, Runtime, Transport
from execsim_polymarket import endpoints
from execsim_polymarket.auth import ADDRESS, NONCE, TIMESTAMP
from execsim_polymarket.endpoints import Endpoint, Login
from execsim_polymarket.errors import refusal
from execsim_polymarket.wire.account import TIME
from execsim_polymarket.wire.values import CURSOR_END, CURSOR_START, VENUE, Codec

T = TypeVar("T")
Row = TypeVar("Row")

DEADLINE_NS: Final = 12 * NS_PER_S
"""More than the transport's own 10 s, whose errors say more."""
PAGES_MAX: Final = 2_000
SKEW_NS: Final = 2 * NS_PER_S
"""Less than this the two clocks agree: the venue tells whole seconds."""
MEASURE_NS: Final = 60 * NS_PER_S
"""How often the venue is asked for its time in a session: clocks are set, and stand still while a machine sleeps."""

log = logging.getLogger("execsim.polymarket")


class Calls:
    """`address` is the key's. `skew_ns`: the venue's clock less ours, for the times of logins."""

    def __init__(self, transport: Transport, runtime: Runtime, address: str, deadline_ns: int = DEADLINE_NS) -> None:
        self._transport = transport
        self._runtime = runtime
        self._address = address
        self._deadline_ns = deadline_ns
        self.skew_ns = 0

    async def get(
        self, codec: Codec[T], endpoint: Endpoint, *, name: str = "", query: Mapping[str, str | int] | None = None,
        body: bytes = b"",
    ) -> T:  # fmt: skip
        """Errors: what `refusal` makes of any status but 200; NetworkError, ExecTimeout; InvalidResponse."""
        return codec.from_venue(await self.ask(endpoint, name=name, query=query, body=body))

    async def ask(
        self, endpoint: Endpoint, *, name: str = "", query: Mapping[str, str | int] | None = None, body: bytes = b""
    ) -> bytes:
        """The bytes of an answer with status 200. Errors: as `get`."""
        response = await self.raw(endpoint, name=name, query=query, body=body)
        if response.status != 200:
            raise refusal(response.status, response.headers, response.body)
        return response.body

    async def raw(
        self, endpoint: Endpoint, *, name: str = "", query: Mapping[str, str | int] | None = None, body: bytes = b"",
        deadline_ns: int | None = None,
    ) -> Response:  # fmt: skip
        """An answer whatever its status. A login that is refused (401, nothing was done) because a clock has moved is
        repeated once, by the venue's time. Errors: NetworkError, ExecTimeout."""
        believed_ns = self.skew_ns
        again = (endpoint, name, query, body, deadline_ns or self._deadline_ns)
        response = await self._once(*again)
        if response.status == 401 and endpoint.login is not Login.NONE and await self._has_moved(believed_ns):
            return await self._once(*again)
        return response

    async def _once(
        self, endpoint: Endpoint, name: str, query: Mapping[str, str | int] | None, body: bytes, deadline_ns: int
    ) -> Response:
        plain = Endpoint(
            endpoint.method, endpoint.path
        )  # the login is the transport's business: only its holes are ours
        made = endpoints.request(plain, name=name, query=query, body=body, headers=self._holes(endpoint.login))
        what = f"{endpoint.method} {endpoint.path}"
        late = ExecTimeout(VENUE, f"{what}: no answer within {deadline_ns / NS_PER_S:g} s", Reached.UNKNOWN.value)
        try:
            return await self._runtime.within(self._runtime.now_ns() + deadline_ns, self._transport.request(made), late)
        except NetworkError as error:
            if error.args[0] == VENUE:
                raise
            raise type(error)(VENUE, *error.args[1:]) from None

    async def _has_moved(self, believed_ns: int) -> bool:
        """Whether the venue's clock is not where it was believed to be. Another call may have found out meanwhile."""
        if self.skew_ns == believed_ns:
            await self._measured()
        return abs(self.skew_ns - believed_ns) > NS_PER_S

    async def keep_time(self) -> None:
        """Ask for the venue's time again and again."""
        while True:
            await self._runtime.sleep(MEASURE_NS)
            await self._measured()

    async def _measured(self) -> None:
        before_ns = self.skew_ns
        try:
            await self.measure_skew()
        except ExecError as error:
            log.warning("polymarket: the venue's time is not known anew: %s", error)
            return
        if abs(self.skew_ns - before_ns) > NS_PER_S:
            log.warning("polymarket: the venue's clock is now %.0f s from ours", self.skew_ns / NS_PER_S)

    def _holes(self, login: Login) -> dict[str, str]:
        if login is Login.NONE:
            return {}
        holes = {ADDRESS: self._address, TIMESTAMP: str((self._runtime.now_ns() + self.skew_ns) // NS_PER_S)}
        return holes | {NONCE: "0"} if login is Login.L1 else holes

    async def pages(
        self, codec: Codec[Any], endpoint: Endpoint, query: Mapping[str, str | int] | None = None, most: int = PAGES_MAX
    ) -> list[Any]:
        """Every row of a listing. Errors: as `get`; InvalidResponse when it does not end, or turns in circles."""
        rows: list[Any] = []
        cursor, seen = CURSOR_START, {CURSOR_START}
        for _ in range(most):
            page = await self.get(codec, endpoint, query={**(query or {}), "next_cursor": cursor})
            rows += page.data
            cursor = page.next_cursor
            if cursor in (CURSOR_END, ""):
                return rows
            if cursor in seen:
                break
            seen.add(cursor)
        raise InvalidResponse(VENUE, "incomplete", f"{endpoint.path}: the listing does not end")

    async def measure_skew(self) -> int:
        """Ask the venue's time and keep how far it is from ours, if it is farther than a slow answer explains. Errors: as
        `get`."""
        asked_ns = self._runtime.now_ns()
        told_s = await self.get(TIME, endpoints.TIME)
        took_ns = self._runtime.now_ns() - asked_ns
        here_ns = asked_ns + took_ns // 2
        skew_ns = told_s * NS_PER_S + NS_PER_S // 2 - here_ns
        self.skew_ns = skew_ns if abs(skew_ns) > SKEW_NS + took_ns // 2 else 0
        return skew_ns
