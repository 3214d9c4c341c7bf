"""The native dialect: the simulated exchange behind JSON lines, and the adapter that trades on it. See docs/native.md.

codec.py   values <-> JSON, strictly        wire.py     messages          market.py  market data frames
dialect.py the venue's side (ports.Dialect)  client.py  NativeVenue       memory.py  what a reconnect has to make good
"""

from execsim_native.client import NativeVenue
from execsim_native.dialect import NativeDialect

__all__ = ["NativeDialect", "NativeVenue"]
