"""A strategy's own metrics: `ctx.metric("spread", 0.02, market="rain")` is the gauge strategy.spread. Bounded."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from typing import Final

from execsim.core.errors import ConfigError
from execsim.core.units import Number
from execsim.engine.histogram import AMOUNTS, Buckets, Distribution

OWN_SERIES_MAX: Final = 1_000
"""Series (name and label set) of all strategies of a run; one more is a ConfigError."""
OWN_AMOUNT_MAX: Final = 10**15
"""Largest absolute value of one call: sums stay numbers that every reader can hold."""
OWN_LABELS_MAX: Final = 8
"""Labels of one series."""
LABEL_CHARS_MAX: Final = 120
"""Characters of a label's value."""

PREFIX: Final = "strategy."
KINDS: Final = ("gauge", "counter", "histogram")
RESERVED: Final = ("le", "quantile")
"""Labels that Prometheus gives a meaning."""

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")

_EXPOSED: Final = {"gauge": ("",), "counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
"""Endings under which Prometheus keeps a metric of each kind: `fills` as a counter and `fills_total` as a gauge would be
the same series there."""

Own = tuple[tuple[str, str], ...]


class OwnSeries:
    """Series by name and labels. `taken`: names the engine uses itself."""

    def __init__(self, taken: Container[str]) -> None:
        self._taken = taken
        self._kinds: dict[str, str] = {}
        self._exposed: dict[str, str] = {}
        self._values: dict[tuple[str, Own], float | Buckets] = {}

    def record(self, name: str, value: Number, kind: str, labels: Mapping[str, str]) -> None:
        """Set a gauge, add to a counter, count into a histogram. `name` with or without "strategy." in front.

        Errors: ConfigError for a name or label that cannot be exported, a value that is not a number up to OWN_AMOUNT_MAX
        (counter, histogram: below 0), a name used as two kinds, and the series after OWN_SERIES_MAX.
        """
        name = name if name.startswith(PREFIX) else PREFIX + name
        key = (name, tuple(sorted(labels.items())))
        amount = _number(name, value, kind)
        known = self._values.get(key)
        if known is None or self._kinds[name] != kind:
            known = self._begin(key, kind)
        if isinstance(known, Buckets):
            known.add(amount)
        else:
            self._values[key] = known + amount if kind == "counter" else amount

    def now(self) -> Iterator[tuple[str, str, Own, float | Distribution]]:
        """(name, kind, labels, value) of every series, as values of their own."""
        for (name, labels), value in self._values.items():
            yield name, self._kinds[name], labels, value.now() if isinstance(value, Buckets) else value

    def _begin(self, key: tuple[str, Own], kind: str) -> float | Buckets:
        name, labels = key
        self._check_name(name, kind)
        self._check_labels(name, labels)
        if len(self._values) >= OWN_SERIES_MAX:
            said = ", ".join(f"{label}={text}" for label, text in labels)
            raise ConfigError(
                f"metric {name} with {said}: strategies have {OWN_SERIES_MAX} series already",
                "use labels with few values (a market, a side), never ids, prices or times",
            )
        self._kinds[name] = kind
        self._exposed |= dict.fromkeys(_exposed(name, kind), name)
        found: float | Buckets = Buckets(AMOUNTS) if kind == "histogram" else 0
        self._values[key] = found
        return found

    def _check_name(self, name: str, kind: str) -> None:
        if kind not in KINDS:
            raise ConfigError(f"metric {name}: kind {kind!r} does not exist", f"one of: {', '.join(KINDS)}")
        if not _NAME.fullmatch(name.removeprefix(PREFIX)):
            raise ConfigError(f"metric name {name!r}", "small letters, digits and _, beginning with a letter")
        if name in self._taken:
            raise ConfigError(f"metric {name} is kept by the engine", "choose another name")
        known = self._kinds.get(name, kind)
        if known != kind:
            raise ConfigError(f"metric {name} is a {known}, not a {kind}", "give each kind a name of its own")
        for exposed in _exposed(name, kind):
            other = self._exposed.get(exposed, name)
            if other != name:
                raise ConfigError(f"metrics {name} and {other} are both {exposed} for Prometheus", "rename one of them")

    @staticmethod
    def _check_labels(name: str, labels: Own) -> None:
        if len(labels) > OWN_LABELS_MAX:
            raise ConfigError(f"metric {name} has {len(labels)} labels", f"at most {OWN_LABELS_MAX}")
        for label, text in labels:
            if not _NAME.fullmatch(label) or label in RESERVED:
                raise ConfigError(
                    f"label {label!r} of metric {name}",
                    f"small letters, digits and _, beginning with a letter; not {' or '.join(RESERVED)}",
                )
            if not isinstance(text, str) or not 0 < len(text) <= LABEL_CHARS_MAX:
                raise ConfigError(
                    f"label {label}={text!r} of metric {name}", f"text of 1 to {LABEL_CHARS_MAX} characters"
                )


def _number(name: str, value: Number, kind: str) -> float:
    try:
        amount = value if type(value) is int else float(value)
        within = -OWN_AMOUNT_MAX <= amount <= OWN_AMOUNT_MAX  # False for NaN
    except (TypeError, ValueError, OverflowError):
        within = False
    if not within:
        raise ConfigError(
            f"metric {name}: {value!r}", f"a number between -{OWN_AMOUNT_MAX:.0e} and {OWN_AMOUNT_MAX:.0e}"
        )
    if amount < 0 and kind != "gauge":
        raise ConfigError(
            f"metric {name}: {value} is below 0", "a counter only grows and a histogram counts amounts >= 0"
        )
    return amount


def _exposed(name: str, kind: str) -> list[str]:
    return [name.replace(".", "_") + ending for ending in _EXPOSED[kind]]
