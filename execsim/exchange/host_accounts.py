"""POST /_execsim/accounts: what the host does for an account while it runs: open it, give it money, bound it.

    {"address": "0x..", "deposit": "100", "allowance": "50"}    amounts: decimal texts, in the venue's quote asset

`deposit` comes on top of what there is, `allowance` stands instead of what was; "unlimited" takes its bound away.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from execsim.core.errors import AuthenticationError, ConfigError, ValidationError
from execsim.core.instrument import Asset
from execsim.core.units import plain
from execsim.ports import Desk, Dialect

FIELDS: Final = ("address", "deposit", "allowance")
UNLIMITED: Final = "unlimited"
MOST: Final = Decimal(10) ** 12
"""A deposit or allowance above this is a mistake; sums of many stay within what accounts can hold exactly."""


def change_account(dialect: Dialect, desk: Desk, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Do what was asked, all of it or nothing; how the account then stands. Errors: ConfigError naming the field."""
    unknown = [name for name in asked if name not in FIELDS]
    if unknown:
        raise ConfigError(f"accounts: no field {unknown[0][:32]!r}", f"there are: {', '.join(FIELDS)}")
    address = asked.get("address")
    if not isinstance(address, str):
        raise ConfigError("accounts: give address (a text)", "")
    try:
        account = dialect.account(address)
    except ValidationError as error:
        raise ConfigError(f"accounts: address: {error.args[1]}", *error.args[2:]) from None
    quote = _quote(desk)
    deposit = _units(quote, "deposit", asked["deposit"]) if "deposit" in asked else 0
    allowance = asked.get("allowance")
    bound = None if allowance in (None, UNLIMITED) else _units(quote, "allowance", allowance)
    try:
        desk.open_account(account)
    except AuthenticationError as error:
        raise ConfigError(f"accounts: {error.args[2]}", "") from None
    if deposit:
        desk.deposit(account, quote.name, deposit)
    if allowance is not None:
        desk.approve(account, quote.name, bound)
    left = desk.allowances(account).get(quote.name)
    held = plain(quote.decimal(desk.balance(account, quote.name)))
    told = UNLIMITED if left is None else plain(quote.decimal(left))
    return {"address": account, "asset": quote.name, "balance": held, "allowance": told}


def _quote(desk: Desk) -> Asset:
    found = {instrument.quote.name: instrument.quote for instrument in desk.instruments().values()}
    if len(found) != 1:
        raise ConfigError(f"accounts: {desk.venue_id} has {len(found)} quote assets", "amounts need exactly one")
    return next(iter(found.values()))


def _units(quote: Asset, name: str, told: Any) -> int:
    what = f"accounts: {name}"
    if not isinstance(told, str):
        raise ConfigError(f"{what} is not a text", f'write the number of {quote.name} as a text: "100" or "0.5"')
    try:
        number = Decimal(told) if len(told) <= 40 else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or not 0 <= number <= MOST:
        raise ConfigError(f"{what} {told[:40]!r} is not a number from 0 to 10^12", "")
    try:
        return quote.amount(number)
    except ValidationError as error:
        raise ConfigError(f"{what}: {error.args[1]}", *error.args[2:]) from None
