"""Signing for the venue: a key that never shows itself, the account it signs for, and signed orders.

    account = Account(PrivateKey(secret), funder=wallet)
    signed = account.sign(fields, exchange_for(token_id, neg_risk=False))
    signed.order_id        # known before anything is sent
    signed.signature       # 65 bytes; 317 for a deposit wallet (ERC-7739)

Everything here is a pure function of its arguments: salts and times come from outside.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from execsim.core.errors import ConfigError, ValidationError
from execsim.core.order import Side
from execsim_polymarket.addresses import address_bytes, checksummed
from execsim_polymarket.auth import ADDRESS, NONCE, SIGNATURE, TIMESTAMP, login_digest
from execsim_polymarket.curve import ORDER, Backend, address_of, default_backend
from execsim_polymarket.domains import POLYGON, Exchange, exchange_for
from execsim_polymarket.orders import (
    ZERO_32,
    OrderFields,
    SignatureType,
    envelope_digest,
    envelope_tail,
    order_id,
)
from execsim_polymarket.wallets import wallet_kind

SALT_MAX: Final = 1 << 53
"""Salts stay below: JSON numbers beyond are not exact in every client (polymarket-client's bound)."""


class PrivateKey:
    """A secp256k1 key that signs. It has no attribute, text or pickle that gives the secret away."""

    __slots__ = ("_key", "address")

    def __init__(self, secret: str | bytes, backend: Backend | None = None) -> None:
        """`secret`: 32 bytes, or their 64 hexadecimal digits with or without 0x.

        Errors: ValidationError, whose text does not repeat what was given."""
        raw = _secret_bytes(secret)
        self._key = (backend or default_backend()).key(raw)
        self.address: str = checksummed(address_of(self._key.public))

    def sign(self, digest: bytes) -> bytes:
        """65 bytes r || s || v over a 32-byte digest; the same for the same digest."""
        return self._key.sign(digest)

    def __repr__(self) -> str:
        return f"PrivateKey of {self.address}"

    def __reduce__(self) -> str:
        raise TypeError("a PrivateKey is not pickled or copied")


@dataclass(frozen=True, slots=True)
class SignedOrder:
    """An order that can be sent. `order_id` and `signature` are bytes; `*_hex` with 0x, as the venue writes them."""

    fields: OrderFields
    exchange: Exchange
    order_id: bytes
    signature: bytes

    @property
    def order_id_hex(self) -> str:
        return "0x" + self.order_id.hex()

    @property
    def signature_hex(self) -> str:
        return "0x" + self.signature.hex()


@dataclass(frozen=True, slots=True)
class Account:
    """Who trades: the key, the wallet with the money (`funder`, default the key's own address) and how the one signs for
    the other (`kind`, default found from the wallet's address).

    Errors: ConfigError when the wallet is not one the key could own and `kind` is not given.
    """

    key: PrivateKey
    funder: str = ""
    kind: SignatureType | None = None
    chain_id: int = POLYGON
    signer: str = field(init=False)
    """what stands in the order as `signer`: the EOA, or the deposit wallet itself"""

    def __post_init__(self) -> None:
        funder = checksummed(address_bytes(self.funder)) if self.funder else self.key.address
        kind = self.kind if self.kind is not None else wallet_kind(self.key.address, funder)
        if kind is None:
            what = f"wallet {funder} is not one that {self.key.address} owns"
            raise ConfigError(what, "check key and wallet; if both are right, give the signature type (0, 1, 2 or 3)")
        if kind is SignatureType.EOA and funder != self.key.address:
            raise ConfigError(f"signature type 0 with the wallet {funder}", "an EOA trades its own money only")
        object.__setattr__(self, "funder", funder)
        object.__setattr__(self, "kind", SignatureType(kind))
        object.__setattr__(self, "signer", funder if kind == SignatureType.DEPOSIT else self.key.address)

    def order(
        self, *, side: Side, token_id: int, maker_amount: int, taker_amount: int, salt: int, timestamp_ms: int,
        neg_risk: bool, metadata: bytes = ZERO_32, builder: bytes = ZERO_32,
    ) -> SignedOrder:  # fmt: skip
        """Build and sign; the exchange follows from the asset."""
        assert self.kind is not None  # __post_init__
        fields = OrderFields(
            salt, self.funder, self.signer, token_id, maker_amount, taker_amount, side, self.kind, timestamp_ms,
            metadata, builder,
        )  # fmt: skip
        return self.sign(fields, exchange_for(token_id, neg_risk=neg_risk, chain_id=self.chain_id))

    def sign(self, fields: OrderFields, exchange: Exchange) -> SignedOrder:
        """Sign an order as it stands; type 3 gets the ERC-7739 signature."""
        struct = fields.struct_hash()
        name = order_id(struct, exchange)
        if fields.signature_type is not SignatureType.DEPOSIT:
            return SignedOrder(fields, exchange, name, self.key.sign(name))
        inner = self.key.sign(envelope_digest(struct, exchange, fields.signer))
        return SignedOrder(fields, exchange, name, inner + envelope_tail(struct, exchange))

    def login_headers(self, timestamp_s: int, nonce: int = 0) -> dict[str, str]:
        """Headers of an L1 request (creating or deriving API credentials): always of the EOA."""
        address, seconds = self.key.address, str(timestamp_s)
        signature = self.key.sign(login_digest(address, seconds, nonce, self.chain_id))
        return {ADDRESS: address, SIGNATURE: "0x" + signature.hex(), TIMESTAMP: seconds, NONCE: str(nonce)}


def _secret_bytes(secret: str | bytes) -> bytes:
    if isinstance(secret, str):
        try:
            secret = bytes.fromhex(secret.strip().removeprefix("0x").removeprefix("0X"))
        except ValueError:
            secret = b""
    if len(secret) != 32 or not 0 < int.from_bytes(secret, "big") < ORDER:
        raise ValidationError(
            "private_key", "the private key is not one", "64 hexadecimal digits, 0x before them or not"
        )
    return secret
