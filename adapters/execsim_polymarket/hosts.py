"""Where the real venue is, and from which environment variables its credentials come: execsim's own names first, then those
that the official clients' examples and other programs use."""

from __future__ import annotations

from typing import Final

REST: Final = "https://clob.polymarket.com"
WS: Final = "wss://ws-subscriptions-clob.polymarket.com"

VARIABLES: Final = {
    "private_key": ("EXECSIM_POLYMARKET_PRIVATE_KEY", "POLYMARKET_PRIVATE_KEY", "POLYMARKET_PK", "PK"),
    "funder": ("EXECSIM_POLYMARKET_FUNDER", "POLYMARKET_FUNDER", "POLYMARKET_PROXY_ADDRESS"),
    "signature_type": ("EXECSIM_POLYMARKET_SIGNATURE_TYPE", "POLYMARKET_SIGNATURE_TYPE"),
    "api_key": ("EXECSIM_POLYMARKET_API_KEY", "POLYMARKET_API_KEY", "CLOB_API_KEY"),
    "api_secret": ("EXECSIM_POLYMARKET_API_SECRET", "POLYMARKET_API_SECRET", "CLOB_SECRET"),
    "api_passphrase": ("EXECSIM_POLYMARKET_API_PASSPHRASE", "POLYMARKET_API_PASSPHRASE", "CLOB_PASS_PHRASE"),
    "chain_id": ("EXECSIM_POLYMARKET_CHAIN_ID", "POLYMARKET_CHAIN_ID"),
    "heartbeat_ms": ("EXECSIM_POLYMARKET_HEARTBEAT_MS",),
}
