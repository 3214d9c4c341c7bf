"""ECDSA on secp256k1 as Ethereum uses it: 65-byte signatures r || s || v, v 27 or 28, nonces by RFC 6979.

Two backends that give the same bytes: coincurve (libsecp256k1, about 30 us) and eth-keys (pure Python, about 1.5 ms), for
machines without a wheel of the first. Signatures that OpenZeppelin's ECDSA refuses (s above half the order, another v) are
refused here too: each has a second form, and a message must not be accepted under both.
"""

from __future__ import annotations

from functools import cache
from typing import Final, Protocol

from execsim.core.errors import ConfigError
from execsim_polymarket.keccak import keccak256

ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Order of the group (SEC 2, section 2.4.1)."""
SIGNATURE_BYTES: Final = 65
_V_OFFSET: Final = 27


class SigningKey(Protocol):
    """A private key that can sign and say whose it is, and nothing else."""

    @property
    def public(self) -> bytes:
        """The public point, 64 bytes x || y."""

    def sign(self, digest: bytes) -> bytes:
        """65 bytes over a 32-byte digest."""


class Backend(Protocol):
    """A library that computes on the curve."""

    @property
    def name(self) -> str: ...

    def key(self, secret: bytes) -> SigningKey:
        """From 32 bytes, 0 < secret < ORDER."""

    def recover(self, digest: bytes, compact: bytes) -> bytes | None:
        """The public point behind r || s || recovery id (0 or 1); None when there is none."""


def recover(digest: bytes, signature: bytes, backend: Backend | None = None) -> bytes | None:
    """Address (20 bytes) whose key made the signature; None where it is none: length, v, range of r and s, no such point."""
    if len(signature) != SIGNATURE_BYTES or signature[64] - _V_OFFSET not in (0, 1):
        return None
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    if not 0 < r < ORDER or not 0 < s <= ORDER // 2:
        return None
    point = (backend or default_backend()).recover(digest, signature[:64] + bytes([signature[64] - _V_OFFSET]))
    return None if point is None else address_of(point)


def address_of(point: bytes) -> bytes:
    """Address (20 bytes) of a public point (64 bytes)."""
    return keccak256(point)[12:]


@cache
def default_backend() -> Backend:
    """The fastest backend installed. Errors: ConfigError when there is none."""
    for backend in (Coincurve, EthKeys):
        try:
            return backend()
        except ImportError:
            continue
    raise ConfigError("signing for Polymarket needs secp256k1", "pip install 'execsim[polymarket]'")


class Coincurve:
    """libsecp256k1. Errors: ImportError when coincurve is not installed."""

    name = "coincurve"

    def __init__(self) -> None:
        import coincurve

        self._keys, self._points = coincurve.PrivateKey, coincurve.PublicKey

    def key(self, secret: bytes) -> SigningKey:
        inner = self._keys(secret)
        sign_recoverable = inner.sign_recoverable

        class Key:
            __slots__ = ("public",)

            def __init__(self) -> None:
                self.public: bytes = inner.public_key.format(compressed=False)[1:]

            def sign(self, digest: bytes) -> bytes:
                compact = sign_recoverable(digest, hasher=None)
                return bytes(compact[:64]) + bytes((compact[64] + _V_OFFSET,))

        return Key()

    def recover(self, digest: bytes, compact: bytes) -> bytes | None:
        try:
            point = self._points.from_signature_and_message(compact, digest, hasher=None)
        except Exception:  # the library raises bare Exceptions for "no such point"
            return None
        return bytes(point.format(compressed=False)[1:])


class EthKeys:
    """Pure Python. Errors: ImportError when eth-keys is not installed."""

    name = "eth-keys"

    def __init__(self) -> None:
        from eth_keys.backends.native.main import NativeECCBackend
        from eth_keys.datatypes import PrivateKey, Signature
        from eth_keys.exceptions import BadSignature
        from eth_utils.exceptions import ValidationError

        # asked by its own name: eth-keys' usual door takes coincurve when that is installed
        self._native = NativeECCBackend()
        self._keys, self._signatures = PrivateKey, Signature
        self._faults = (BadSignature, ValidationError)

    def key(self, secret: bytes) -> SigningKey:
        native = self._native
        inner = self._keys(secret, backend=native)

        class Key:
            __slots__ = ("public",)

            def __init__(self) -> None:
                self.public: bytes = native.private_key_to_public_key(inner).to_bytes()

            def sign(self, digest: bytes) -> bytes:
                compact = native.ecdsa_sign(digest, inner).to_bytes()
                return bytes(compact[:64]) + bytes((compact[64] + _V_OFFSET,))

        return Key()

    def recover(self, digest: bytes, compact: bytes) -> bytes | None:
        try:
            point = self._native.ecdsa_recover(digest, self._signatures(compact, backend=self._native))
        except self._faults:
            return None
        return bytes(point.to_bytes())
