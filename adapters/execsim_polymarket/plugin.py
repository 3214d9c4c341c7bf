"""What execsim finds under the entry point `polymarket`: importers, instruments and the venue's way of refusing.

Texts are the venue's own (polymarket.md section 5.5, from docs resources/error-codes and observed answers); fields in braces
are filled in by the simulated exchange. Where the venue's sentence has a part nobody has published, it is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from execsim.core.errors import ConfigError
from execsim.core.units import NS_PER_S
from execsim.ports import (
    Credentials,
    Dialect,
    Finding,
    LiveDoor,
    LiveVenue,
    MarketSource,
    Runtime,
    Transport,
    VenueConfig,
    VenuePlugin,
    VenueProfile,
)
from execsim_polymarket.archive import PolymarketFrames
from execsim_polymarket.hosts import REST, VARIABLES, WS
from execsim_polymarket.instruments import VENUE_ID, instrument
from execsim_polymarket.limits import DOOR, LIMITS, TIERS, TRAITS
from execsim_polymarket.pmxt import PmxtV2

TEXTS: Final = {
    "post_only_cross": ("400", "invalid post-only order: order crosses book"),
    "tick": ("400", "order {id} is invalid. Price ({price}) breaks minimum tick size rule: {tick}"),
    # the venue has one text for both; the lowest price it takes is the tick
    "price_range": ("400", "order {id} is invalid. Price ({price}) breaks minimum tick size rule: {low}"),
    "size_min": ("400", "order {id} is invalid. Size ({size}) lower than the minimum: {min}"),
    "size_step": (
        "400",
        "invalid amounts, the maker amount supports a max accuracy of 2 decimals, taker amount a max of 4 decimals",
    ),
    "notional_min": ("400", "invalid amount for a marketable BUY order, min size: $1"),
    "balance": (
        "400",
        "not enough balance / allowance: the balance is not enough -> "
        "balance: {free}, sum of matched orders: 0, order amount (inc. fees): {needed}",
    ),
    # [?] what follows `the allowance is not enough` is not published (polymarket.md section 5.5)
    "allowance": ("400", "not enough balance / allowance: the allowance is not enough"),
    "duplicate": ("400", "order {order_id} is invalid. Duplicated."),
    "expired": ("400", "invalid expiration"),
    "expiry_min": ("400", "invalid expiration"),
    "fok": ("400", "order couldn't be fully filled. FOK orders are fully filled or killed."),
    "ioc_no_match": (
        "400",
        "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found.",
    ),
    "market_closed": ("503", "Trading is currently disabled. Check polymarket.com for updates"),
    "unknown_market": ("404", "No orderbook exists for the requested token id"),
    "rate_limit": ("429", "Too Many Requests"),
    "order_gone": ("200", "Order not found or already canceled"),
}

PROFILE: Final = VenueProfile(
    texts=TEXTS,
    limits=LIMITS,
    tiers=TIERS,
    door=DOOR,
    client_per_s="10",  # the preset of the gateway this project replaces
    client_burst=20,
    gtd_early_ns=60 * NS_PER_S,  # the venue drops a GTD order 60 s before its stated time
    gtd_min_ns=180 * NS_PER_S,  # UNI's check since 2026-07-03
    shorting=False,
    traits=TRAITS,
)


def _dialect() -> Dialect:
    from execsim_polymarket.dialect import PolymarketDialect  # keccak and a curve: only who serves needs them

    return PolymarketDialect()


# What trades needs the extra `polymarket` (hashing, signing, HTTP): imported when it is asked for.


def connect(config: VenueConfig, transport: Transport, runtime: Runtime) -> LiveVenue:
    """`VenuePlugin.connect`. Errors: ConfigError."""
    with _extra():
        from execsim_polymarket.client import PolymarketVenue
    return PolymarketVenue(config, transport, runtime)


def secure(credentials: Credentials, transport: Transport) -> tuple[Mapping[str, Any], Transport]:
    """`LiveDoor.secure`. Errors: ConfigError, ValidationError."""
    with _extra():
        from execsim_polymarket import live
    return live.secure(credentials, transport)


async def clock(transport: Transport) -> tuple[int, int]:
    """`LiveDoor.clock`. Errors: ExecError."""
    with _extra():
        from execsim_polymarket import live
    return await live.clock(transport)


async def examine(known: Mapping[str, Any], transport: Transport, runtime: Runtime, local: bool) -> list[Finding]:
    """`LiveDoor.examine`. Errors: ConfigError."""
    with _extra():
        from execsim_polymarket import live
    return await live.examine(known, transport, runtime, local)


async def record(
    markets: Sequence[str], transport: Transport, runtime: Runtime, write: Callable[[bytes], None]
) -> None:
    """`LiveDoor.record`. Errors: ExecError."""
    with _extra():
        from execsim_polymarket import recorder
    await recorder.record(markets, transport, runtime, write)


def data(config: VenueConfig, transport: Transport, runtime: Runtime) -> MarketSource:
    """`LiveDoor.data`. Errors: ConfigError."""
    with _extra():
        from execsim_polymarket.watcher import PolymarketData
    return PolymarketData(config, transport, runtime)


@contextmanager
def _extra() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ConfigError(f"Polymarket cannot be traded: {error}", "pip install 'execsim[polymarket]'") from None


VENUE: Final = VenuePlugin(
    VENUE_ID, (PolymarketFrames(), PmxtV2()), instrument, PROFILE, dialect=_dialect, connect=connect,
    live=LiveDoor(REST, WS, VARIABLES, secure, clock, examine, record, data),
)  # fmt: skip
