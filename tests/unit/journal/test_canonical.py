from __future__ import annotations

import hashlib
import json
from enum import IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execsim.core.order import Side
from execsim.journal.canonical import SHAPES_MAX, NotCanonical, _shapes, canonical_json, digest_of

SCALARS = st.none() | st.booleans() | st.integers() | st.text()
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(), v, max_size=4), max_leaves=8
)


@given(st.dictionaries(st.text(), VALUES, max_size=8))
def test_is_the_standard_encoding_with_sorted_keys_and_no_spaces(body: dict[str, Any]) -> None:
    assert canonical_json(body) == json.dumps(body, sort_keys=True, separators=(",", ":"))


@given(st.dictionaries(st.text(), SCALARS, min_size=1, max_size=6), st.randoms())
def test_the_order_of_keys_does_not_matter(body: dict[str, Any], random: Any) -> None:
    keys = list(body)
    random.shuffle(keys)
    assert canonical_json({key: body[key] for key in keys}) == canonical_json(body)


class Number(IntEnum):
    TWO = 2


def test_enums_are_their_values_each_time() -> None:
    for _ in range(2):
        assert canonical_json({"side": Side.BUY, "n": Number.TWO}) == '{"n":2,"side":"buy"}'


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"price": 0.5}, "price: 0.5 is a float; write an integer or a decimal string"),
        ({"a": 1, "levels": [1, {"size": float("nan")}]}, r"levels\[1\].size: nan is a float"),
        ({"fills": ({"price": 1.0},)}, r"fills\[0\].price: 1.0 is a float"),
        ({"raw": b"x"}, r"raw: b'x' \(bytes\) is no JSON value"),
        ({"nested": {1: 2}}, "nested: key 1 is not a string"),
        ({1: 2}, "key 1 is not a string"),
    ],
)
def test_what_is_refused_names_its_key(body: dict[str, Any], message: str) -> None:
    with pytest.raises(NotCanonical, match=message):
        canonical_json(body)


def test_remembered_shapes_are_bounded() -> None:
    for n in range(2 * SHAPES_MAX):
        canonical_json({f"key-{n}": n})
    assert len(_shapes) <= SHAPES_MAX


def test_digest_is_sha256_over_the_stated_lines() -> None:
    rows = [(1, 10, "intent", "o-1", {"b": "é", "a": None}), (2, 11, "ack", "", {})]
    text = '1|10|intent|o-1|{"a":null,"b":"\\u00e9"}\n2|11|ack||{}\n'
    assert digest_of(rows) == hashlib.sha256(text.encode()).hexdigest()
