"""Polymarket's protocol spoken by a simulated exchange: REST requests and both WebSocket channels. Sans-IO."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final, Literal
from urllib.parse import parse_qsl

from execsim.core.errors import ExecError, InternalError, RateLimitExceeded
from execsim.core.request import RequestKind
from execsim.core.units import NS_PER_S, ceil_div
from execsim.ports import Desk, FrameSink, Request, Response, Served
from execsim_polymarket import endpoints as ep
from execsim_polymarket.addresses import address_bytes, checksummed
from execsim_polymarket.dialect import private, public
from execsim_polymarket.dialect.calls import Call
from execsim_polymarket.dialect.channels import MarketChannel, UserChannel
from execsim_polymarket.dialect.house import House
from execsim_polymarket.dialect.refusals import Refused, respond
from execsim_polymarket.dialect.unserved import reason
from execsim_polymarket.endpoints import Endpoint, Login, match, topic
from execsim_polymarket.wire.values import VENUE

log = logging.getLogger("execsim.polymarket")

BODY_MAX: Final = 1 << 20
"""Bytes of a request's body; 3000 order ids are a fifth of it."""
QUERY_MAX: Final = 64
"""Fields of a query."""
HANDLERS: Final = {**public.HANDLERS, **private.HANDLERS}
METERED: Final = {
    ep.POST_ORDER: RequestKind.PLACE, ep.POST_ORDERS: RequestKind.BATCH, ep.CANCEL_ORDER: RequestKind.CANCEL,
    ep.CANCEL_ORDERS: RequestKind.CANCEL, ep.CANCEL_ALL: RequestKind.CANCEL, ep.CANCEL_MARKET: RequestKind.CANCEL,
}  # fmt: skip
"""Calls whose answers tell what is left of the signer's budget (section 10)."""
TOPICS: Final = {endpoint: topic(endpoint) for endpoint in HANDLERS}


class PolymarketDialect:
    """`ports.Dialect`. What it keeps of a desk (keys, messages as they were posted) lives as long as it does."""

    framing: Literal["lines", "http"] = "http"

    def __init__(self) -> None:
        self._houses: list[House] = []

    def _house(self, desk: Desk) -> House:
        for house in self._houses:
            if house.desk is desk:
                return house
        self._houses.append(House(desk))
        return self._houses[-1]

    def begin(self, desk: Desk) -> None:
        """Follow its markets from now on: the last price is of the venue, not of who asks."""
        self._house(desk)

    async def answer(self, desk: Desk, request: Request) -> Response:
        """What the venue answers; a bug of ours is logged and answered as the venue answers its own."""
        try:
            return await self._answer(desk, request)
        except ExecError as error:
            return respond(error)
        except Exception as error:  # one user's request must not end the exchange of all
            log.exception("%s %s failed", request.method, request.path[:200])
            return respond(InternalError(f"{type(error).__name__}: {error}"))

    async def _answer(self, desk: Desk, request: Request) -> Response:
        path, _, query = request.path.partition("?")
        found = match(request.method, path)
        if found is None or found[0] not in HANDLERS:
            raise Refused(404, reason(path))
        if len(request.body) > BODY_MAX:
            raise Refused(413, "Payload exceeds the limit")
        try:
            fields = dict(parse_qsl(query, max_num_fields=QUERY_MAX))
        except ValueError:
            raise Refused(400, "Invalid payload") from None
        endpoint, name = found
        house = self._house(desk)
        await _admit(house, endpoint, request.peer)
        headers = {key.upper(): value for key, value in request.headers.items()}
        key = None
        if endpoint.login is Login.L2:
            key = house.keys.check(headers, request.method, path, request.body, house.clock.now_ns())
        call = Call(house, name, fields, headers, request.body, key)
        kind = METERED.get(endpoint)
        if kind is None or key is None:
            return await HANDLERS[endpoint](call)
        try:
            answer = await HANDLERS[endpoint](call)
        except ExecError as error:
            answer = respond(error)
        return _metered(house, answer, key.address, kind)

    def is_free(self, request: Request) -> bool:
        """Market data, and what there is not. The owner of a key is counted whatever he asks."""
        found = match(request.method, request.path.partition("?")[0])
        return found is None or found[0] in public.HANDLERS

    def stream(self, desk: Desk, url: str, sink: FrameSink) -> Served:
        """`/ws/market` or `/ws/user`. Errors: Refused."""
        house = self._house(desk)
        channel = url.partition("?")[0].strip("/")
        if channel == "ws/market":
            return MarketChannel(house.board, house.listings, sink)
        if channel == "ws/user":
            return UserChannel(house.keys, house.trader, sink)
        raise Refused(404, "not found")

    def account(self, name: str) -> str:
        """An address is written in any case. Errors: ValidationError."""
        return checksummed(address_bytes(name))

    def refuse(self, error: ExecError) -> Response:
        return respond(error)


async def _admit(house: House, endpoint: Endpoint, peer: str) -> None:
    """Wait at the door if the address asks too much. Errors: RateLimitExceeded.

    Public and private calls are counted apart: a run performed again from its log has only those that change something
    (`is_free`), and has to refuse the same ones."""
    wait_ns = house.desk.admit(TOPICS[endpoint], f"{peer} data" if endpoint in public.HANDLERS else peer)
    if not wait_ns:
        return
    if not house.desk.clock().moving:  # where time stands still, nobody can wait
        raise RateLimitExceeded(VENUE, "Too Many Requests", wait_ns)
    await house.desk.runtime.sleep_until(house.clock.market_after(wait_ns))


def _metered(house: House, answer: Response, account: str, kind: RequestKind) -> Response:
    """The answer with the venue's Poly-RateLimit headers. `Reset`: the clients' second in which the next request passes."""
    budget = house.desk.budget(account, kind)
    if budget is None:
        return answer
    reset_ns = house.clock.now_ns() + ceil_div(budget.wait_ns, house.desk.clock().speed)
    told = {"Poly-RateLimit-Remaining": str(budget.left), "Poly-RateLimit-Reset": str(ceil_div(reset_ns, NS_PER_S))}
    if budget.tier:
        told["Poly-RateLimit-Tier"] = budget.tier.capitalize()
    if budget.tolerated:
        told["Poly-RateLimit-Warning"] = "true"
    return replace(answer, headers={**answer.headers, **told})
