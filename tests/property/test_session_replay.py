"""Whatever a program does with tasks, timers, calls, streams and threads: run in wall time and recorded, it runs again from
its inputs with the same steps at the same times; cut off anywhere, it runs again up to there."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from execsim.core.errors import NetworkError, Reached
from execsim.ports import Diverged, Input, Output, Request, Response
from execsim.runtime import ReplayRuntime, SessionTransport, WallRuntime

ACTIONS = ("sleep", "yield", "ask", "ask and give up", "read", "block", "wake", "wait", "spawn", "draw")


class Log:
    """Keeps what a session took and sent; `like`: compares with another's."""

    def __init__(self, like: Log | None = None) -> None:
        self.inputs: list[Input] = []
        self.outputs: list[Output] = []
        self.difference: Diverged | None = None
        self._like = like

    def take(self, item: Input) -> None:
        self.inputs.append(item)

    def sent(self, item: Output) -> None:
        self.outputs.append(item)
        if self._like is not None and item != self._like.outputs[len(self.outputs) - 1]:
            self.difference = Diverged("output", self._like.outputs[len(self.outputs) - 1], item)
            raise self.difference


class Wire:
    """Answers after a number of turns of asyncio that depends on the request; every fifth fails."""

    async def request(self, request: Request) -> Response:
        number = int(request.body)
        for _ in range(number % 7):
            await asyncio.sleep(0)
        if number % 5 == 4:
            raise NetworkError("wire", f"lost {number}", Reached.UNKNOWN)
        return Response(200, {}, request.body)

    def stream(self, url: str) -> Frames:
        return Frames(int(url))

    async def aclose(self) -> None:
        """Nothing to close."""


class Frames:
    def __init__(self, left: int) -> None:
        self._left = left

    def __aiter__(self) -> Frames:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        self._left -= 1
        if self._left % 2:
            await asyncio.sleep(0)
        return b"%d" % self._left

    async def send(self, frame: bytes) -> None:
        """Nobody listens."""

    async def aclose(self) -> None:
        self._left = 0


class Program:
    """Tasks that work through lists of actions; `trace` says who did what, when."""

    def __init__(self, runtime: Any, inner: Wire | None, scripts: list[list[tuple[str, int]]]) -> None:
        self.runtime = runtime
        self.transport = SessionTransport(runtime, inner)
        self.scripts = scripts
        self.trace: list[Any] = []
        self.waiting: list[Any] = []
        self.spawned = 0

    async def main(self) -> list[Any]:
        tasks = [self.runtime.spawn(self.play(str(i), script), str(i)) for i, script in enumerate(self.scripts)]
        for task in tasks:
            await task.join()
        while self.waiting:
            self.waiting.pop().set(None)
        return self.trace

    async def play(self, who: str, script: list[tuple[str, int]]) -> None:
        for action, n in script:
            self.trace.append((self.runtime.now_ns(), who, action, await self.act(who, action, n)))

    async def act(self, who: str, action: str, n: int) -> Any:
        rt = self.runtime
        match action:
            case "sleep":
                await rt.sleep(n * 20_000)
            case "yield":
                await rt.sleep(0)
            case "ask":
                try:
                    return (await self.transport.request(Request("GET", who, {}, b"%d" % n))).body
                except NetworkError as error:
                    return error.args
            case "ask and give up":
                late = NetworkError("us", "late", Reached.UNKNOWN)
                try:
                    request = self.transport.request(Request("GET", who, {}, b"%d" % n))
                    return (await rt.within(rt.now_ns() + n * 3_000, request, late)).body
                except NetworkError as error:
                    return error.args
            case "read":
                stream = self.transport.stream(str(n))
                frames = [frame async for frame in stream]
                await stream.aclose()
                return frames
            case "block":
                return await rt.blocking(lambda: n * n)
            case "wait":
                self.waiting.append(rt.pending("news"))
                rt.call_at(rt.now_ns() + n * 10_000, self.waiting[-1].set, n)
                return await self.waiting[-1]
            case "wake" if self.waiting:
                self.waiting.pop(0).set(-n)
            case "spawn" if self.spawned < 20:
                self.spawned += 1
                rt.spawn(self.play(f"{who}+", [("ask", n), ("sleep", n)]), f"{who}+")
            case "draw":
                return rt.rng(who).below(n + 1)
        return None


SCRIPTS = st.lists(
    st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 30)), min_size=1, max_size=8), min_size=1, max_size=5
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SCRIPTS, st.integers(0, 2**32), st.floats(0, 1))
def test_a_recorded_program_runs_again(scripts: list[list[tuple[str, int]]], seed: int, cut: float) -> None:
    log = Log()
    runtime = WallRuntime(seed, log=log)
    program = Program(runtime, Wire(), scripts)
    trace = runtime.run(main=program.main())

    same = Log(log)
    again = ReplayRuntime(log.inputs, same)
    assert again.run(Program(again, None, scripts).main()) == trace
    assert (same.inputs, same.outputs) == (log.inputs, log.outputs)
    assert (again.cut, again.next_input()) == (False, None)

    until = max(1, int(cut * len(log.inputs)))
    short = Log(log)
    killed = ReplayRuntime(log.inputs[:until], short)
    part = Program(killed, None, scripts)
    killed.run(part.main())
    assert part.trace == program.trace[: len(part.trace)]
    assert short.inputs == log.inputs[: len(short.inputs)]
    assert short.outputs == log.outputs[: len(short.outputs)]
