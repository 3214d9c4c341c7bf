"""What a journal keeps beside its rows, so that it can be read without the program that wrote it: markets and the opening.

market <id>   the instrument, as JSON; without its fees, for what was charged stands in each fill
opening       money and full sets the account began with, as JSON
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, Final

from execsim.core.errors import JournalError
from execsim.core.instrument import Asset, Instrument, InstrumentKind
from execsim.core.units import Grid, Rounding

MARKET: Final = "market "
OPENING: Final = "opening"

PLAIN: Final = (
    "venue", "market", "tick_i", "size_step_lots", "size_min_lots", "size_max_lots", "notional_min",
    "notional_min_taker_buys_only", "price_min_i", "price_max_i",
)  # fmt: skip
"""Fields of an instrument that are JSON as they are."""


@dataclass(slots=True)
class Opening:
    """What the account began with: `cash` by asset in its units, `sets` (YES and NO each) by market in lots."""

    cash: dict[str, int] = field(default_factory=dict)
    sets: dict[str, int] = field(default_factory=dict)

    def text(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


def market_text(instrument: Instrument) -> str:
    """An instrument as JSON: integers as they are, units as decimal text."""
    body: dict[str, Any] = {name: getattr(instrument, name) for name in PLAIN}
    body["kind"] = instrument.kind.value
    body["cash_rounding"] = instrument.cash_rounding.value
    body["price_unit"], body["lot"] = str(instrument.grid.price_unit), str(instrument.grid.lot)
    for name in ("base", "quote", "complement"):
        asset = getattr(instrument, name)
        body[name] = None if asset is None else {"name": asset.name, "unit": str(asset.unit)}
    return json.dumps(body, sort_keys=True)


def read_market(text: str) -> Instrument:
    """The instrument `market_text` wrote, without fees. Errors: KeyError, ValueError and their kin for other text."""
    body = json.loads(text)
    base, quote = _asset(body["base"]), _asset(body["quote"])
    complement = None if body["complement"] is None else _asset(body["complement"])
    plain: dict[str, Any] = {name: body[name] for name in PLAIN}
    grid = Grid(Decimal(body["price_unit"]), Decimal(body["lot"]))
    return Instrument(
        kind=InstrumentKind(body["kind"]), grid=grid, base=base, quote=quote, complement=complement,
        cash_rounding=Rounding(body["cash_rounding"]), **plain,
    )  # fmt: skip


def _asset(body: Mapping[str, str]) -> Asset:
    return Asset(body["name"], Decimal(body["unit"]))


def read_notes(notes: Mapping[str, str], where: str) -> tuple[dict[str, Instrument], Opening]:
    """(markets by id, opening) of a journal's notes; `where` names it in errors. Errors: JournalError."""
    instruments, opening = {}, Opening()
    for key, text in notes.items():
        try:
            if key.startswith(MARKET):
                instrument = read_market(text)
                instruments[instrument.market] = instrument
            elif key == OPENING:
                opening = Opening(**json.loads(text))
        except (ArithmeticError, KeyError, TypeError, ValueError) as error:
            raise JournalError(where, f"note {key!r} cannot be read: {type(error).__name__} {error}") from error
    return instruments, opening
