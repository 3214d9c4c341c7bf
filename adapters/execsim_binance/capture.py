"""The file format of a Binance recording: lines of `<local receive time> <JSON>`, plain or gzip, and a survey of it."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final

from execsim.core.errors import ConfigError, DataError
from execsim.tape.schema import SourceInfo
from execsim_binance.wire import recv_ns, stream_of

_DISTINCT_MAX: Final = 200_000
"""Number texts collected before their decimals are counted (bounds the survey's memory)."""


@dataclass(slots=True)
class Survey:
    """What one quick pass over the files found: the symbol, its contract, its streams, and the finest decimals."""

    symbol: str = ""
    futures: bool = False
    streams: dict[bytes, str] = field(default_factory=dict)
    """stream name -> channel ("depth", "trade", ...), of this symbol only"""
    price_unit: Decimal = Decimal(1)
    lot: Decimal = Decimal(1)


def open_bytes(path: Path) -> io.BufferedReader:
    """Bytes of a plain or gzip file, told apart by the first two bytes, whatever it is called."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    if packed:
        return io.BufferedReader(gzip.open(path, "rb"), 1 << 20)
    return path.open("rb")


def lines(path: Path) -> Iterator[tuple[int, bytes, bytes]]:
    """(line number, receive time, payload) of each line that is not blank. Errors: DataError for a file that is
    missing or a gzip that is cut off."""
    number = 0
    try:
        with open_bytes(path) as file:
            for number, line in enumerate(file, 1):  # the number names the place of a failure below
                head, _, payload = line.partition(b" ")
                if payload:
                    yield number, head, payload.strip()
                elif head.strip():
                    yield number, head.strip(), b""
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{path}:{number + 1}", f"the gzip file is damaged or cut off ({error})", "get it again"
        ) from None
    except OSError as error:
        raise DataError(str(path), f"cannot be read ({error.strerror or error})", "check the path") from None


def looks_like(path: Path) -> bool:
    """Whether the first line is a receive time followed by a combined-stream message or a depth snapshot."""
    try:
        with open_bytes(path) as file:
            head, _, payload = file.readline(65_536).partition(b" ")
        recv_ns(head)
    except (OSError, EOFError, ValueError, zlib.error):
        return False
    return payload.startswith(b"{") and (b'"stream"' in payload[:80] or b'"lastUpdateId"' in payload[:80])


def source_info(path: Path) -> SourceInfo:
    """Name, sha256 and size of a file. Errors: DataError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return SourceInfo(path.name, hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size)
    except OSError as error:
        raise DataError(str(path), f"cannot be read ({error.strerror or error})", "check the path") from None


def survey(sources: Sequence[Path], symbol: str, contract: str) -> Survey:
    """One pass without parsing JSON. `symbol` "" means the only one; `contract` is guess, spot or usdm.

    The units must be known before the first row leaves, and the exchange prints trailing zeros ("58710.20" on a tick of
    0.1), so every number is looked at. Errors: ConfigError (several symbols), DataError (not such a recording).
    """
    futures = False
    prices, sizes = _Decimals(), _Decimals()
    channels: dict[bytes, tuple[str, str]] = {}
    for path in sources:
        for _, _, payload in lines(path):
            stream = stream_of(payload)
            found = channels.get(stream)
            if found is None:
                found = channels[stream] = _channel(stream)
            of_symbol, channel = found
            if symbol and stream and of_symbol != symbol:
                continue
            if channel in ("trade", "aggTrade"):
                prices.add(_after(payload, b'"p":"'))
                sizes.add(_after(payload, b'"q":"'))
            elif channel == "depth" or not stream:
                futures = futures or b'"pu":' in payload[:400]
                for piece in payload.split(b'["')[1:]:
                    parts = piece.split(b'"', 3)
                    if len(parts) > 2:
                        prices.add(parts[0])
                        sizes.add(parts[2])
                prices.trim()
                sizes.trim()
    names = ", ".join(str(path) for path in sources)
    symbols = sorted({of_symbol for stream, (of_symbol, _) in channels.items() if stream})
    if not symbols:
        raise DataError(names, "no combined-stream message found", "expected lines of `<receive time> <JSON>`")
    if symbol and symbol not in symbols:
        raise DataError(names, f"no message of {symbol}", f"the recording holds {', '.join(symbols)}")
    if not symbol and len(symbols) > 1:
        raise ConfigError(f"{names}: the recording holds {', '.join(symbols)}", "choose one with the option symbol")
    symbol = symbol or symbols[0]
    streams = {stream: channel for stream, (of_symbol, channel) in channels.items() if stream and of_symbol == symbol}
    futures = contract == "usdm" or (contract == "guess" and futures)
    return Survey(symbol, futures, streams, prices.unit(), sizes.unit())


class _Decimals:
    """Most significant decimals among many number texts."""

    def __init__(self) -> None:
        self._texts: set[bytes] = set()
        self._most = 0
        self.add = self._texts.add

    def trim(self) -> None:
        if len(self._texts) > _DISTINCT_MAX:
            self._count()

    def unit(self) -> Decimal:
        self._count()
        return Decimal(1).scaleb(-self._most)

    def _count(self) -> None:
        tails = (text.partition(b".")[2].rstrip(b"0") for text in self._texts)
        self._most = max(self._most, max((len(tail) for tail in tails if tail.isdigit()), default=0))
        self._texts.clear()


def _channel(stream: bytes) -> tuple[str, str]:
    """("BTCUSDT", "depth") of b"btcusdt@depth@100ms"."""
    symbol, _, rest = stream.decode("ascii", "replace").partition("@")
    return symbol.upper(), rest.partition("@")[0]


def _after(payload: bytes, key: bytes) -> bytes:
    start = payload.find(key)
    return payload[start + len(key) : payload.find(b'"', start + len(key))] if start >= 0 else b"0"
