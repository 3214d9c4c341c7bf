"""Credentials and liveness: the login endpoints, and what answers without one. Source: polymarket.md section 5.4."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from execsim_polymarket.wire.values import Codec


@dataclass(frozen=True, slots=True)
class Credentials:
    """POST /auth/api-key, GET /auth/derive-api-key. Shows none of the three."""

    key: Annotated[str, Field(alias="apiKey")] = field(repr=False)
    secret: str = field(repr=False)
    passphrase: str = field(repr=False)


def _keys(value: Any) -> Any:
    """Keys as texts; some answers list objects that name the key."""
    return [item["apiKey"] if isinstance(item, dict) and "apiKey" in item else item for item in value or ()]


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """GET /auth/api-keys."""

    keys: Annotated[tuple[str, ...], BeforeValidator(_keys), Field(alias="apiKeys")] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClosedOnly:
    """GET /auth/ban-status/closed-only: whether the address may only close positions."""

    closed_only: bool


@dataclass(frozen=True, slots=True)
class Version:
    """GET /version: 2 since 2026-04-28."""

    version: int


@dataclass(frozen=True, slots=True)
class Geoblock:
    """GET polymarket.com/api/geoblock."""

    blocked: bool
    ip: str = ""
    country: str = ""
    region: str = ""


CREDENTIALS: Final = Codec[Credentials](Credentials)
API_KEYS: Final = Codec[ApiKeys](ApiKeys)
CLOSED_ONLY: Final = Codec[ClosedOnly](ClosedOnly)
VERSION: Final = Codec[Version](Version)
GEOBLOCK: Final = Codec[Geoblock](Geoblock)
TIME: Final = Codec[int](int)
"""GET /time: Unix seconds."""
OK: Final = Codec[str](str)
"""GET /ok, DELETE /auth/api-key: "OK"."""
