"""The vectors of tests/data/polymarket_golden as our own values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from execsim.core.order import Side
from execsim_polymarket.orders import OrderFields, SignatureType

DATA = Path(__file__).resolve().parents[1] / "data"
ORDER_FILES = ("orders_limit_v2", "orders_market_v2", "orders_v3", "orders_unified_client")
Case = dict[str, Any]


def load(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((DATA / "polymarket_golden" / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def order_cases() -> list[Case]:
    """Every order of the two living versions."""
    return [case for name in ORDER_FILES for case in load(name)["cases"]]


def wire_order(case: Case) -> dict[str, Any]:
    """The `order` object the client posted."""
    order: dict[str, Any] = json.loads(case["post"]["body"])["order"]
    return order


def fields_of(case: Case) -> OrderFields:
    """The signed struct, from what the client posted."""
    order = wire_order(case)
    return OrderFields(
        order["salt"], order["maker"], order["signer"], int(order["tokenId"]), int(order["makerAmount"]),
        int(order["takerAmount"]), Side(order["side"].lower()), SignatureType(order["signatureType"]),
        int(order["timestamp"]), bytes.fromhex(order["metadata"][2:]), bytes.fromhex(order["builder"][2:]),
    )  # fmt: skip
