"""The addresses of the wallets Polymarket makes for a key: each is a contract deployed by CREATE2, so its address follows
from the key's. An account whose wallet is none of these (a wallet with another owner) is told by the user.

Parameters and vectors: polymarket-client 0.14.0. Deposit wallets are ERC-1967 proxies of Solady's LibClone with immutable
arguments, older ones with an implementation (UUPS), newer ones with a beacon; which one a key has is known on chain only,
so both count as its own.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from execsim_polymarket.addresses import address_bytes, address_word, checksummed
from execsim_polymarket.keccak import keccak256
from execsim_polymarket.orders import SignatureType

PROXY_FACTORY: Final = "0xaB45c5A4B0c941a2F231C04C3f49182e1A254052"
PROXY_IMPLEMENTATION: Final = "0x44e999d5c2F66Ef0861317f9A4805AC2e90aEB4f"
SAFE_FACTORY: Final = "0xaacFeEa03eb1561C4e67d661e40682Bd20E3541b"
SAFE_INIT_CODE_HASH: Final = bytes.fromhex("2bce2127ff07fb632d16c8347c4ebf501f4841168bed00d9e6ef715ddb6fcecf")
DEPOSIT_FACTORY: Final = "0x00000000000Fb5C9ADea0298D729A0CB3823Cc07"
DEPOSIT_IMPLEMENTATION: Final = "0x58CA52ebe0DadfdF531Cde7062e76746de4Db1eB"
DEPOSIT_BEACON: Final = "0x7A18EDfe055488A3128f01F563e5B479D92ffc3a"

# EVM code of the proxies around the addresses they carry (EIP-1167 with a constructor; ERC-1967).
_PROXY_CODE: Final = (
    bytes.fromhex("3d3d606380380380913d393d73"),
    bytes.fromhex("5af4602a57600080fd5b602d8060366000396000f3363d3d373d3d3d363d73"),
    bytes.fromhex("5af43d82803e903d91602b57fd5bf352e831dd") + (32).to_bytes(32, "big") + bytes(32),
)
_UUPS_HEAD: Final = 0x61003D3D8160233D3973
_UUPS_CODE: Final = bytes.fromhex(
    "60095155f3363d3d373d3d363d7f360894a13ba1a3210667c828492db98dca3e2076"
    "cc3735a920a3ca505d382bbc545af43d6000803e6038573d6000fd5b3d6000f3"
)
_BEACON_HEAD: Final = 0x6100523D8160233D3973
_BEACON_CODE: Final = bytes.fromhex(
    "60195155f3363d3d373d3d363d602036600436635c60da1b60e01b36527fa3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6c"
    "b3582b35133d50545afa5036515af43d6000803e604d573d6000fd5b3d6000f3"
)


def proxy_wallet(eoa: str) -> str:
    """Address of the key's proxy wallet (signature type 1)."""
    factory, implementation = address_bytes(PROXY_FACTORY), address_bytes(PROXY_IMPLEMENTATION)
    code = _PROXY_CODE[0] + factory + _PROXY_CODE[1] + implementation + _PROXY_CODE[2]
    return _create2(factory, keccak256(address_bytes(eoa)), keccak256(code))


def safe_wallet(eoa: str) -> str:
    """Address of the key's Gnosis Safe (signature type 2)."""
    return _create2(address_bytes(SAFE_FACTORY), keccak256(address_word(eoa)), SAFE_INIT_CODE_HASH)


def deposit_wallet(eoa: str, *, beacon: bool) -> str:
    """Address of the key's deposit wallet (signature type 3)."""
    head, code = (_BEACON_HEAD, _BEACON_CODE) if beacon else (_UUPS_HEAD, _UUPS_CODE)
    target = address_bytes(DEPOSIT_BEACON if beacon else DEPOSIT_IMPLEMENTATION)
    arguments = address_word(DEPOSIT_FACTORY) + address_word(eoa)
    init = (head + (len(arguments) << 56)).to_bytes(10, "big") + target + code + arguments
    return _create2(address_bytes(DEPOSIT_FACTORY), keccak256(arguments), keccak256(init))


@lru_cache(maxsize=4096)
def wallet_kind(eoa: str, wallet: str) -> SignatureType | None:
    """How a key signs for a wallet, if the wallet is one of its own; None if it is not."""
    raw = address_bytes(wallet)
    kinds = (
        (SignatureType.EOA, address_bytes(eoa)),
        (SignatureType.DEPOSIT, address_bytes(deposit_wallet(eoa, beacon=True))),
        (SignatureType.DEPOSIT, address_bytes(deposit_wallet(eoa, beacon=False))),
        (SignatureType.PROXY, address_bytes(proxy_wallet(eoa))),
        (SignatureType.SAFE, address_bytes(safe_wallet(eoa))),
    )
    return next((kind for kind, own in kinds if own == raw), None)


def _create2(factory: bytes, salt: bytes, code_hash: bytes) -> str:
    return checksummed(keccak256(b"\xff" + factory + salt + code_hash)[12:])
