"""Who may ask: API keys, made for an address that has proved its key (L1) and shown with every private request (L2).

A key follows from the venue's own secret, the address and the nonce, so deriving gives what creating gave. Source:
polymarket.md sections 3.1, 3.2, 5.4. [?] how old a timestamp may be is not published.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from execsim.core.units import NS_PER_S
from execsim.ports import Rng
from execsim_polymarket.auth import API_KEY, NONCE, TIMESTAMP, ApiKey, check_login
from execsim_polymarket.dialect.refusals import Refused
from execsim_polymarket.domains import POLYGON
from execsim_polymarket.wire.account import Credentials

AGE_MAX_NS: Final = 300 * NS_PER_S
"""How far a request's timestamp may be from now, either way: an assumption, wide enough for clocks nobody has set."""
KEYS_PER_ADDRESS: Final = 64
"""Nonces one address may use; more are refused."""

BAD_L1: Final = (401, "Invalid L1 Request headers")
BAD_L2: Final = (401, "Unauthorized/Invalid api key")
NOT_CREATED: Final = (400, "Could not create api key")
NOT_DERIVED: Final = (400, "Could not derive api key!")


class KeyRing:
    """Every key of a venue."""

    def __init__(self, rng: Rng) -> None:
        self._secret = b"".join(rng.raw().to_bytes(8, "big") for _ in range(4))
        self._by_key: dict[str, ApiKey] = {}
        self._by_nonce: dict[str, dict[int, str]] = {}
        """address -> nonce -> its key, "" once deleted"""
        self._deleted: dict[tuple[str, int], int] = {}

    def create(self, headers: Mapping[str, str], now_ns: int) -> Credentials:
        """Errors: Refused, also when there is one already: clients then derive it."""
        address, nonce = _proved(headers, now_ns)
        nonces = self._by_nonce.setdefault(address, {})
        if nonces.get(nonce) or (nonce not in nonces and len(nonces) >= KEYS_PER_ADDRESS):
            raise Refused(*NOT_CREATED)
        key = self._make(address, nonce)
        nonces[nonce] = key.key
        self._by_key[key.key] = key
        return _shown(key)

    def derive(self, headers: Mapping[str, str], now_ns: int) -> Credentials:
        """Errors: Refused when no such key was created."""
        address, nonce = _proved(headers, now_ns)
        name = self._by_nonce.get(address, {}).get(nonce)
        if not name:
            raise Refused(*NOT_DERIVED)
        return _shown(self._by_key[name])

    def delete(self, key: ApiKey) -> None:
        self._by_key.pop(key.key, None)
        for nonce, name in self._by_nonce[key.address].items():
            if name == key.key:
                self._by_nonce[key.address][nonce] = ""
                self._deleted[key.address, nonce] = self._deleted.get((key.address, nonce), 0) + 1

    def of(self, address: str) -> list[str]:
        return [name for name in self._by_nonce.get(address, {}).values() if name]

    def check(self, headers: Mapping[str, str], method: str, path: str, body: bytes, now_ns: int) -> ApiKey:
        """The key a request proves to have. Errors: Refused."""
        key = self._by_key.get(headers.get(API_KEY, ""))
        if key is None or not _fresh(headers, now_ns) or not key.check(headers, method, path, body):
            raise Refused(*BAD_L2)
        return key

    def match(self, given: Credentials) -> ApiKey:
        """The key whose three parts these are (user channel). Errors: Refused."""
        key = self._by_key.get(given.key)
        parts = {} if key is None else key.subscription()
        same = hmac.compare_digest(parts.get("secret", "").encode(), given.secret.encode())
        same &= hmac.compare_digest(parts.get("passphrase", "").encode(), given.passphrase.encode())
        if key is None or not same:
            raise Refused(*BAD_L2)
        return key

    def _make(self, address: str, nonce: int) -> ApiKey:
        generation = self._deleted.get((address, nonce), 0)

        def part(name: str) -> bytes:
            return hmac.digest(self._secret, f"{name} {address} {nonce} {generation}".encode(), hashlib.sha256)

        raw = part("key").hex()
        name = f"{raw[:8]}-{raw[8:12]}-4{raw[13:16]}-8{raw[17:20]}-{raw[20:32]}"
        secret = base64.urlsafe_b64encode(part("secret")).decode()
        return ApiKey(address, name, secret, part("passphrase").hex())


def _proved(headers: Mapping[str, str], now_ns: int) -> tuple[str, int]:
    address = check_login(headers, POLYGON)
    if address is None or not _fresh(headers, now_ns):
        raise Refused(*BAD_L1)
    return address, int(headers.get(NONCE, "0"))


def _fresh(headers: Mapping[str, str], now_ns: int) -> bool:
    told = headers.get(TIMESTAMP, "")
    return told.isascii() and told.isdecimal() and len(told) < 16 and abs(int(told) * NS_PER_S - now_ns) <= AGE_MAX_NS


def _shown(key: ApiKey) -> Credentials:
    parts = key.subscription()
    return Credentials(parts["apiKey"], parts["secret"], parts["passphrase"])
