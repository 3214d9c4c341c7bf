"""The two logins of the venue: L1, a ClobAuth struct signed by the key, and L2, an HMAC over each request.

Signing and checking stand side by side: our server checks with the same code. Source: polymarket.md sections 3.1, 3.2.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from execsim.core.errors import ValidationError
from execsim_polymarket.addresses import address_bytes, address_word, checksummed
from execsim_polymarket.curve import recover
from execsim_polymarket.domains import digest, login_separator
from execsim_polymarket.keccak import keccak256

ADDRESS: Final = "POLY_ADDRESS"
SIGNATURE: Final = "POLY_SIGNATURE"
TIMESTAMP: Final = "POLY_TIMESTAMP"
NONCE: Final = "POLY_NONCE"
API_KEY: Final = "POLY_API_KEY"
PASSPHRASE: Final = "POLY_PASSPHRASE"

ATTESTATION: Final = "This message attests that I control the given wallet"
_LOGIN_TYPE: Final = keccak256(b"ClobAuth(address address,string timestamp,uint256 nonce,string message)")
_ATTESTATION_HASH: Final = keccak256(ATTESTATION.encode())


def login_hash(address: str, timestamp: str, nonce: int) -> bytes:
    """Struct hash of ClobAuth; `timestamp` is Unix seconds as text. Errors: ValidationError (address), OverflowError."""
    words = (
        _LOGIN_TYPE, address_word(address), keccak256(timestamp.encode()), nonce.to_bytes(32, "big"), _ATTESTATION_HASH,
    )  # fmt: skip
    return keccak256(b"".join(words))


def login_digest(address: str, timestamp: str, nonce: int, chain_id: int) -> bytes:
    """What an L1 request signs."""
    return digest(login_separator(chain_id), login_hash(address, timestamp, nonce))


def check_login(headers: Mapping[str, str], chain_id: int) -> str | None:
    """Address (checksummed) that an L1 request proves to control; None when headers or signature are wrong.

    How old the timestamp may be is the server's affair. Header names must be upper case, as the constants above."""
    try:
        address, signature = headers[ADDRESS], bytes.fromhex(headers[SIGNATURE].removeprefix("0x"))
        timestamp, nonce = headers[TIMESTAMP], int(headers.get(NONCE, "0"))
        found = recover(login_digest(address, timestamp, nonce, chain_id), signature)
        return checksummed(found) if found is not None and found == address_bytes(address) else None
    except (KeyError, ValueError, OverflowError, ValidationError):
        return None


class ApiKey:
    """Credentials of L2 for one address: key, secret and passphrase. Shows none of them."""

    __slots__ = ("_hmac", "_passphrase", "_secret", "address", "key")

    def __init__(self, address: str, key: str, secret: str, passphrase: str) -> None:
        """`secret` is base64, URL-safe or not, padded or not. Errors: ValidationError, without the secret in its text."""
        try:
            padded = secret.replace("+", "-").replace("/", "_") + "=" * (-len(secret) % 4)
            raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise ValidationError("api_secret", "the API secret is not base64", "copy it again, whole") from None
        self.address = address
        self.key = key
        self._secret = secret
        self._passphrase = passphrase
        self._hmac = hmac.new(raw, digestmod=hashlib.sha256)

    def __repr__(self) -> str:
        return f"ApiKey({self.address}, secrets hidden)"

    def __reduce__(self) -> str:
        raise TypeError("an ApiKey is not pickled: it would write its secrets")

    def sign(self, timestamp_s: int | str, method: str, path: str, body: bytes = b"") -> str:
        """HMAC of one request. `path` without host and query; `body` the exact bytes sent."""
        mac = self._hmac.copy()
        mac.update(f"{timestamp_s}{method}{path}".encode() + body)
        return base64.urlsafe_b64encode(mac.digest()).decode()

    def headers(self, timestamp_s: int, method: str, path: str, body: bytes = b"") -> dict[str, str]:
        """Headers of one L2 request."""
        return {
            ADDRESS: self.address,
            SIGNATURE: self.sign(timestamp_s, method, path, body),
            TIMESTAMP: str(timestamp_s),
            API_KEY: self.key,
            PASSPHRASE: self._passphrase,
        }

    def subscription(self) -> dict[str, str]:
        """The `auth` object of the user channel's first message."""
        return {"apiKey": self.key, "secret": self._secret, "passphrase": self._passphrase}

    def check(self, headers: Mapping[str, str], method: str, path: str, body: bytes = b"") -> bool:
        """Whether an L2 request was signed with this secret, names this key, address and passphrase, and was not changed.

        A body with `'` may have been signed with `"` in its place: py-clob-client does so, polymarket-client does not, both
        send the body as it is. Compared in constant time."""
        try:
            same = (
                hmac.compare_digest(headers[API_KEY].encode(), self.key.encode())
                & hmac.compare_digest(headers[PASSPHRASE].encode(), self._passphrase.encode())
                & hmac.compare_digest(address_bytes(headers[ADDRESS]), address_bytes(self.address))
            )
            given, timestamp = headers[SIGNATURE].encode(), headers[TIMESTAMP]
        except (KeyError, ValidationError):
            return False
        forms = {body, body.replace(b"'", b'"')}
        return same and any(
            hmac.compare_digest(given, self.sign(timestamp, method, path, form).encode()) for form in sorted(forms)
        )
