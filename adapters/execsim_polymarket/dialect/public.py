"""What anybody may ask: time, markets, books, prices. Source: polymarket.md section 6."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from execsim.core.fees import BinaryFee, DatedFees
from execsim.core.units import plain
from execsim.ports import Response
from execsim_polymarket import endpoints as ep
from execsim_polymarket.dialect.calls import TOKENS_MAX, Call, page_of, plain_json, written
from execsim_polymarket.dialect.history import INTERVALS_S, MINUTE_S, MINUTES_MAX
from execsim_polymarket.dialect.judge import NO_BOOK
from execsim_polymarket.dialect.listings import Listing
from execsim_polymarket.dialect.refusals import Refused
from execsim_polymarket.wire import markets as wire
from execsim_polymarket.wire import trading

Handler = Callable[[Call], Awaitable[Response]]

LISTED_MAX: Final = 1_000
"""Markets of one page."""
PUSD: Final = "0xC011a7E12a19f7B1f670d46F03B03f3342E82DFB"
"""The collateral's address (section 2)."""
BASE_FEE: Final = 1_000
"""A legacy display value for markets with fees (section 6: "do not compute fees from it")."""


async def _ok(call: Call) -> Response:
    return plain_json("OK")


async def _time(call: Call) -> Response:
    return plain_json(call.house.clock.now_s())


async def _version(call: Call) -> Response:
    return plain_json({"version": 2})


# ---------------------------------------------------------------------------------------------------- books and prices
def _asked(call: Call) -> list[tuple[Listing, wire.TokenQuery]]:
    """Tokens of a batch; those the venue does not have are left out of its answer. Errors: Refused."""
    queries = call.read(wire.TOKEN_QUERIES)
    if len(queries) > TOKENS_MAX:
        raise Refused(400, "Payload exceeds the limit")
    known = call.house.listings.by_token
    return [(known[query.token_id], query) for query in queries if query.token_id in known]


def _best(call: Call, listing: Listing, token: str) -> tuple[Decimal | None, Decimal | None]:
    grid = listing.instrument.grid
    bid, ask = call.house.board.pages[listing.market].best(listing.outcome(token))
    return (None if bid is None else grid.price(bid)), (None if ask is None else grid.price(ask))


def _mid(call: Call, listing: Listing, token: str) -> str | None:
    bid, ask = _best(call, listing, token)
    return None if bid is None or ask is None else plain((bid + ask) / 2)


def _spread(call: Call, listing: Listing, token: str) -> str | None:
    bid, ask = _best(call, listing, token)
    return None if bid is None or ask is None else plain(ask - bid)


def _price(call: Call, listing: Listing, token: str, side: str) -> str:
    """BUY is answered with the best bid, SELL with the best ask; "0" where there is none."""
    if side.upper() not in ("BUY", "SELL"):
        raise Refused(400, "Invalid side")
    bid, ask = _best(call, listing, token)
    found = bid if side.upper() == "BUY" else ask
    return "0" if found is None else plain(found)


def _last(call: Call, listing: Listing, token: str) -> tuple[str, str]:
    """(price, side) of the last trade, in terms of the token; ("0.5", "") before the first."""
    page = call.house.board.pages[listing.market]
    if not page.last or page.last_side is None:
        return "0.5", ""
    price, side = Decimal(page.last), page.last_side
    if token != page.last_token:
        price, side = 1 - price, side.other
    return plain(price), side.value.upper()


async def _get_book(call: Call) -> Response:
    listing, token = call.token()
    return written(wire.BOOK, call.house.board.book(listing, token))


async def _get_books(call: Call) -> Response:
    books = tuple(call.house.board.book(listing, query.token_id) for listing, query in _asked(call))
    return written(wire.BOOKS, books)


async def _get_midpoint(call: Call) -> Response:
    mid = _mid(call, *call.token())
    if mid is None:
        raise Refused(404, NO_BOOK)
    return plain_json({"mid": mid, "mid_price": mid})


async def _get_midpoints(call: Call) -> Response:
    found = {query.token_id: _mid(call, listing, query.token_id) for listing, query in _asked(call)}
    return plain_json({token: mid for token, mid in found.items() if mid is not None})


async def _get_price(call: Call) -> Response:
    listing, token = call.token()
    return plain_json({"price": _price(call, listing, token, call.query.get("side", ""))})


async def _get_prices(call: Call) -> Response:
    found: dict[str, dict[str, str]] = {}
    for listing, query in _asked(call):
        sides = [query.side] if query.side else ["BUY", "SELL"]
        for side in sides:
            found.setdefault(query.token_id, {})[side.upper()] = _price(call, listing, query.token_id, side)
    return plain_json(found)


async def _get_spread(call: Call) -> Response:
    spread = _spread(call, *call.token())
    if spread is None:
        raise Refused(404, NO_BOOK)
    return plain_json({"spread": spread})


async def _get_spreads(call: Call) -> Response:
    found = {query.token_id: _spread(call, listing, query.token_id) for listing, query in _asked(call)}
    return plain_json({token: spread for token, spread in found.items() if spread is not None})


async def _get_last(call: Call) -> Response:
    price, side = _last(call, *call.token())
    return plain_json({"price": price, "side": side})


async def _get_lasts(call: Call) -> Response:
    rows = []
    for listing, query in _asked(call):
        price, side = _last(call, listing, query.token_id)
        if side:
            rows.append({"price": price, "side": side, "token_id": query.token_id})
    return plain_json(rows)


async def _history(call: Call) -> Response:
    """Of the token `market` names: `interval`, or startTs and endTs (seconds); `fidelity` is minutes."""
    token, now_s = call.query.get("market", ""), call.house.clock.now_s()
    listing = call.listing(token)
    interval, start, end = call.query.get("interval"), call.second("startTs"), call.second("endTs")
    fidelity = call.second("fidelity")
    if interval is not None:
        if interval not in INTERVALS_S:
            raise Refused(400, "Invalid interval")
        start, end = now_s - INTERVALS_S[interval], now_s
    if start is None or fidelity == 0:
        raise Refused(400, "Invalid payload")
    end = now_s if end is None else min(end, now_s)
    step_s = min(fidelity or 1, MINUTES_MAX) * MINUTE_S
    points = call.house.board.pages[listing.market].history.points(start, end, step_s)
    yes, one_i, grid = token == listing.yes_token, listing.instrument.one_i, listing.instrument.grid
    rows = [{"t": at_s, "p": float(grid.price(p if yes else 2 * one_i - p) / 2)} for at_s, p in points]
    return plain_json({"history": rows})


# ---------------------------------------------------------------------------------------------------- markets
def _tick(call: Call, listing: Listing) -> Decimal:
    return listing.tick(call.house.desk.state(listing.market).tick_i)


def _fee(call: Call, listing: Listing) -> BinaryFee | None:
    """The fee now, if it is of the venue's formula and not nothing."""
    fees: Any = listing.instrument.fees
    if isinstance(fees, DatedFees):
        fees = fees.at(call.house.desk.runtime.now_ns())
    return fees if isinstance(fees, BinaryFee) and fees.rate and not fees.price_power else None


async def _get_tick(call: Call) -> Response:
    listing, _ = call.token()
    return written(wire.TICK_SIZE, wire.TickSize(_tick(call, listing)))


async def _get_neg_risk(call: Call) -> Response:
    listing, _ = call.token()
    return written(wire.NEG_RISK, wire.NegRisk(listing.neg_risk))


async def _get_fee_rate(call: Call) -> Response:
    listing, _ = call.token()
    return plain_json({"base_fee": BASE_FEE if _fee(call, listing) else 0})


async def _builder_fees(call: Call) -> Response:
    """Orders may carry a builder's code; nothing is charged for it here."""
    return written(trading.BUILDER_FEES, trading.BuilderFees())


async def _market_by_token(call: Call) -> Response:
    if call.name not in call.house.listings.by_token:
        raise Refused(404, "market not found")
    listing = call.listing(call.name)
    found = wire.MarketByToken(listing.condition_id, listing.yes_token, listing.no_token)
    return written(wire.MARKET_BY_TOKEN, found)


def _by_condition(call: Call) -> Listing:
    found = call.house.listings.by_condition.get(call.name.lower())
    if found is None:
        raise Refused(404, "market not found")
    return found


async def _clob_market(call: Call) -> Response:
    listing = _by_condition(call)
    fee, state = _fee(call, listing), call.house.desk.state(listing.market)
    base = BASE_FEE if fee else 0
    terms = None if fee is None else wire.FeeTerms(fee.rate, fee.exponent, True)
    least = listing.instrument.grid.size(listing.instrument.size_min_lots)
    tokens = (wire.TokenName(listing.yes_token, "Yes"), wire.TokenName(listing.no_token, "No"))
    return written(
        wire.CLOB_MARKET,
        wire.ClobMarket(
            listing.condition_id, tokens, least, _tick(call, listing), base, base, listing.neg_risk, state.open,
            taker_delay=False, rfq=False, min_order_age_s=0, fee=terms, version="v1",
        ),
    )  # fmt: skip


def _rewards(call: Call, listing: Listing) -> wire.MarketRewards:
    """[?] `max_spread` is in cents, as rows of the venue show it."""
    terms, grid = call.house.desk.rewards(listing.market), listing.instrument.grid
    if terms is None:
        return wire.MarketRewards(Decimal(0), Decimal(0))
    rate = {"asset_address": PUSD, "rewards_daily_rate": float(listing.instrument.quote.decimal(terms.pool))}
    return wire.MarketRewards(grid.size(terms.size_min_lots), 100 * grid.price(terms.spread_max_i), (rate,))


def _listed(call: Call, listing: Listing) -> wire.MarketListing:
    state = call.house.desk.state(listing.market)
    grid, one_i = listing.instrument.grid, listing.instrument.one_i
    bid, ask = _best(call, listing, listing.yes_token)
    yes = Decimal("0.5") if bid is None or ask is None else (bid + ask) / 2
    payoff = state.payoff_i
    if payoff is not None:
        yes = grid.price(payoff)
    won = None if payoff is None or payoff * 2 == one_i else payoff * 2 > one_i
    base = Decimal(BASE_FEE if _fee(call, listing) else 0)
    return wire.MarketListing(
        listing.condition_id,
        (
            wire.MarketToken(listing.yes_token, "Yes", yes, won is True),
            wire.MarketToken(listing.no_token, "No", 1 - yes, won is False),
        ),
        payoff is None, payoff is not None, False, state.open, _rewards(call, listing),
        question_id=listing.condition_id, question=listing.title, description="", market_slug=listing.slug,
        enable_order_book=True, minimum_order_size=grid.size(listing.instrument.size_min_lots),
        minimum_tick_size=_tick(call, listing), seconds_delay=0, maker_base_fee=base, taker_base_fee=base,
        neg_risk=listing.neg_risk, neg_risk_market_id="", neg_risk_request_id="", is_50_50_outcome=False, icon="",
        image="", tags=(), fpmm="", notifications_enabled=False,
    )  # fmt: skip


async def _market(call: Call) -> Response:
    return written(wire.MARKET, _listed(call, _by_condition(call)))


async def _markets(call: Call) -> Response:
    rows = [_listed(call, listing) for listing in call.house.listings.all]
    return written(wire.MARKETS, page_of(rows, call.query.get("next_cursor", ""), LISTED_MAX))


async def _simplified(call: Call) -> Response:
    whole = [_listed(call, listing) for listing in call.house.listings.all]
    rows = [wire.MarketListing(m.condition_id, m.tokens, m.active, m.closed, m.archived, m.accepting_orders, m.rewards)
            for m in whole]  # fmt: skip
    return written(wire.MARKETS, page_of(rows, call.query.get("next_cursor", ""), LISTED_MAX))


HANDLERS: Final[Mapping[ep.Endpoint, Handler]] = {
    ep.OK: _ok, ep.TIME: _time, ep.VERSION: _version,
    ep.GET_BOOK: _get_book, ep.GET_BOOKS: _get_books, ep.GET_MIDPOINT: _get_midpoint, ep.GET_MIDPOINTS: _get_midpoints,
    ep.GET_PRICE: _get_price, ep.GET_PRICES: _get_prices, ep.GET_SPREAD: _get_spread, ep.GET_SPREADS: _get_spreads,
    ep.GET_PRICE_HISTORY: _history, ep.GET_LAST_TRADE: _get_last, ep.GET_LAST_TRADES: _get_lasts,
    ep.GET_TICK_SIZE: _get_tick, ep.GET_NEG_RISK: _get_neg_risk, ep.GET_FEE_RATE: _get_fee_rate,
    ep.GET_BUILDER_FEES: _builder_fees, ep.GET_MARKET_BY_TOKEN: _market_by_token,
    ep.GET_CLOB_MARKET: _clob_market, ep.GET_MARKETS: _markets, ep.GET_MARKET: _market,
    ep.GET_SAMPLING_MARKETS: _markets, ep.GET_SIMPLIFIED_MARKETS: _simplified, ep.GET_SAMPLING_SIMPLIFIED: _simplified,
}  # fmt: skip
