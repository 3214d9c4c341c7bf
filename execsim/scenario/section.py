"""What every section of a scenario file has in common: unknown keys are refused, numbers keep their digits."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _exact(value: object) -> object:
    """Decimals keep what was written: TOML floats arrive as Decimal, a Python float is read through its repr."""
    return Decimal(repr(value)) if isinstance(value, float) else value


Number = Annotated[Decimal, BeforeValidator(_exact)]
Amount = Annotated[Number, Field(ge=0)]


class Section(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
