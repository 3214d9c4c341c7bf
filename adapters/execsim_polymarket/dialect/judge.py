"""What the venue checks of a posted order before its engine sees it: whose it is, who signed it, what its amounts say.

Tick, size, balance, post-only and the rest of the rules are the exchange's own (exchange/rules.py) and are judged when the
order arrives there. Source: polymarket.md sections 3.3, 4, 5.1, 5.5, 7. [?] in which order the venue checks is not known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from execsim.core.errors import ValidationError
from execsim.core.order import Order, OrderId, OrderType, Side, TimeInForce
from execsim.core.units import NS_PER_S, plain
from execsim_polymarket.addresses import address_bytes
from execsim_polymarket.amounts import Amounts, fault, price_of
from execsim_polymarket.auth import ApiKey
from execsim_polymarket.dialect.clock import VenueClock
from execsim_polymarket.dialect.listings import Listing, Listings
from execsim_polymarket.dialect.refusals import Refused
from execsim_polymarket.domains import POLYGON, exchange_for
from execsim_polymarket.orders import OrderFields, SignatureType, order_id
from execsim_polymarket.verify import is_signed, owns_maker
from execsim_polymarket.wire.trading import LEGACY_POST, PostOrder

GTD_MIN_NS: Final = 180 * NS_PER_S
GTD_EARLY_NS: Final = 60 * NS_PER_S
PAYLOAD: Final = "Invalid order payload"
NO_BOOK: Final = "No orderbook exists for the requested token id"

_TIF: Final = {"GTC": TimeInForce.GTC, "GTD": TimeInForce.GTD, "FAK": TimeInForce.IOC, "FOK": TimeInForce.FOK}


@dataclass(frozen=True, slots=True)
class Posted:
    """An order the venue took for what it says: its hash, the message, and what it means to the exchange."""

    id: str
    post: PostOrder
    listing: Listing
    order: Order
    created_ns: int
    """clients' time"""

    @property
    def token(self) -> str:
        return str(self.post.order.token_id)


def unreadable(body: bytes) -> Refused:
    """What to say to an order that could not be read: old ones are known by their shape."""
    try:
        LEGACY_POST.from_client(body)
    except ValidationError:
        return Refused(400, PAYLOAD)
    return Refused(400, "order_version_mismatch")


class Judge:
    """`tick_i(market)`: the tick now. `known(hash)`: whether the venue has had this very order. `early_ns`: how long before
    its stated time the exchange by itself drops a GTD order."""

    def __init__(
        self,
        listings: Listings,
        clock: VenueClock,
        tick_i: Callable[[str], int],
        known: Callable[[str], bool],
        early_ns: int,
    ) -> None:
        self._early_ns = early_ns
        self._listings = listings
        self._clock = clock
        self._tick_i = tick_i
        self._known = known

    def read(self, post: PostOrder, key: ApiKey) -> Posted:
        """Errors: Refused."""
        if post.owner != key.key:
            raise Refused(400, "the order owner has to be the owner of the API KEY")
        listing = self._listings.by_token.get(str(post.order.token_id))
        if listing is None:
            raise Refused(404, NO_BOOK)
        try:
            fields = post.order.fields
            name = self._signed(fields, post.order.signature, key.address, listing)
        except (OverflowError, ValidationError):
            raise Refused(400, PAYLOAD) from None
        if self._known(name):
            raise Refused(400, f"order {name} is invalid. Duplicated.")
        return Posted(name, post, listing, self._order(name, post, listing), self._clock.now_ns())

    def _signed(self, fields: OrderFields, signature: bytes, eoa: str, listing: Listing) -> str:
        """The order's hash, if its signature is the key's for this exchange and the wallet is the key's."""
        signer = fields.maker if fields.signature_type is SignatureType.DEPOSIT else eoa
        bound = address_bytes(fields.signer) == address_bytes(signer)
        if fields.signature_type is SignatureType.DEPOSIT:
            bound = bound and owns_maker(fields, eoa)
        if not bound:
            raise Refused(400, "the order signer address has to be the address of the API KEY")
        exchange = exchange_for(fields.token_id, neg_risk=listing.neg_risk, chain_id=POLYGON)
        if not is_signed(fields, signature, exchange, eoa) or not owns_maker(fields, eoa):
            raise Refused(400, "invalid signature")
        return "0x" + order_id(fields.struct_hash(), exchange).hex()

    def _order(self, name: str, post: PostOrder, listing: Listing) -> Order:
        if post.post_only and post.immediate:
            raise Refused(400, "invalid post-only order: only GTC and GTD order types are allowed")
        tick_i = listing.fine_tick_i(self._tick_i(listing.market))
        side, amounts = post.order.side, Amounts(post.order.maker_amount, post.order.taker_amount)
        if (wrong := fault(side, amounts, tick_i, immediate=post.immediate)) is not None:
            raise Refused(400, wrong)
        fine = price_of(side, amounts, tick_i, immediate=post.immediate)
        price_i = None if fine is None else listing.price_i(fine)
        if price_i is None:
            raise Refused(400, _off_tick(name, side, amounts, listing.tick(self._tick_i(listing.market))))
        kind = OrderType.POST_ONLY if post.post_only else OrderType.LIMIT
        if post.immediate:
            kind = OrderType.MARKET
        size, money = self._target(post, listing)
        return Order(
            OrderId(name), listing.instrument, side, kind, _TIF[post.order_type], size, money, price_i,
            listing.outcome(str(post.order.token_id)), self._expire_ns(post), self._clock.now_ns(),
        )  # fmt: skip

    def _target(self, post: PostOrder, listing: Listing) -> tuple[int | None, int | None]:
        """(lots, money): a FOK or FAK BUY spends pUSD, everything else is for shares."""
        order = post.order
        buys = order.side is Side.BUY
        target = listing.cash(order.maker_amount) if buys and post.immediate else None
        lots = None if buys and post.immediate else listing.lots(order.taker_amount if buys else order.maker_amount)
        if target is None and lots is None:
            raise Refused(400, PAYLOAD)  # finer than this market's recording
        return lots, target

    def _expire_ns(self, post: PostOrder) -> int | None:
        """When the exchange is told the order's time is over; it lapses a minute of the clients' time before."""
        stated_ns = post.order.expiration_s * NS_PER_S
        if post.order_type != "GTD":
            if stated_ns:
                raise Refused(400, "invalid expiration")
            return None
        left_ns = stated_ns - self._clock.now_ns()
        if left_ns < GTD_MIN_NS or stated_ns >= 1 << 63:
            raise Refused(400, "invalid expiration")
        return min(self._clock.market_after(left_ns - GTD_EARLY_NS) + self._early_ns, (1 << 63) - 1)


def _off_tick(name: str, side: Side, amounts: Amounts, tick: Decimal) -> str:
    cash, shares = (amounts.maker, amounts.taker) if side is Side.BUY else (amounts.taker, amounts.maker)
    price = (
        plain((Decimal(cash) / Decimal(shares)).quantize(Decimal("0.000001"))) if cash < shares * 10**6 else "1000000"
    )
    return f"order {name} is invalid. Price ({price}) breaks minimum tick size rule: {plain(tick)}"
