"""An order as it is signed: the EIP-712 struct of Exchange V2 and V3, its hash (the venue's order id), and the envelope a
deposit wallet wants around it. No keys here.

Source: polymarket.md section 3.3; ERC-7739 for the envelope (`TypedDataSign`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from execsim.core.errors import ValidationError
from execsim.core.order import Side
from execsim_polymarket.addresses import address_word
from execsim_polymarket.domains import Exchange, digest
from execsim_polymarket.keccak import keccak256

ORDER_TYPE: Final = (
    b"Order(uint256 salt,address maker,address signer,uint256 tokenId,uint256 makerAmount,uint256 takerAmount,"
    b"uint8 side,uint8 signatureType,uint256 timestamp,bytes32 metadata,bytes32 builder)"
)
ZERO_32: Final = bytes(32)

_ORDER_HASH: Final = keccak256(ORDER_TYPE)
_ENVELOPE_HASH: Final = keccak256(
    b"TypedDataSign(Order contents,string name,string version,uint256 chainId,address verifyingContract,bytes32 salt)"
    + ORDER_TYPE
)
_WALLET_NAME: Final = keccak256(b"DepositWallet")
_WALLET_VERSION: Final = keccak256(b"1")
_SIDE_WORDS: Final = {Side.BUY: bytes(32), Side.SELL: (1).to_bytes(32, "big")}


class SignatureType(IntEnum):
    """Who holds the money and who signs for it."""

    EOA = 0
    """the key's own address"""
    PROXY = 1
    """a proxy wallet of Polymarket (e-mail accounts)"""
    SAFE = 2
    """a Gnosis Safe (browser wallets)"""
    DEPOSIT = 3
    """a deposit wallet: a contract that verifies signatures itself (ERC-1271, here by ERC-7739)"""


@dataclass(frozen=True, slots=True)
class OrderFields:
    """What is signed. Amounts in base units (1e-6 of pUSD or share): a BUY makes pUSD and takes shares, a SELL the reverse.

    `maker` holds the funds, `signer` is the EOA that signs, or for DEPOSIT the wallet itself; both as they go on the wire.
    Errors: ValidationError when metadata or builder are not 32 bytes.
    """

    salt: int
    maker: str
    signer: str
    token_id: int
    maker_amount: int
    taker_amount: int
    side: Side
    signature_type: SignatureType
    timestamp_ms: int
    metadata: bytes = ZERO_32
    builder: bytes = ZERO_32

    def __post_init__(self) -> None:
        if len(self.metadata) != 32 or len(self.builder) != 32:
            raise ValidationError(
                "bytes32", f"metadata and builder have {len(self.metadata)} and {len(self.builder)} bytes"
            )

    def struct_hash(self) -> bytes:
        """hashStruct of EIP-712. Errors: OverflowError when a number does not fit 256 bits; ValidationError (address)."""
        return keccak256(
            b"".join((
                _ORDER_HASH,
                self.salt.to_bytes(32, "big"),
                address_word(self.maker),
                address_word(self.signer),
                self.token_id.to_bytes(32, "big"),
                self.maker_amount.to_bytes(32, "big"),
                self.taker_amount.to_bytes(32, "big"),
                _SIDE_WORDS[self.side],
                self.signature_type.to_bytes(32, "big"),
                self.timestamp_ms.to_bytes(32, "big"),
                self.metadata,
                self.builder,
            ))
        )  # fmt: skip


def order_id(struct_hash: bytes, exchange: Exchange) -> bytes:
    """The hash by which the venue and the contract know the order, before it is sent."""
    return digest(exchange.separator, struct_hash)


def envelope_digest(struct_hash: bytes, exchange: Exchange, wallet: str) -> bytes:
    """What the owner of a deposit wallet signs: the order inside a `TypedDataSign` that names the wallet."""
    inner = b"".join((
        _ENVELOPE_HASH, struct_hash, _WALLET_NAME, _WALLET_VERSION,
        exchange.chain_id.to_bytes(32, "big"), address_word(wallet), ZERO_32,
    ))  # fmt: skip
    return digest(exchange.separator, keccak256(inner))


def envelope_tail(struct_hash: bytes, exchange: Exchange) -> bytes:
    """The 252 bytes after the owner's signature: with them the wallet rebuilds what was signed."""
    return exchange.separator + struct_hash + ORDER_TYPE + len(ORDER_TYPE).to_bytes(2, "big")
