"""`execsim serve --dialect polymarket` in a process of its own, for the official clients to trade on. `file_bytes`: no file
may grow longer."""

from __future__ import annotations

import dataclasses
import json
import re
import resource
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_account import Account
from polymarket import AsyncSecureClient
from polymarket._internal.environment import PRODUCTION_CONFIG, with_environment_config
from polymarket.environments import PRODUCTION
from py_clob_client_v2.client import ClobClient

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = "scenarios/agents_binary"
GRACE_S = 60.0


@dataclass(frozen=True)
class Names:
    """The one market of the scenario in the venue's words."""

    condition_id: str
    yes: str
    no: str


class Served:
    """A running server. `ask` speaks plain HTTP to it."""

    def __init__(self, *arguments: str, file_bytes: int | None = None) -> None:
        command = [sys.executable, "-c", "from execsim.cli import main; main()", "serve", *arguments]
        command += ["--dialect", "polymarket", "--no-latency"]

        def limit() -> None:
            if file_bytes is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))

        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT, preexec_fn=limit)
        assert self._process.stderr is not None
        said = []
        for line in self._process.stderr:
            said.append(line)
            found = re.fullmatch(r"execsim: serving polymarket on (http://127\.0\.0\.1:(\d+))\n", line)
            if found is not None:
                self.host, self.port = found[1], int(found[2])
                break
        else:
            raise AssertionError(f"it ended: {said}")
        self.said = said

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.host + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=GRACE_S) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def market(self) -> Names:
        row = self.ask("GET", "/markets")[1]["data"][0]
        yes, no = (token["token_id"] for token in row["tokens"])
        return Names(row["condition_id"], yes, no)

    def kill(self) -> None:
        """As a machine that dies."""
        self._process.kill()
        self._process.communicate(timeout=GRACE_S)

    def stop(self) -> tuple[int, str]:
        """(return code, what it said since it began to serve)."""
        self._process.send_signal(signal.SIGTERM)
        try:
            _, said = self._process.communicate(timeout=GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        return self._process.returncode, said


@contextmanager
def serving(*arguments: str) -> Iterator[Served]:
    """A server that has nothing to complain of when it is stopped."""
    server = Served(*arguments)
    yield server
    code, said = server.stop()
    assert code == 0, said
    assert "Traceback" not in said, said


def clob_client(served: Served, key: str) -> ClobClient:
    """py-clob-client-v2, logged in there."""
    made = ClobClient(served.host, 137, key=key)
    made.set_api_creds(made.create_or_derive_api_key())
    return made


async def secure_client(served: Served, key: str, **options: Any) -> AsyncSecureClient:
    """polymarket-client, logged in there. The environment is its own door to other hosts (polymarket.md section 13)."""
    sockets = served.host.replace("http", "ws")
    config = dataclasses.replace(
        PRODUCTION_CONFIG, clob_url=served.host, clob_market_ws_url=f"{sockets}/ws/market",
        clob_user_ws_url=f"{sockets}/ws/user", gamma_url=served.host, relayer_url=served.host,
    )  # fmt: skip
    environment = with_environment_config(PRODUCTION, config=config)
    wallet = Account.from_key(key).address
    return await AsyncSecureClient.create(private_key=key, wallet=wallet, environment=environment, **options)
