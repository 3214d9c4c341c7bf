"""No secret in a line of the log: whatever it is made of, wherever it stands, however it is quoted."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from execsim.observe.logs import JsonLines, KeyValues
from execsim.observe.masks import CONCEALED_MIN, DEPTH_MAX, MASK, conceal, mask, masked, reveal_all
from execsim.ports import Credentials, VenueConfig

FORMATTERS = [KeyValues(), JsonLines()]

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SECRETS = st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=40).filter(
    lambda text: len(text.strip()) >= 8 and len(set(text)) > 3
)
NAMES = st.sampled_from(
    ["api_key", "POLY_PASSPHRASE", "secret", "privateKey", "x-mbx-apikey", "Authorization", "mnemonic", "cookie"]
)

SHAPES: list[Callable[[str], str]] = [
    str, repr, json.dumps, lambda s: json.dumps(s, ensure_ascii=False), lambda s: repr(s.encode()),
    lambda s: repr([s, "'"]), lambda s: repr('"' + s), lambda s: repr("'" + s), lambda s: repr({"a": (s,)}),
    lambda s: repr(b'"' + s.encode()), lambda s: str(KeyError(s)),
]  # fmt: skip


@dataclass(frozen=True)
class Config:
    venue: str
    pk: str
    api_key: str


def logged(msg: str, *args: Any, error: BaseException | None = None, **extra: Any) -> list[str]:
    """What each format makes of one call."""
    found = []
    for formatter in FORMATTERS:
        out = io.StringIO()
        handler = logging.StreamHandler(out)
        handler.setFormatter(formatter)
        log = logging.Logger("test", logging.DEBUG)
        log.addHandler(handler)
        log.error(msg, *args, extra=extra, exc_info=error)
        found.append(out.getvalue())
    return found


def shows(line: str, secret: str) -> bool:
    """Whether the secret stands in the line, as it is or in any quoting."""
    return any(shape in line for shape in {secret, *(quote(secret)[1:-1] for quote in (repr, json.dumps))})


@given(secret=SECRETS, before=TEXT, after=TEXT, shape=st.sampled_from(SHAPES), key=TEXT)
@example(secret='it\'s a "secret"\n', before="", after="", shape=repr, key="pk")
def test_a_concealed_value_never_shows(
    secret: str, before: str, after: str, shape: Callable[[str], str], key: str
) -> None:
    reveal_all()
    secret = secret.strip()
    around = f"{before}{after}{key}"
    assume(secret not in around and not shows(logged(around, key=around)[0], secret))
    credentials = Credentials({"pk": secret, "signature_type": "2"})
    conceal(credentials)
    text = f"{before}{shape(secret)}{after}"
    config = VenueConfig("polymarket", credentials=credentials, extra={"pk": secret})  # type: ignore[arg-type]
    lines = [
        *logged(text.replace("%", "%%")), *logged("%s and %r", text, credentials), *logged("x", field=text),
        *logged("x", field={key: text, "inner": [{text: key}]}), *logged("x", config=config, credentials=credentials),
        *logged("x", values=dict(credentials.values)), *logged("x", mine=Config("polymarket", secret, secret)),
        *logged("x", error=ValueError(text)), *logged("x", field={secret}), *logged("x", field=secret.encode()),
    ]  # fmt: skip
    for line in lines:
        assert not shows(line, secret), line


@given(secret=SECRETS, name=NAMES, before=TEXT, inside=TEXT)
def test_a_field_named_like_a_secret_never_shows(secret: str, name: str, before: str, inside: str) -> None:
    """Without being told what it is."""
    reveal_all()
    secret = f"hunter2{secret}hunter2"
    assume("hunter2" not in before + inside)
    extra = {name.replace("-", "_"): secret}
    pairs = {name: secret, "size": 5}
    lines = [
        *logged("x", **extra), *logged("x", field={name: secret}), *logged("x", field=[{"deep": ({name: [secret]},)}]),
        *logged("body %s", json.dumps(pairs)), *logged("body %s", pairs), *logged("headers %s", [(name, secret)]),
        *logged("headers %s", [(name.encode(), secret.encode())]), *logged("x", mine=Config("v", "none", secret)),
        *logged("%r", Config("v", "none", secret)), *logged("x", error=ValueError(json.dumps(pairs))),
    ]  # fmt: skip
    for line in lines:
        assert "hunter2" not in line, line


@pytest.mark.parametrize("secret", ["12345678", "00000001"])
def test_a_number_can_be_a_secret_too(secret: str) -> None:
    conceal([secret])
    assert masked("pin", int("12345678")) == (MASK if secret == "12345678" else 12345678)
    assert mask(f"pin {secret}") == f"pin {MASK}"


def test_the_longer_of_two_secrets_goes_first() -> None:
    conceal(["abcd", "abcdefgh"])
    assert mask("abcdefgh abcd") == f"{MASK} {MASK}"


def test_what_is_too_short_to_tell_apart_stays() -> None:
    conceal(["2", "abc", "   "])
    assert mask("2 abc") == "2 abc"
    conceal(["x" * CONCEALED_MIN])
    assert mask("xxxx") == MASK


def test_harmless_things_survive() -> None:
    conceal(["correct horse"])
    value = {"market": "rain", "sizes": [1, 2.5, None, True], "config": VenueConfig("polymarket", "https://x")}  # type: ignore[arg-type]
    shown = masked("order", value)
    assert (shown["market"], shown["sizes"]) == ("rain", [1, 2.5, None, True])
    assert shown["config"]["VenueConfig"]["api_endpoint"] == "https://x"
    assert "credentials" not in shown["config"]["VenueConfig"]


def test_what_lies_too_deep_is_masked_whole() -> None:
    value: Any = "plain"
    for _ in range(DEPTH_MAX + 2):
        value = [value]
    assert "plain" not in json.dumps(masked("x", value))
    loop: list[Any] = []
    loop.append(loop)
    assert MASK in json.dumps(masked("x", loop))


def test_a_long_word_is_read_once() -> None:
    """A frame of a megabyte in a message: quadratic work would take minutes."""
    assert mask("f" * 1_000_000) == "f" * 1_000_000
