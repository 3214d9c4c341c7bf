"""Ethereum addresses: text with the checksum of EIP-55, 20 bytes, and the 32-byte word of ABI encoding."""

from __future__ import annotations

from functools import lru_cache

from execsim.core.errors import ValidationError
from execsim_polymarket.keccak import keccak256


@lru_cache(maxsize=1024)
def address_word(text: str) -> bytes:
    """An address left-padded to 32 bytes. Case is free, except that a text of mixed case must bear the right checksum.

    Errors: ValidationError("address", ...).
    """
    try:
        raw = bytes.fromhex(text[2:]) if text[:2] in ("0x", "0X") else b""
    except ValueError:
        raw = b""
    if len(raw) != 20 or len(text) != 42:
        raise ValidationError("address", f"{text[:60]!r} is not an address", "0x and 40 hexadecimal digits")
    digits = text[2:]
    if digits not in (digits.lower(), digits.upper()) and checksummed(raw)[2:] != digits:
        raise ValidationError("address", f"{text} has a wrong checksum", "a digit or its case was mistyped")
    return bytes(12) + raw


def address_bytes(text: str) -> bytes:
    """20 bytes. Errors: as `address_word`."""
    return address_word(text)[12:]


@lru_cache(maxsize=4096)
def checksummed(raw: bytes) -> str:
    """20 bytes as text by EIP-55: a letter is upper case where the hash of the lower-case text has a digit above 7."""
    digits = raw.hex()
    marks = keccak256(digits.encode()).hex()
    return "0x" + "".join(d.upper() if mark > "7" else d for d, mark in zip(digits, marks, strict=False))
