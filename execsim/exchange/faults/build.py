"""A fault pack by name and parameters, as people give them in a scenario or to a running exchange."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from execsim.core.errors import ConfigError
from execsim.exchange.faults.packs import PACKS, Pack

PARAM_MAX: Final = 10**12
"""The largest number a parameter may be: in ms more than thirty years."""


def build_pack(name: str, params: Mapping[str, Any]) -> Pack:
    """Errors: ConfigError for a pack or a parameter there is none of, or a value that is not its kind."""
    if name not in PACKS:
        raise ConfigError(f"there is no fault pack {name[:64]!r}", f"there are: {', '.join(PACKS)}")
    kind = PACKS[name]
    known = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]  # each is a dataclass
    for key, value in params.items():
        if key not in known:
            hint = f"it has: {', '.join(known)}" if known else "it has none"
            raise ConfigError(f"faults: {name} has no parameter {key!r}", hint)
        wanted = {"int": int, "str": str, "bool": bool}[str(known[key].type)]
        negative = isinstance(value, int) and value < 0 and key != "ahead_ms"
        if type(value) is not wanted or negative:
            raise ConfigError(f"faults: {name}.{key} = {value!r}", f"it should be {wanted.__name__}, not negative")
        if isinstance(value, int) and abs(value) > PARAM_MAX:
            raise ConfigError(f"faults: {name}.{key} = {value!r}", f"at most {PARAM_MAX}")
    return kind(**params)
