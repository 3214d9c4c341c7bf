"""Where a signature holds: EIP-712 domains of the exchanges and of the login, and which exchange an asset trades on.

Separators are computed once per domain and kept. Contracts: polymarket.md section 2 (py-clob-client-v2 1.2.1,
polymarket-client 0.14.0); the separators of chain 137 are checked against section 3 by the tests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Final

from execsim.core.errors import ConfigError
from execsim_polymarket.addresses import address_word
from execsim_polymarket.keccak import keccak256

POLYGON: Final = 137
AMOY: Final = 80002
EXCHANGE_NAME: Final = "Polymarket CTF Exchange"

_CONTRACT_TYPE: Final = keccak256(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
_LOGIN_TYPE: Final = keccak256(b"EIP712Domain(string name,string version,uint256 chainId)")
_RESERVED: Final = ((1 << 64) - 1) << 40
"""Bits 40..103 of an asset id: zero in a position id of Exchange V3, practically never in a hash of the CTF."""
_PREFIX: Final = b"\x19\x01"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange contract as a signing domain. `version` is that of the domain: "2", "3", or "1" of the dead one."""

    version: str
    chain_id: int
    contract: str
    separator: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        words = (
            _CONTRACT_TYPE, keccak256(EXCHANGE_NAME.encode()), keccak256(self.version.encode()),
            self.chain_id.to_bytes(32, "big"), address_word(self.contract),
        )  # fmt: skip
        object.__setattr__(self, "separator", keccak256(b"".join(words)))


_V2: Final = "0xE111180000d2663C0091e4f400237545B87B996B"
_V2_NEG_RISK: Final = "0xe2222d279d744050d28e00520010520000310F59"
_V3: Final = {
    POLYGON: "0xe3333700cA9d93003F00f0F71f8515005F6c00Aa",
    AMOY: "0x9fE6e61422AdB6F610d8597F9684b16912D50C3D",
}


@cache
def exchange(chain_id: int, *, v3: bool = False, neg_risk: bool = False) -> Exchange:
    """The contract that settles. V3 has one for both kinds of market. Errors: ConfigError for an unknown chain."""
    if chain_id not in _V3:
        raise ConfigError(
            f"chain id {chain_id}", f"Polymarket trades on {POLYGON} (Polygon) and {AMOY} (its test chain)"
        )
    if v3:
        return Exchange("3", chain_id, _V3[chain_id])
    return Exchange("2", chain_id, _V2_NEG_RISK if neg_risk else _V2)


def exchange_for(asset_id: int, *, neg_risk: bool, chain_id: int = POLYGON) -> Exchange:
    """The contract an order of this asset must be signed for."""
    return exchange(chain_id, v3=is_position_id(asset_id), neg_risk=neg_risk)


def is_position_id(asset_id: int) -> bool:
    """Whether an asset is a position of Exchange V3 (polymarket-client's rule) and not a token of the CTF.

    Layout, high to low: module 8 bits, base 128, arity 16, reserved 64, resolver chain 16, condition index 16, outcome 8.
    """
    return asset_id & _RESERVED == 0


@cache
def login_separator(chain_id: int) -> bytes:
    """Domain of ClobAuth: it names no contract."""
    words = (_LOGIN_TYPE, keccak256(b"ClobAuthDomain"), keccak256(b"1"), chain_id.to_bytes(32, "big"))
    return keccak256(b"".join(words))


def digest(separator: bytes, struct_hash: bytes) -> bytes:
    """What is signed: EIP-712's final hash."""
    return keccak256(_PREFIX + separator + struct_hash)
