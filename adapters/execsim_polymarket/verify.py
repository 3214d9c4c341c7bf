"""Who signed an order, told from the order alone: what a server must check before it believes a request.

Types 0 to 2 are plain signatures over the order id. A deposit wallet's signature carries the domain, the order's hash and
its type beside the owner's signature; all three must be those of this order and this exchange, else a signature made
for one could be shown for another (ERC-7739).
"""

from __future__ import annotations

from typing import Final

from execsim_polymarket.addresses import address_bytes, checksummed
from execsim_polymarket.curve import SIGNATURE_BYTES, recover
from execsim_polymarket.domains import Exchange
from execsim_polymarket.orders import (
    OrderFields,
    SignatureType,
    envelope_digest,
    envelope_tail,
    order_id,
)
from execsim_polymarket.wallets import wallet_kind

DEPOSIT_SIGNATURE_BYTES: Final = 317


def signer_of(fields: OrderFields, signature: bytes, exchange: Exchange) -> str | None:
    """The EOA (checksummed) whose key made this signature over this order for this exchange; None where it is none.

    For types 0 to 2 a signature of whatever key recovers to *some* address: compare with `fields.signer` (`is_signed`).
    Errors: OverflowError, ValidationError for fields that cannot be hashed.
    """
    struct = fields.struct_hash()
    if fields.signature_type is not SignatureType.DEPOSIT:
        found = recover(order_id(struct, exchange), signature)
    else:
        inner, tail = signature[:SIGNATURE_BYTES], signature[SIGNATURE_BYTES:]
        if tail != envelope_tail(struct, exchange):
            return None
        found = recover(envelope_digest(struct, exchange, fields.signer), inner)
    return None if found is None else checksummed(found)


def is_signed(fields: OrderFields, signature: bytes, exchange: Exchange, eoa: str) -> bool:
    """Whether the owner of `eoa` signed this order, and may: the order's signer is that EOA, or for a deposit wallet the
    wallet that is also its maker."""
    owner = signer_of(fields, signature, exchange)
    if owner is None or address_bytes(owner) != address_bytes(eoa):
        return False
    signer, maker = address_bytes(fields.signer), address_bytes(fields.maker)
    if fields.signature_type is SignatureType.DEPOSIT:
        return signer == maker
    if fields.signature_type is SignatureType.EOA:
        return signer == maker == address_bytes(eoa)
    return signer == address_bytes(eoa)


def owns_maker(fields: OrderFields, eoa: str) -> bool:
    """Whether the order's maker is the wallet of that kind which follows from the EOA's address. A real wallet may have got
    another owner on chain; a local exchange has no chain to ask."""
    return wallet_kind(eoa, fields.maker) is fields.signature_type
