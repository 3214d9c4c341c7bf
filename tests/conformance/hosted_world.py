"""A scenario as `execsim serve --dialect polymarket` hosts it, in memory, on clocks of the test's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from execsim.core.units import NS_PER_MS, NS_PER_S
from execsim.exchange.desk import ServedDesk
from execsim.kernel import warm_up
from execsim.ports import InputLog, Request, Response
from execsim.runtime import HostedRuntime, Pacer
from execsim.scenario import model
from execsim.scenario.build import Loaded, load_data
from execsim.scenario.host import Host
from execsim_polymarket import endpoints as ep
from execsim_polymarket.auth import ApiKey
from execsim_polymarket.dialect import PolymarketDialect
from execsim_polymarket.sign import Account, PrivateKey

ROOT = Path(__file__).resolve().parents[2]
WALL_0 = 1_790_000_000 * NS_PER_S
"""Clients' time when the first server starts."""


@cache
def data_of(name: str, *settings: str) -> tuple[model.Scenario, Loaded, Path]:
    warm_up()
    path = model.locate(ROOT / name)
    scenario = model.load(path, None, settings)
    return scenario, load_data(scenario, path.parent), path.parent


class HostedWorld:
    """`send` and `command` are answered at once (without latency); `passes` lets real time pass. `log` is run again."""

    def __init__(
        self, name: str, *settings: str, log: Any = None, kept: InputLog | None = None, speed: int = 1, moving: bool = True,
        latency: bool = False, real_ns: int = 0,
    ) -> None:  # fmt: skip
        scenario, loaded, folder = data_of(name, *settings)
        self.real_ns = real_ns
        runtime = HostedRuntime(scenario.seed, loaded.start_ns)
        self.pacer = Pacer(runtime, speed, kept, lambda: self.real_ns, lambda: WALL_0 + self.real_ns)
        self.start_ns = loaded.start_ns
        self.dialect = PolymarketDialect()
        self.host = Host(scenario, loaded, self.pacer, folder, self.dialect, latency=latency)
        self.desk: Any = next(iter(self.host.desks.values()))
        assert isinstance(self.desk, ServedDesk)
        self.host.begin()
        self.replayed = 0
        if log is None:
            self.pacer.begin(moving)
        else:
            self.replayed = self.host.take_up(log)
            self.pacer.resume(self.pacer.speed, held=False)

    @property
    def runtime(self) -> HostedRuntime:
        return self.host.runtime

    @property
    def now_s(self) -> int:
        return self.desk.hours.wall_ns() // NS_PER_S

    def passes(self, ms: float) -> None:
        self.real_ns += int(ms * NS_PER_MS)
        self.pacer.catch_up()

    def ask(self, request: Request) -> list[tuple[int, Any]]:
        """What is answered, into a list: empty until it is."""
        told: list[tuple[int, Any]] = []

        def hear(answer: Response) -> None:
            told.append((answer.status, json.loads(answer.body)))

        self.host.door.ask(self.desk, request, hear)
        return told

    def send(self, request: Request) -> tuple[int, Any]:
        told = self.ask(request)
        while not told:  # it is on its way
            self.passes(1)
        return told[0]

    def command(self, name: str, body: Any = None) -> tuple[int, Any]:
        told: list[Response] = []
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        self.host.door.command(self.desk, "GET" if body is None else "POST", name, raw, told.append)
        (answer,) = told
        return answer.status, json.loads(answer.body)

    def login(self, number: int) -> User:
        return User(self, number)

    def end(self) -> None:
        self.pacer.close()
        self.runtime.end()
        self.desk.exchange.ledger.check()


class User:
    """A key of its own, logged in."""

    def __init__(self, world: HostedWorld, number: int) -> None:
        self.world = world
        self.account = Account(PrivateKey(number.to_bytes(32, "big")))
        headers = self.account.login_headers(world.now_s)
        status, made = world.send(ep.request(ep.CREATE_KEY, headers=headers))
        if status != 200:  # it was made before a restart
            status, made = world.send(ep.request(ep.DERIVE_KEY, headers=headers))
        assert status == 200, made
        self.secret: Mapping[str, str] = made
        self.key = ApiKey(self.account.key.address, made["apiKey"], made["secret"], made["passphrase"])

    def request(self, endpoint: ep.Endpoint, body: Any = None, **more: Any) -> Request:
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        return ep.request(endpoint, body=data, key=self.key, now_s=self.world.now_s, **more)

    def ask(self, endpoint: ep.Endpoint, body: Any = None, **more: Any) -> tuple[int, Any]:
        return self.world.send(self.request(endpoint, body, **more))
