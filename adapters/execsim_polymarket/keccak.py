"""Keccak-256, the hash of Ethereum (not SHA3-256, whose padding differs), by a C library.

safe-pysha3 if it is there (1.2 us for the 384 bytes of an order), else pycryptodome (8 us).
Errors: ConfigError on import when neither is installed.
"""

from __future__ import annotations

from collections.abc import Callable

from execsim.core.errors import ConfigError


def _backend() -> Callable[[bytes], bytes]:
    try:
        from sha3 import keccak_256
    except ImportError:
        pass
    else:

        def pysha3(data: bytes) -> bytes:
            return bytes(keccak_256(data).digest())

        return pysha3
    try:
        from Crypto.Hash import keccak
    except ImportError:
        what = "signing for Polymarket needs a Keccak library"
        raise ConfigError(what, "pip install 'execsim[polymarket]'") from None
    return lambda data: bytes(keccak.new(digest_bits=256, data=data).digest())


keccak256 = _backend()
"""32 bytes of digest."""
