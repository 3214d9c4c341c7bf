"""The depth sequence machine, against a naive reading of the venue's rules on random cuts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from execsim_binance.session import DepthSync, Step
from execsim_binance.wire import Diff, Snapshot


def diff(first: int, last: int, prev: int) -> Diff:
    return Diff(first, last, prev, 0, 0, [], [], "")


def snapshot(last: int) -> Snapshot:
    return Snapshot(last, 0, 0, [], [], "")


@given(
    futures=st.booleans(),
    sizes=st.lists(st.integers(1, 5), min_size=3, max_size=30),
    lost=st.sets(st.integers(0, 29), max_size=3),
    asked=st.dictionaries(st.integers(0, 29), st.integers(-4, 4), max_size=4),
)
def test_a_live_book_has_seen_every_update(
    futures: bool, sizes: list[int], lost: set[int], asked: dict[int, int]
) -> None:
    """Whatever is lost and whenever snapshots come: between RESET and BREAK no update id is missing."""
    sync = DepthSync(futures)
    known: int | None = None
    top = 100
    for at, size in enumerate(sizes):
        prev, top = top, top + size
        actions = []
        if at not in lost:
            actions += sync.diff(diff(prev + 1, top, prev if futures else -1))
        if at in asked:
            actions += sync.snapshot(snapshot(top + asked[at]))
        for step, item in actions:
            if step is Step.RESET:
                assert known is None
                known = item.last
            elif step is Step.BREAK:
                known = None
            else:
                assert known is not None
                assert isinstance(item, Diff)
                assert item.first <= known + 1
                assert item.last >= known
                known = item.last
        assert sync.live == (known is not None)


def test_a_snapshot_while_live_is_not_needed() -> None:
    sync = DepthSync(futures=False)
    sync.snapshot(snapshot(10))
    assert [step for step, _ in sync.diff(diff(11, 12, -1))] == [Step.RESET, Step.APPLY]
    assert sync.snapshot(snapshot(20)) == []
    assert sync.diff(diff(11, 12, -1)) == []
    assert (sync.snapshots, sync.snapshots_unused, sync.stale_diffs) == (2, 1, 1)
