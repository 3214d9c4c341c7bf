"""Kill an engine again and again, and see that it loses nothing: the engine in mode full, in a process of its own, against
`execsim serve --dialect native` in another, killed with SIGKILL at a chosen or random moment, restarted with --recover.

    uv run python tests/crash/kills.py --kills 1000 [--seed 1]

Moments: at random (also while connecting, recovering, or carrying the journal over); between the commit of an intent and
the call; between an answer and its row; between a fill and its row; before an amend is sent. At every pause the engine's
journal is compared with what the exchange says: every order, every fill, positions and money.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from execsim.core.errors import ExecError, OrderNotFound
from execsim.core.events import OrderFilled, VenueEvent
from execsim.core.order import Order, OrderAck, OrderId, OrderStatus
from execsim.engine.fold import Folded
from execsim.journal import state_of
from execsim.ports import Journal, LiveVenue
from execsim.runtime import WallRuntime
from execsim.scenario import model
from execsim.scenario.session import Address, connect, run_session

HERE = Path(__file__).parent
SPEED = 2
"""How fast the exchange's clock runs: its acceptance window passes in 5 s."""
MOMENTS = ("any time", "intent on disk, not sent", "answered, no row", "filled, no row", "amend on disk, not sent")
PEACE_EVERY = 25
"""Kills between two comparisons; 5 in a short test."""
QUIET_S = 9


class Dying:
    """A `LiveVenue` that kills the process at the n-th time a moment comes."""

    def __init__(self, inner: LiveVenue, moment: str, count: int) -> None:
        self._inner = inner
        self._moment = moment
        self._left = count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _comes(self, moment: str) -> None:
        if moment == self._moment:
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    async def place_order(self, order: Order) -> OrderAck:
        self._comes("intent on disk, not sent")
        return await self._answered(self._inner.place_order(order))

    async def cancel_order(self, order_id: OrderId) -> Any:
        return await self._answered(self._inner.cancel_order(order_id))

    async def modify_order(self, order_id: OrderId, price_i: int | None, size_lots: int | None) -> OrderAck:
        self._comes("amend on disk, not sent")
        return await self._answered(self._inner.modify_order(order_id, price_i, size_lots))

    async def _answered(self, work: Awaitable[Any]) -> Any:
        try:
            return await work
        finally:
            self._comes("answered, no row")

    def events(self, sink: Callable[[VenueEvent], None]) -> None:
        def hear(event: VenueEvent) -> None:
            if isinstance(event, OrderFilled):
                self._comes("filled, no row")
            sink(event)

        self._inner.events(hear)


class Test:
    """One account of one exchange, killed over and over."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.out = folder / "engine"
        self.rng = random.Random(seed)
        self.seed = seed
        self.counts: Counter[str] = Counter()
        self.orders = self.fills = 0
        self._server: subprocess.Popen[str] | None = None
        self.address = Address("127.0.0.1", 1)

    def serve(self) -> None:
        """Start the exchange in another process."""
        command = [str(Path(sys.executable).parent / "execsim"), "serve", str(HERE / "market.toml"), "--port", "0"]
        self._server = subprocess.Popen(
            [*command, "--speed", str(SPEED)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        assert self._server.stderr is not None
        said = []
        for line in self._server.stderr:
            said.append(line)
            if (found := re.search(r"serving native on 127\.0\.0\.1:(\d+)", line)) is not None:
                self.address = Address("127.0.0.1", int(found[1]))
                return
        raise SystemExit(f"the exchange did not start: {''.join(said)}")

    def stop(self) -> None:
        if self._server is not None:
            self._server.terminate()
            self._server.communicate()

    def kill_once(self) -> None:
        """One session, from its start (or recovery) to its sudden end."""
        moment, count = self.rng.choice(MOMENTS), self.rng.randrange(1, 12)
        longest_s = self.rng.uniform(0.02, 1.2) if moment == "any time" else 3.0
        seed = self.rng.getrandbits(40)
        child = os.fork()
        if child == 0:
            self._run(seed, lambda venue, _: Dying(venue, moment, count))  # type: ignore[arg-type,return-value]
        until_s = time.monotonic() + longest_s
        while time.monotonic() < until_s:
            if os.waitpid(child, os.WNOHANG) != (0, 0):
                self.counts[moment] += 1
                return
            time.sleep(0.005)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        self.counts["any time"] += 1

    def peace(self) -> list[str]:
        """A session that recovers, trades nothing, and ends by itself; returns everything that is then wrong."""
        child = os.fork()
        if child == 0:
            self._run(self.rng.getrandbits(40), lambda venue, _: venue, QUIET_S)
        _, status = os.waitpid(child, 0)
        if status:
            return [f"the recovered session ended with status {status}: {(self.folder / 'error.txt').read_text()}"]
        folded = state_of(self.out / "journal.sqlite")
        self.orders, self.fills = folded.tracker.count(), len(folded.fills)
        return compare(folded, ask(self.address, [order.id for order in folded.tracker.get_all_orders()]))

    def _run(self, seed: int, wrap: Callable[[LiveVenue, Journal], LiveVenue], for_s: int | None = None) -> None:
        """In the child: a session, and the end of the process."""
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        code = 1
        try:
            settings = ["strategy.params.rests=true"] if for_s is not None else []
            scenario = model.load(HERE / "market.toml", None, settings)
            journal = self.out / "journal.sqlite"
            begun = journal.exists() or Path(f"{journal}.carried").exists()
            run_session(
                scenario, "market", HERE, self.address, out=self.out, seed=seed, for_s=for_s, recover=begun, wrap=wrap
            )
            code = 0
        except BaseException as error:
            (self.folder / "error.txt").write_text(f"{type(error).__name__}: {error}")
        finally:
            os._exit(code)


def ask(address: Address, ids: list[OrderId]) -> dict[str, Any]:
    """What the exchange says of the account."""
    runtime, transport = WallRuntime(0), address.transport()
    scenario = model.load(HERE / "market.toml")

    async def main() -> dict[str, Any]:
        venue = connect(scenario, address.dialect, address.account, transport, runtime)[0]
        await venue.start()
        statuses: dict[str, OrderStatus | None] = {}
        for order_id in ids:
            try:
                statuses[order_id] = (await venue.get_order_status(order_id)).status
            except OrderNotFound:
                statuses[order_id] = None
        told = {
            "statuses": statuses, "open": await venue.get_open_orders(), "fills": await venue.get_fills(0),
            "balances": dict(await venue.balances()),
        }  # fmt: skip
        await venue.aclose()
        await transport.aclose()
        return told

    told = runtime.run(main=main())
    assert told is not None
    return told


def compare(folded: Folded, told: dict[str, Any]) -> list[str]:
    """Everything that differs between the journal and the exchange, in words."""
    wrong = []
    known = {order.id: order for order in folded.tracker.get_all_orders()}
    for report in told["open"]:
        if report.order_id not in known:
            wrong.append(f"order {report.order_id} rests at the exchange, and the journal has never heard of it")
    for order_id, status in told["statuses"].items():
        order = known[OrderId(order_id)]
        unsent = order.status in (OrderStatus.REJECTED, OrderStatus.CANCELLED, OrderStatus.EXPIRED)
        if order.is_active:
            wrong.append(f"order {order_id} is {order.status} in the journal after everything was cancelled")
        elif status is None and not (unsent and not order.filled_lots):
            wrong.append(f"order {order_id} is {order.status} in the journal, and the exchange does not know it")
        elif status is not None and status is not order.status:
            wrong.append(f"order {order_id} is {order.status} in the journal, {status} at the exchange")
    ours = [fill for _, fill in folded.booked()]
    twice = [name for name, n in Counter(fill.id for fill in ours).items() if n > 1]
    wrong += [f"fill {name} is booked twice" for name in twice]
    mine = {fill.id: (fill.lots, fill.cash, fill.fee, fill.price_i) for fill in ours}
    theirs = {fill.id: (fill.lots, fill.cash, fill.fee, fill.price_i) for fill in told["fills"]}
    wrong += [f"fill {name}: {mine.get(name)} here, {theirs.get(name)} there" for name in mine.keys() | theirs.keys()
              if mine.get(name) != theirs.get(name)]  # fmt: skip
    for market, position in folded.portfolio.positions.items():
        inst = position.instrument
        assert inst.complement is not None
        held = (told["balances"].get(inst.base.name, 0), told["balances"].get(inst.complement.name, 0))
        said = (inst.base_amount(position.yes_lots), inst.base_amount(position.no_lots))
        if held != said:
            wrong.append(f"{market}: tokens {said} by the journal, {held} at the exchange")
        if folded.portfolio.cash[inst.quote.name] != told["balances"].get(inst.quote.name, 0):
            wrong.append(f"{inst.quote.name}: {dict(folded.portfolio.cash)} by the journal, {told['balances']} there")
    return wrong


def main(kills: int, seed: int) -> int:
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="execsim-kills-") as name:
        test = Test(Path(name), seed)
        test.serve()
        try:
            for number in range(1, kills + 1):
                test.kill_once()
                if number % (PEACE_EVERY if kills > PEACE_EVERY else 5) == 0 or number == kills:
                    wrong = test.peace()
                    if wrong:
                        print("\n".join(wrong[:20]))
                        print(
                            f"after {number} kills; again: python tests/crash/kills.py --kills {number} --seed {seed}"
                        )
                        return 1
        except ExecError as error:
            print(f"{type(error).__name__}: {error}")
            return 1
        finally:
            test.stop()
        told = {
            "kills": kills, "seed": seed, "orders": test.orders, "fills": test.fills, "lost": 0, "twice": 0,
            "moments": dict(sorted(test.counts.items())), "seconds": round(time.monotonic() - began_s),
        }  # fmt: skip
        print(json.dumps(told))
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    sys.exit(main(given.kills, given.seed))
