from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from execsim.engine.seen import LEAF_MAX, SeenIds


@settings(max_examples=100)
@given(st.lists(st.tuples(st.text(max_size=4), st.integers(0, 2**32 - 1)), max_size=200), st.booleans())
def test_is_a_map_that_keeps_what_came_first(pairs: list[tuple[str, int]], numbered: bool) -> None:
    seen, model = SeenIds(numbered=numbered), dict[str, int]()
    for name, number in pairs:
        assert seen.number(name) == model.get(name)
        seen.add(name, number)
        model.setdefault(name, number if numbered else 0)
    assert len(seen) == len(model)
    assert all(name in seen and seen.number(name) == number for name, number in model.items())
    assert "never added" not in seen


def test_many_ids_are_found_and_cost_few_bytes() -> None:
    count = 40 * LEAF_MAX
    names = [f"9f3c2a1b-{n}" for n in range(count)]
    plain, numbered = SeenIds(), SeenIds(numbered=True)
    for n, name in enumerate(names):
        plain.add(name)
        numbered.add(name, n)
    assert all(numbered.number(name) == n and name in plain for n, name in enumerate(names))
    assert not any(f"other-{n}" in plain for n in range(count))
    assert len(plain) == len(numbered) == count
    assert plain.nbytes() < 10 * count
    assert numbered.nbytes() < 15 * count
