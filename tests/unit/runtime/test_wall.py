"""What only wall time has: the clock stands still between inputs, and everything from outside is one of them."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from execsim.core.errors import ConfigError, NetworkError, Reached
from execsim.ports import NEVER, Diverged, Input, Output, Request, Response
from execsim.runtime import Pending, ReplayRuntime, SessionTransport, WallRuntime

MS = 1_000_000


class MemoryLog:
    """A SessionLog in memory; as the log of a replay it compares."""

    def __init__(self, like: MemoryLog | None = None) -> None:
        self.inputs: list[Input] = []
        self.outputs: list[Output] = []
        self.difference: Diverged | None = None
        self._like = like

    def take(self, item: Input) -> None:
        self.inputs.append(item)

    def sent(self, item: Output) -> None:
        self.outputs.append(item)
        if self._like is not None:
            expected = self._like.outputs[len(self.outputs) - 1]
            if item != expected:
                self.difference = Diverged("output", expected, item)
                raise self.difference


class EchoTransport:
    """Answers each request with its body, `fail` with an error; streams three frames and ends, or `broken` with an error."""

    async def request(self, request: Request) -> Response:
        await asyncio.sleep(0.001)
        if request.path == "/fail":
            raise NetworkError("echo", "no route", Reached.NO)
        return Response(200, {"server": "echo"}, request.body)

    def stream(self, url: str) -> EchoStream:
        return EchoStream(url)

    async def aclose(self) -> None:
        await asyncio.sleep(0)


class EchoStream:
    def __init__(self, url: str) -> None:
        self._url = url
        self._sent = 0

    def __aiter__(self) -> EchoStream:
        return self

    async def __anext__(self) -> bytes:
        await asyncio.sleep(0)
        self._sent += 1
        if self._sent > 3:
            if self._url == "broken":
                raise NetworkError("echo", "reset", Reached.UNKNOWN)
            raise StopAsyncIteration
        return f"{self._url} {self._sent}".encode()

    async def send(self, frame: bytes) -> None:
        self._url = frame.decode()

    async def aclose(self) -> None:
        self._sent = 99


Body = Callable[[Any, SessionTransport], Any]


def record(body: Body, **options: Any) -> tuple[Any, MemoryLog]:
    log = MemoryLog()
    runtime = WallRuntime(7, log=log, cleanup_ns=200 * MS, **options)
    return runtime.run(main=body(runtime, SessionTransport(runtime, EchoTransport()))), log


def replay(body: Body, log: MemoryLog, until: int | None = None) -> tuple[Any, MemoryLog, ReplayRuntime]:
    seen = MemoryLog(log)
    runtime = ReplayRuntime(log.inputs[:until], seen)
    return runtime.run(body(runtime, SessionTransport(runtime, None))), seen, runtime


async def busy(rt: Any, transport: SessionTransport) -> list[Any]:
    """Calls, streams, timers, threads and cancels, with every time and value noted."""
    seen: list[Any] = []

    async def reads(url: str) -> None:
        stream = transport.stream(url)
        await stream.send(url.encode())
        try:
            async for frame in stream:
                seen.append((rt.now_ns(), frame))
        except NetworkError as error:
            seen.append((rt.now_ns(), str(error), error.reached))
        await stream.aclose()

    async def ticks() -> None:
        for _ in range(5):
            await rt.sleep(300_000 + rt.rng("pause").below(400_000))
            seen.append((rt.now_ns(), "tick"))

    async def asks(i: int) -> None:
        response = await transport.request(Request("POST", "/echo", {"x-api-key": "hidden"}, b"%d" % i))
        seen.append((rt.now_ns(), response))

    tasks = [rt.spawn(reads("a"), "a"), rt.spawn(reads("broken"), "b"), rt.spawn(ticks(), "ticks")]
    tasks += [rt.spawn(asks(i), f"ask {i}") for i in range(4)]
    cancelled = rt.spawn(asks(99), "cancelled")
    await rt.sleep(0)
    cancelled.cancel()
    try:
        await transport.request(Request("GET", "/fail"))
    except NetworkError as error:
        seen.append((rt.now_ns(), error.args))
    seen.append(await rt.blocking(lambda: threading.get_native_id() > 0))
    for task in tasks:
        await task.join()
    await transport.aclose()
    return seen


def test_the_clock_may_have_passed_before_the_run_began() -> None:
    """A clock read off elsewhere goes on while the run is being made."""
    ago_ns = 5_000 * MS
    runtime = WallRuntime(7, origin_ns=1_000, speed=2, since_ns=time.monotonic_ns() - ago_ns)

    async def main() -> int:
        return runtime.now_ns()

    assert 1_000 + 2 * ago_ns <= (runtime.run(main=main()) or 0) < 1_000 + 3 * ago_ns


def test_the_clock_stands_still_between_inputs_and_an_overdue_timer_fires_at_the_next() -> None:
    runtime = WallRuntime(7, origin_ns=0, speed=1)
    fired: list[int] = []

    async def main() -> None:
        start = runtime.now_ns()
        runtime.call_at(start + 5 * MS, lambda: fired.append(runtime.now_ns()))
        while runtime.real_ns() < start + 6 * MS:
            pass
        assert runtime.now_ns() == runtime.next_event_ns() == start
        assert not fired
        await runtime.sleep(0)  # the clock is still at this input's time: the timer is not due yet
        assert not fired
        await runtime.sleep(1)
        assert runtime.now_ns() >= start + 6 * MS
        await runtime.sleep(0)
        assert fired == [runtime.now_ns()]

    runtime.run(main=main())


def test_a_recorded_run_runs_again_from_its_inputs() -> None:
    seen, log = record(busy)
    assert len(seen) == 3 + 4 + 5 + 4 + 2
    again, replayed, runtime = replay(busy, log)
    assert again == seen
    assert replayed.inputs == log.inputs
    assert replayed.outputs == log.outputs
    assert not runtime.cut
    assert [item.number for item in log.inputs] == list(range(1, len(log.inputs) + 1))
    times = [item.t_ns for item in log.inputs]
    assert times == sorted(times)
    assert {item.kind for item in log.inputs} == {"start", "clock", "answer", "error", "frame", "end"}


def test_a_log_that_ends_early_is_replayed_up_to_there() -> None:
    seen, log = record(busy)
    for until in range(1, len(log.inputs)):
        result, replayed, runtime = replay(busy, log, until)
        assert (result, runtime.cut) == (None, True)
        assert replayed.inputs == log.inputs[:until]
        assert replayed.outputs == log.outputs[: len(replayed.outputs)]
    assert seen


def test_another_program_diverges_at_the_first_request_that_differs() -> None:
    _, log = record(busy)

    async def other(rt: Any, transport: SessionTransport) -> None:
        await transport.request(Request("GET", "/other"))

    with pytest.raises(Diverged):
        replay(other, log)

    async def waits(rt: Any, transport: SessionTransport) -> None:
        await rt.pending("never")

    with pytest.raises(Diverged) as caught:
        replay(waits, log)
    assert caught.value.args[2] == "nobody does"


def test_secrets_are_logged_as_hashes() -> None:
    _, log = record(busy)
    bodies = b"".join(item.body for item in log.outputs)
    assert b"hidden" not in bodies
    assert b"sha256:" in bodies


async def spins(rt: Any, transport: SessionTransport) -> Any:
    """A task that sleeps for no time keeps neither answers nor other timers waiting."""

    async def spinner() -> None:
        while True:
            await rt.sleep(0)

    rt.spawn(spinner(), "spinner", daemon=True)
    answers = [await transport.request(Request("GET", "/", {}, b"%d" % i)) for i in range(3)]
    await rt.sleep(MS)
    return answers, rt.now_ns()


def test_tasks_that_are_always_ready_keep_nothing_waiting_and_replay() -> None:
    result, log = record(spins)
    assert replay(spins, log)[0] == result


def test_an_endless_loop_within_one_input_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("execsim.runtime.stepper.STEPS_PER_INPUT_MAX", 1_000)

    async def plays(rt: Any, transport: SessionTransport) -> None:
        balls: list[Pending[None]] = [rt.pending("0")]

        async def player() -> None:
            while True:
                ball = balls[-1]
                balls.append(rt.pending("next"))
                ball.set(None)
                await balls[-1]

        rt.spawn(player(), "left")
        rt.spawn(player(), "right")
        await rt.pending("the end of it")

    with pytest.raises(ConfigError, match=r"endless loop .*1000 steps .*'(left|right)'"):
        record(plays)


def test_a_recorded_session_refuses_what_could_not_be_replayed() -> None:
    async def awaits_asyncio(rt: Any, transport: SessionTransport) -> str:
        with pytest.raises(ConfigError, match=r"task 'main' awaited an asyncio .*could not be replayed"):
            await asyncio.ensure_future(asyncio.sleep(0))
        with pytest.raises(ConfigError, match="a blocking function returned object"):
            await rt.blocking(object)
        await asyncio.sleep(0)  # a bare yield is no input
        return "goes on"

    assert record(awaits_asyncio)[0] == "goes on"

    async def is_woken(rt: Any, transport: SessionTransport) -> None:
        wait = rt.pending("news")
        asyncio.get_running_loop().call_later(0.001, wait.set, None)
        await wait
        await rt.sleep_until(NEVER)

    with pytest.raises(ConfigError, match=r"task 'main' was woken from outside a recorded session"):
        record(is_woken)


@pytest.mark.parametrize("from_thread", [False, True])
def test_doors_are_inputs(from_thread: bool) -> None:
    async def hears(rt: Any, transport: SessionTransport) -> list[tuple[int, bytes]]:
        seen: list[tuple[int, bytes]] = []
        done = rt.pending("two calls")

        def heard(body: bytes) -> None:
            seen.append((rt.now_ns(), body))
            if len(seen) == 2:
                done.set(None)

        rt.door("kill", heard)
        with pytest.raises(ConfigError, match="twice"):
            rt.door("kill", heard)
        if isinstance(rt, WallRuntime):
            for body in (b"one", b"two"):
                if from_thread:
                    threading.Thread(target=rt.post, args=("kill", body)).start()
                else:
                    rt.post("kill", body)
            rt.post("nobody stands here")
        await done
        return seen

    seen, log = record(hears)
    assert sorted(body for _, body in seen) == [b"one", b"two"]
    assert replay(hears, log)[0] == seen
    assert [item.key for item in log.inputs if item.kind == "call"] == ["kill", "kill"]


def test_a_signal_is_an_input_at_a_door() -> None:
    log = MemoryLog()
    runtime = WallRuntime(7, log=log)
    runtime.hear_signal(signal.SIGUSR1, "stop")
    before = signal.getsignal(signal.SIGUSR1)

    async def main(rt: Any) -> int:
        stopped = rt.pending("stop")
        rt.door("stop", lambda body: stopped.set(None))
        if isinstance(rt, WallRuntime):
            os.kill(os.getpid(), signal.SIGUSR1)
        await stopped
        return rt.now_ns()

    ended = runtime.run(main=main(runtime))
    assert signal.getsignal(signal.SIGUSR1) == before
    again = ReplayRuntime(log.inputs, MemoryLog(log))
    assert again.run(main(again)) == ended


def test_a_failing_task_fails_the_same_way_again() -> None:
    async def fails(rt: Any, transport: SessionTransport) -> None:
        await transport.request(Request("GET", "/"))
        rt.call_at(rt.now_ns() + MS, divmod, 1, 0)
        await rt.sleep_until(NEVER)

    log = MemoryLog()
    runtime = WallRuntime(7, log=log)
    with pytest.raises(ZeroDivisionError):
        runtime.run(main=fails(runtime, SessionTransport(runtime, EchoTransport())))
    with pytest.raises(ZeroDivisionError):
        replay(fails, log)


def test_a_cleanup_that_was_cut_off_is_cut_off_again() -> None:
    async def lingers(rt: Any, transport: SessionTransport) -> None:
        async def body() -> None:
            try:
                await rt.sleep_until(NEVER)
            finally:
                await rt.pending("flush")

        rt.spawn(body(), "writer")
        await rt.sleep(MS)

    log = MemoryLog()
    runtime = WallRuntime(7, log=log, cleanup_ns=10 * MS)
    with pytest.raises(ConfigError, match="cleanup of task 'writer'"):
        runtime.run(main=lingers(runtime, SessionTransport(runtime, EchoTransport())))
    assert log.inputs[-1].kind == "late"
    with pytest.raises(ConfigError, match="cleanup of task 'writer'"):
        replay(lingers, log)


def test_a_session_cancelled_by_asyncio_is_cancelled_again() -> None:
    log = MemoryLog()
    seen: list[str] = []

    async def main(rt: Any) -> None:
        try:
            await rt.sleep_until(NEVER)
        finally:
            await rt.sleep(MS)
            seen.append("cleaned")

    runtime = WallRuntime(7, log=log)

    async def outside() -> None:
        running = asyncio.create_task(runtime.main_async(main(runtime)))
        await asyncio.sleep(0.002)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(outside())
    again = ReplayRuntime(log.inputs, MemoryLog(log))
    again.run(main(again))
    assert seen == ["cleaned", "cleaned"]


def test_a_recording_without_a_beginning_is_refused() -> None:
    with pytest.raises(ConfigError, match="no beginning"):
        ReplayRuntime([], MemoryLog())


def test_frames_ahead_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("execsim.runtime.wall.FRAMES_AHEAD_MAX", 2)

    async def reads(rt: Any, transport: SessionTransport) -> list[bytes]:
        stream = transport.stream("a")
        frames = [frame async for frame in _each(stream)]
        await stream.aclose()
        await stream.aclose()
        return frames

    result, log = record(reads)
    assert result == [b"a 1", b"a 2", b"a 3"]
    assert replay(reads, log)[0] == result


async def _each(stream: Any) -> AsyncIterator[bytes]:
    while True:
        try:
            yield await stream.__anext__()
        except StopAsyncIteration:
            return
