"""What only wall time has: a timer may be overdue."""

from __future__ import annotations

from execsim.runtime import WallRuntime


def test_an_overdue_timer_is_the_next_event() -> None:
    runtime = WallRuntime(7, origin_ns=0, speed=1)
    seen: list[tuple[int, int]] = []

    async def main() -> None:
        start = runtime.now_ns()
        runtime.call_at(start + 5_000_000, lambda: None)
        while runtime.now_ns() < start + 6_000_000:
            pass
        seen.append((runtime.next_event_ns(), start + 5_000_000))
        await runtime.sleep(1_000)
        assert runtime.next_event_ns() > start + 6_000_000

    runtime.run(main=main())
    assert seen[0][0] == seen[0][1]
