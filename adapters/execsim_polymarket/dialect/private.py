"""What only the owner of a key may ask: keys, orders, cancels, trades, balances. Source: polymarket.md section 5."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Final

from execsim.core.errors import ExecError, ValidationError
from execsim.core.units import NS_PER_S
from execsim.ports import Response
from execsim_polymarket import endpoints as ep
from execsim_polymarket.dialect.calls import Call, page_of, plain_json, written
from execsim_polymarket.dialect.judge import Posted, unreadable
from execsim_polymarket.dialect.refusals import Refused, respond
from execsim_polymarket.dialect.trader import refused_entry
from execsim_polymarket.domains import POLYGON, exchange
from execsim_polymarket.wire import account, trading
from execsim_polymarket.wire.values import ns_of

Handler = Callable[[Call], Awaitable[Response]]

BATCH_MAX: Final = 15
CANCELS_MAX: Final = 3_000
"""Ids of one DELETE /orders: what polymarket-client sends at most; the documentation says 1000 [?]."""
ROWS_MAX: Final = 500
ALLOWED: Final = (1 << 256) - 1
_UNIT: Final = Decimal("0.000001")


# ---------------------------------------------------------------------------------------------------- keys
async def _create_key(call: Call) -> Response:
    made = call.house.keys.create(call.headers, call.house.clock.now_ns())
    call.house.admit(made.key, call.house.keys.match(made).address)
    return written(account.CREDENTIALS, made)


async def _derive_key(call: Call) -> Response:
    return written(account.CREDENTIALS, call.house.keys.derive(call.headers, call.house.clock.now_ns()))


async def _list_keys(call: Call) -> Response:
    return plain_json({"apiKeys": call.house.keys.of(call.owner.address)})


async def _delete_key(call: Call) -> Response:
    call.house.keys.delete(call.owner)
    return plain_json("OK")


async def _closed_only(call: Call) -> Response:
    return plain_json({"closed_only": False})


async def _old_heartbeat(call: Call) -> Response:
    """The one before v1: says nothing and cancels nothing."""
    return plain_json({"status": "ok"})


async def _heartbeat(call: Call) -> Response:
    told = call.read(trading.HEARTBEAT).heartbeat_id
    return plain_json({"heartbeat_id": call.house.heartbeats.beat(call.owner.key, told)})


# ---------------------------------------------------------------------------------------------------- orders
async def _post_order(call: Call) -> Response:
    try:
        post = trading.POST_ORDER.from_client(call.body)
    except ValidationError:
        raise unreadable(call.body) from None
    posted = call.house.judge.read(post, call.owner)
    call.trader.take(posted)
    try:
        return written(trading.ORDER_ANSWER, await call.trader.place(posted))
    except ExecError as error:
        return respond(error, posted.id)


async def _post_orders(call: Call) -> Response:
    """Judged one by one; those that pass go to the engine together."""
    posts = call.read(trading.POST_ORDERS, "Invalid order payload")
    if not posts:
        raise Refused(400, "Invalid order payload")
    if len(posts) > BATCH_MAX:
        raise Refused(400, f"Too many orders in payload: {len(posts)}, max allowed: {BATCH_MAX}")
    answers: dict[int, trading.OrderAnswer] = {}
    sent: dict[int, Posted] = {}
    for number, post in enumerate(posts):
        try:
            sent[number] = call.house.judge.read(post, call.owner)
            call.trader.take(sent[number])
        except Refused as error:
            answers[number] = refused_entry(error)
    if sent:
        answers |= dict(zip(sent, await call.trader.place_batch(list(sent.values())), strict=True))
    return written(trading.ORDER_ANSWERS, tuple(answers[number] for number in range(len(posts))))


async def _cancel_order(call: Call) -> Response:
    asked = call.read(trading.CANCEL_ORDER)
    return written(trading.CANCEL_ANSWER, await call.trader.cancel([asked.order_id]))


async def _cancel_orders(call: Call) -> Response:
    ids = call.read(trading.IDS)
    if len(ids) > CANCELS_MAX:
        raise Refused(400, "Payload exceeds the limit")
    return written(trading.CANCEL_ANSWER, await call.trader.cancel(ids))


async def _cancel_all(call: Call) -> Response:
    return written(trading.CANCEL_ANSWER, await call.trader.cancel_where(lambda posted: True))


async def _cancel_market(call: Call) -> Response:
    asked = call.read(trading.CANCEL_MARKET)
    if not asked.market and not asked.asset_id:
        raise Refused(400, "Invalid payload")

    def wanted(posted: Posted) -> bool:
        of_market = not asked.market or posted.listing.condition_id == asked.market.lower()
        return of_market and (not asked.asset_id or posted.token == asked.asset_id)

    return written(trading.CANCEL_ANSWER, await call.trader.cancel_where(wanted))


# ---------------------------------------------------------------------------------------------------- questions
async def _get_order(call: Call) -> Response:
    return written(trading.OPEN_ORDER, await call.trader.order(call.name))


def _fits(call: Call, *pairs: tuple[str, str]) -> bool:
    """Whether a row has the values the query names."""
    return all(call.query.get(name, value).lower() == value.lower() for name, value in pairs)


async def _get_orders(call: Call) -> Response:
    rows = [
        row
        for row in await call.trader.open_orders()
        if _fits(call, ("id", row.id), ("market", row.market), ("asset_id", row.asset_id))
    ]
    return written(trading.OPEN_ORDERS, page_of(rows, call.query.get("next_cursor", ""), ROWS_MAX))


async def _get_trades(call: Call) -> Response:
    """Filters by market and asset match the taker's, as the venue's do (section 12)."""
    after, before = call.second("after"), call.second("before")
    rows = []
    for row in await call.trader.trades():
        at_s = ns_of(row.match_time) // NS_PER_S
        mine = row.maker_address if row.trader_side == "TAKER" else row.maker_orders[0].maker_address
        fits = _fits(call, ("id", row.id), ("market", row.market), ("asset_id", row.asset_id), ("maker_address", mine))
        if fits and (after is None or at_s >= after) and (before is None or at_s <= before):
            rows.append(row)
    return written(trading.TRADES, page_of(rows, call.query.get("next_cursor", ""), ROWS_MAX))


async def _scoring(call: Call) -> Response:
    name = call.query.get("order_id", "")
    if not name:
        raise Refused(400, "Invalid orderID")
    return written(trading.SCORING, trading.Scoring(call.trader.scores(name)))


async def _scorings(call: Call) -> Response:
    ids = call.read(trading.IDS)
    if len(ids) > CANCELS_MAX:
        raise Refused(400, "Payload exceeds the limit")
    return written(trading.SCORINGS, {name: call.trader.scores(name) for name in ids})


async def _notifications(call: Call) -> Response:
    return plain_json(call.trader.notices.rows())


async def _drop_notifications(call: Call) -> Response:
    ids = [part.strip() for part in call.query.get("ids", "").split(",")]
    if not all(part.isascii() and part.isdecimal() and len(part) < 16 for part in ids):
        raise Refused(400, "Invalid payload")
    call.trader.notices.drop(frozenset(map(int, ids)))
    return plain_json("OK")


async def _balance(call: Call) -> Response:
    """What the wallet holds, orders' claims included, and what every exchange may take of it: all, where no bound is set."""
    kind, held = call.query.get("asset_type", ""), await call.trader.adapter.balances()
    units, allowed, bounds = Decimal(0), ALLOWED, call.house.desk.allowances(call.owner.address)
    if kind == "COLLATERAL":
        quotes = {listing.instrument.quote.name: listing.instrument.quote for listing in call.house.listings.all}
        units = sum((asset.decimal(held.get(name, 0)) for name, asset in quotes.items()), Decimal(0))
        told = [int(asset.decimal(bounds[name]) / _UNIT) for name, asset in quotes.items() if name in bounds]
        allowed = min(told, default=ALLOWED)
    elif kind in ("CONDITIONAL", "CONDITIONAL-V2"):
        listing, token = call.token()
        asset = listing.instrument.asset_of(listing.outcome(token))
        units = asset.decimal(held.get(asset.name, 0))
        if asset.name in bounds:
            allowed = int(asset.decimal(bounds[asset.name]) / _UNIT)
    else:
        raise Refused(400, "Invalid asset type")
    spenders = (exchange(POLYGON), exchange(POLYGON, neg_risk=True), exchange(POLYGON, v3=True))
    allowances = dict.fromkeys((spender.contract for spender in spenders), allowed)
    return written(trading.BALANCE, trading.BalanceAllowance(int(units / _UNIT), allowances))


async def _update_balance(call: Call) -> Response:
    """The venue reads the chain again; there is nothing to read here."""
    return plain_json({})


HANDLERS: Final[Mapping[ep.Endpoint, Handler]] = {
    ep.CREATE_KEY: _create_key, ep.DERIVE_KEY: _derive_key, ep.LIST_KEYS: _list_keys, ep.DELETE_KEY: _delete_key,
    ep.CLOSED_ONLY: _closed_only, ep.HEARTBEAT: _heartbeat,
    ep.OLD_HEARTBEAT: _old_heartbeat, ep.GET_SCORING: _scoring, ep.GET_SCORINGS: _scorings,
    ep.GET_NOTIFICATIONS: _notifications, ep.DROP_NOTIFICATIONS: _drop_notifications,
    ep.POST_ORDER: _post_order, ep.POST_ORDERS: _post_orders, ep.CANCEL_ORDER: _cancel_order,
    ep.CANCEL_ORDERS: _cancel_orders, ep.CANCEL_ALL: _cancel_all, ep.CANCEL_MARKET: _cancel_market,
    ep.GET_ORDER: _get_order, ep.GET_ORDERS: _get_orders, ep.GET_TRADES: _get_trades,
    ep.GET_BALANCE: _balance, ep.UPDATE_BALANCE: _update_balance,
}  # fmt: skip
