"""Secrets in text, found in two ways: by the name they stand under, and by being told what they are (`conceal`).

A name is enough for what our own code logs. A secret that a library puts into a message or an exception stands under no
name, or under a harmless one: only its value gives it away, so who reads credentials conceals them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

from execsim.ports import Credentials

MASK: Final = "***"

SECRET: Final = re.compile(
    r"key|secret|passphrase|password|passwd|token|signature|private|credential|authorization|cookie|mnemonic",
    re.IGNORECASE,
)
"""A field whose name contains one of these is masked, at the cost of hiding some harmless ones (a token id)."""

CONCEALED_MIN: Final = 4
"""Characters of the shortest value that is masked wherever it stands: shorter ones would blot out ordinary text."""

DEPTH_MAX: Final = 8
"""Nesting of a field's value that is looked into; what lies deeper is masked whole."""

_QUOTED: Final = r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'"

_PAIR: Final = re.compile(
    # bounded: a long word is looked at once, not once from each of its letters
    rf"(?P<name>[\"']?[\w.-]{{0,64}}(?:{SECRET.pattern})[\w.-]{{0,64}}[\"']?)"
    # name=value, "name": value, and the pairs of header lists: ("name", "value"), (b'name', b'value')
    r"(?P<between>\s*[=:]\s*|(?<=[\"'])\s*,\s*(?=b?[\"']))"
    rf"(?P<value>b?(?:{_QUOTED})|(?:(?:bearer|basic)\s+)?[^\s,;&}}\])]+)",
    re.IGNORECASE | re.DOTALL,
)

_concealed: dict[str, None] = {}
_pattern: re.Pattern[str] | None = None


def conceal(secrets: Credentials | Iterable[str]) -> None:
    """Mask these values from now on wherever they stand in a line of the log, as they are or as Python or JSON quotes
    them. Values shorter than CONCEALED_MIN are not told apart from ordinary text and stay; blanks around are ignored."""
    global _pattern
    values = secrets.values.values() if isinstance(secrets, Credentials) else secrets
    for value in map(str.strip, values):
        if len(value) >= CONCEALED_MIN:
            _concealed.update(dict.fromkeys(_shapes(value)))
    if _concealed:
        # longest first: one secret may begin with another
        _pattern = re.compile("|".join(map(re.escape, sorted(_concealed, key=len, reverse=True))))


def _shapes(value: str) -> list[str]:
    """The value as it is, and inside what repr (of text or bytes, whichever quotes it chose) and JSON make of it."""
    raw = value.encode("utf-8", "surrogatepass")
    in_text = (repr(value)[1:-1], repr(f'"{value}')[2:-1])
    in_bytes = (repr(raw)[2:-1], repr(b'"' + raw)[3:-1])
    in_json = (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
    return [value, *in_text, *in_bytes, *in_json]


def reveal_all() -> None:
    """Forget what was concealed (between tests)."""
    global _pattern
    _concealed.clear()
    _pattern = None


def mask(text: str) -> str:
    """`text` with concealed values and the values of secret-looking name=value and "name": value pairs replaced."""
    if _pattern is not None:
        text = _pattern.sub(MASK, text)
    return _PAIR.sub(lambda m: f"{m['name']}{m['between']}{MASK}", text)


def masked(name: str, value: Any, depth: int = 0) -> Any:
    """A field as it may be shown: JSON values, what is secret replaced."""
    if SECRET.search(name) or depth > DEPTH_MAX:
        return MASK
    if value is None or isinstance(value, bool | int | float):
        return MASK if str(value) in _concealed else value
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Credentials):
        return MASK
    if isinstance(value, Mapping):
        return {mask(str(key)): masked(str(key), inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [masked("", inner, depth + 1) for inner in value]
    if is_dataclass(value) and not isinstance(value, type):
        # by field, not by repr: a repr quotes what is inside, and a quoted secret is harder to find
        shown = {field.name: getattr(value, field.name) for field in fields(value) if field.repr}
        return {type(value).__name__: masked("", shown, depth + 1)}
    return mask(str(value))
