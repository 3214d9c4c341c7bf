"""The worked example, as a user runs it: a process of its own, the environment, a venue over sockets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from polymarket_news import CID, YES
from polymarket_peer import live_venue
from polymarket_script import Lost, said

ROOT = Path(__file__).resolve().parents[2]
GRACE_S = 60.0


def placed(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if "POLYMARKET" not in name}
    return subprocess.run(
        [sys.executable, ROOT / "scenarios" / "place_order.py", *arguments],
        env=clean | environment, capture_output=True, text=True, timeout=GRACE_S, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("market", [CID, YES])
def test_place_status_position_list_cancel(market: str) -> None:
    with live_venue() as (venue, environment):
        done = placed(environment, market, "--price", "0.40", "--size", "6", "--yes-live")
    assert done.returncode == 0, done.stderr
    (row,) = venue.orders.values()
    assert (row["price"], row["original_size"], row["status"]) == ("0.4000", "6.000000", "CANCELED")
    lines = done.stdout.splitlines()
    assert lines[0] == "balances {'pUSD': 50000000, 'market:YES': 7000000, 'market:NO': 3000000}"
    assert lines[1].endswith(f"as {row['id']}")
    assert lines[2:5] == [
        "status working filled 0.000000 of 6.000000",
        "position 0.000000",
        f"open at the venue ['{row['id']}']",
    ]
    assert lines[5].startswith("not open")


def test_an_order_whose_answer_is_lost_may_still_be_open() -> None:
    with live_venue() as (venue, environment):
        venue.refuse["POST /order"] = [Lost(False)]
        venue.refuse["DELETE /order"] = [Lost(False)] * 100
        done = placed(environment, CID, "--price", "0.40", "--size", "6", "--yes-live")
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[-1].startswith("may still be open")
    assert "NetworkError" in done.stderr


def test_a_refused_order_is_not_open() -> None:
    with live_venue() as (venue, environment):
        venue.refuse["POST /order"] = [said(400, {"error": "not enough balance / allowance"})]
        done = placed(environment, CID, "--price", "0.40", "--size", "6", "--yes-live")
    assert done.returncode == 2
    assert "not enough balance" in done.stderr
    assert done.stdout.splitlines()[-1].startswith("not open")
    assert not venue.orders


def test_nothing_is_sent_without_consent() -> None:
    with live_venue() as (venue, environment):
        done = placed(environment, CID)
    assert done.returncode == 0, done.stderr
    assert "nothing is sent" in done.stdout
    assert not venue.orders


def test_what_is_wrong_is_one_line() -> None:
    with live_venue() as (_, environment):
        done = placed({name: value for name, value in environment.items() if name != "POLYMARKET_PK"}, CID)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "EXECSIM_POLYMARKET_PRIVATE_KEY" in done.stderr
