"""Orders of the dead first version: hashed and signed only so that a server knows one when it sees it.

Since 2026-04-28 the venue answers them `order_version_mismatch` (polymarket.md section 1); nothing here sends one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from execsim.core.order import Side
from execsim_polymarket.addresses import address_word
from execsim_polymarket.domains import POLYGON, Exchange
from execsim_polymarket.keccak import keccak256

STANDARD: Final = Exchange("1", POLYGON, "0x4bFb41d5B3570DeFd03C39a9A4D8dE6Bd8B8982E")
NEG_RISK: Final = Exchange("1", POLYGON, "0xC5d563A36AE78145C45a50134d48A1215220f80a")

_TYPE: Final = keccak256(
    b"Order(uint256 salt,address maker,address signer,address taker,uint256 tokenId,uint256 makerAmount,"
    b"uint256 takerAmount,uint256 expiration,uint256 nonce,uint256 feeRateBps,uint8 side,uint8 signatureType)"
)


@dataclass(frozen=True, slots=True)
class LegacyFields:
    """The signed struct of version 1."""

    salt: int
    maker: str
    signer: str
    taker: str
    token_id: int
    maker_amount: int
    taker_amount: int
    expiration_s: int
    nonce: int
    fee_rate_bps: int
    side: Side
    signature_type: int

    def struct_hash(self) -> bytes:
        """hashStruct of EIP-712. Errors: OverflowError, ValidationError (address)."""
        numbers = (
            self.token_id, self.maker_amount, self.taker_amount, self.expiration_s, self.nonce, self.fee_rate_bps,
            int(self.side is Side.SELL), self.signature_type,
        )  # fmt: skip
        words = [_TYPE, self.salt.to_bytes(32, "big")]
        words += [address_word(address) for address in (self.maker, self.signer, self.taker)]
        words += [number.to_bytes(32, "big") for number in numbers]
        return keccak256(b"".join(words))
