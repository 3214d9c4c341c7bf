"""A volume profile from a recording's trades, by time bucket: what `vwap` follows (scenario key `strategy.profile`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from execsim.core.errors import ConfigError, DataError
from execsim.tape.reader import TapeReader
from execsim.tape.schema import Flag, Kind, Manifest


def volume_profile(tape: Path, market: str, buckets: int, *, inferred: bool = True) -> tuple[int, ...]:
    """Lots traded in each of `buckets` equal parts of the market's span on the tape (venue time, first row to last).

    `inferred`: prints inferred from consecutive books count too. Errors: ConfigError for a market the tape does not have;
    DataError when it holds no trade of it.
    """
    reader = TapeReader(tape)
    index = _index(reader.manifest, market)
    first_ns, last_ns = (int(reader.manifest.markets[index].extra[name]) for name in ("first_ns", "last_ns"))
    span_ns = max(1, last_ns - first_ns + 1)
    sums = [0] * buckets
    for columns in TapeReader(tape, markets=[index]):
        wanted = columns["kind"] == int(Kind.TRADE)
        if not inferred:
            wanted &= (columns["flags"] & int(Flag.INFERRED)) == 0
        at = (columns["ts_venue_ns"][wanted] - first_ns) // -(-span_ns // buckets)
        lots = np.zeros(buckets, np.int64)
        np.add.at(lots, np.clip(at, 0, buckets - 1), columns["size_i"][wanted])
        sums = [held + int(more) for held, more in zip(sums, lots, strict=True)]
    if not any(sums):
        hint = "" if inferred else "; profile.inferred = true counts prints inferred from books"
        raise DataError(str(tape), f"holds no trades of {market}", f"a volume profile needs some{hint}")
    return tuple(sums)


def _index(manifest: Manifest, market: str) -> int:
    found = [
        number
        for number, info in enumerate(manifest.markets)
        if market in (info.market, info.title, info.extra.get("slug"))
    ]
    if len(found) != 1:
        names = ", ".join(str(info.extra.get("slug") or info.market) for info in manifest.markets[:10])
        raise ConfigError(f"strategy.profile: market {market!r} is not in its data", f"the data has: {names}")
    return found[0]


def profile_told(profile: Sequence[str], replayed: Sequence[str], market: str) -> str:
    """What a reader must know of where a profile comes from: `profile` and `replayed` are the files of both."""
    if set(profile) & set(replayed):
        return f"the volume profile is that of {market} in a recording that is replayed here: it may know the future"
    return f"the volume profile is that of {market} in {', '.join(profile)}"
