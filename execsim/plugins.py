"""Venues by name, from entry points: execsim imports no adapter, it asks which are installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Final

from execsim.core.errors import ConfigError, VenueNotSupported
from execsim.ports import Dialect, VenuePlugin
from execsim.tape.generic import IMPORTER as GENERIC
from execsim.tape.hftbacktest import IMPORTER as HFTBACKTEST
from execsim.tape.schema import Importer
from execsim.tape.tardis import IMPORTER as TARDIS

GROUP: Final = "execsim.venues"


@cache
def venues() -> Mapping[str, VenuePlugin]:
    """Every installed venue plugin by its venue id, in alphabetical order. Errors: ConfigError for a broken one."""
    found: dict[str, VenuePlugin] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name):
        try:
            plugin = entry.load()
        except ImportError as error:
            raise ConfigError(f"venue plugin {entry.name} ({entry.value}) cannot be loaded", str(error)) from None
        found[plugin.venue_id] = plugin
    return MappingProxyType(found)


def venue(name: str) -> VenuePlugin:
    """Errors: VenueNotSupported(name, known)."""
    known = venues()
    if name not in known:
        raise VenueNotSupported(name, ", ".join(known))
    return known[name]


def dialect(name: str) -> Callable[[], Dialect]:
    """What makes the protocol of that name. Errors: ConfigError naming those there are."""
    spoken = {venue_id: plugin.dialect for venue_id, plugin in venues().items() if plugin.dialect is not None}
    if name not in spoken:
        raise ConfigError(f"there is no dialect {name!r}", f"there are: {', '.join(spoken)}")
    return spoken[name]


def importers() -> list[Importer]:
    """Every recording format that can be read: vendor-neutral ones, then those of the venues."""
    return [GENERIC, TARDIS, HFTBACKTEST, *(i for plugin in venues().values() for i in plugin.importers)]
