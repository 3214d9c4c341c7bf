"""One strategy, three worlds: the simulated exchange in virtual time, the same exchange over sockets in wall time, and a
fake venue in wall time. It hears the same callbacks, with the same fills, refusals and times in force, and holds the same
positions. tests/data/three_worlds: the strategy and its market, a book that stands still."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from session_bots import serving

from execsim.core.errors import VenueError
from execsim.core.instrument import Instrument
from execsim.core.order import Liquidity, Order, OrderAck
from execsim.journal import HashJournal
from execsim.ports import MarketSink, Task
from execsim.runtime import SessionTransport, WallRuntime
from execsim.scenario import model
from execsim.scenario.build import load_data
from execsim.scenario.run import run
from execsim.scenario.session import Address, replay_session, run_session
from execsim.scenario.wall import INTERRUPT, Line, Session
from execsim.testing import Ack, MockVenue, Refuse

FOLDER = Path(__file__).resolve().parents[1] / "data" / "three_worlds"
MARKET = FOLDER / "market.toml"

Said = list[list[Any]]


def scenario(log: Path, interrupt: bool) -> model.Scenario:
    settings = [f"strategy.params.log={log}", f"strategy.params.interrupt={'true' if interrupt else 'false'}"]
    return model.load(MARKET, None, settings)


@pytest.fixture(scope="module")
def virtual(tmp_path_factory: pytest.TempPathFactory) -> Said:
    """What the strategy hears in a backtest."""
    log = tmp_path_factory.mktemp("virtual") / "log.json"
    run(scenario(log, interrupt=False), "market", FOLDER)
    said: Said = json.loads(log.read_text())
    return said


def test_the_strategy_does_one_of_everything(virtual: Said) -> None:
    """What the comparison below is worth: every kind of order and end is in it."""
    events = [line for line in virtual if len(line) == 7]
    assert {line[1] for line in events} == {"send", "ack", "refuse", "fill", "done", "gone", "lapse", "ask_cancel"}
    assert {line[4][0] for line in events} == {"limit", "market", "post_only"}
    assert {line[4][1] for line in events} == {"gtc", "gtd", "ioc", "fok"}
    refusals = {line[5][0] for line in events if line[5] is not None}
    assert refusals == {"ValidationError", "RiskRejected", "VenueError"}
    assert {line[3] for line in events} >= {"filled", "cancelled", "expired", "rejected"}
    assert virtual[-2] == ["position", 84433962, 0, "84.433962", -10672413788, 0]


def test_over_sockets_in_wall_time_it_hears_the_same(virtual: Said, tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    with serving(MARKET, "--hold") as address:
        where = Address.of(address, "bob")
        ended = run_session(scenario(log, interrupt=True), "market", FOLDER, where, out=tmp_path, for_s=60)
    assert ended.summary["ended"] == "interrupted"  # by the strategy, when it was done
    assert ended.left == []
    assert json.loads(log.read_text()) == virtual
    replayed = replay_session_without_signals(tmp_path)
    assert replayed.difference is None
    assert replayed.sha256 == ended.summary["journal_sha256"]


def replay_session_without_signals(out: Path) -> Any:
    """The strategy signals this very process when it is done, in a replay as well."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return replay_session(out / "journal.sqlite")
    finally:
        signal.signal(signal.SIGINT, before)


class FakeVenue(MockVenue):
    """A live venue in a box: what it answers to each order is written down here, by the order's tag; nothing matches."""

    FILLS: Mapping[str, list[tuple[int, int]]] = {
        "ioc that takes a part": [(80_000_000, 5_200)],
        "ioc that finds nothing": [],
        "fok": [(20_000_000, 5_300)],
        "market order by money": [(9_433_962, 5_300)],
        "limit that takes and is done": [(25_000_000, 4_800)],
    }
    REFUSALS: Mapping[str, tuple[str, str]] = {
        "post-only that would take": ("POST_ONLY", "post-only order would take liquidity"),
        "fok that cannot fill": ("FOK", "order couldn't be fully filled: FOK orders are filled at once or killed"),
        "more than the account has": (
            "BALANCE",
            "not enough balance: 235.8000001400 USD free, 280.0000000000 needed",
        ),
    }

    def __init__(self, instrument: Instrument, runtime: WallRuntime) -> None:
        super().__init__("native", [instrument], runtime)
        self.cash = {"USD": 300 * 10**10}
        self._prices: dict[str, list[int]] = {}
        self._market = instrument.market

    async def start(self) -> None:
        """Nothing to connect to."""

    def feed(self, sink: MarketSink) -> Task:
        book = ((4_800, 100_000_000), (4_700, 250_000_000)), ((5_200, 80_000_000), (5_300, 300_000_000))
        sink.on_snapshot(self._market, self._runtime.now_ns(), *book)
        return self._runtime.spawn(self._runtime.sleep(0), "no more market data", daemon=True)

    async def aclose(self) -> None:
        """Nothing to close."""

    async def place_order(self, order: Order) -> OrderAck:
        if order.tag in self.REFUSALS:
            self.answers.append(Refuse(VenueError("native", *self.REFUSALS[order.tag])))
        else:
            fills = self.FILLS.get(order.tag)
            self._prices[order.id] = [price_i for _, price_i in fills or ()]
            self.answers.append(Ack(tuple(lots for lots, _ in fills or ())))
            if fills == []:
                # nothing to take: what is left of an IOC goes, after the answer
                self._runtime.call_at(self._runtime.now_ns(), self._fill_all, order.id, ())
            if order.expire_ns is not None:
                self._runtime.call_at(order.expire_ns, self.expire, order.id)
        return await super().place_order(order)

    def fill(self, order_id: Any, lots: int, **options: Any) -> Any:
        return super().fill(order_id, lots, price_i=self._prices[order_id].pop(0), liquidity=Liquidity.TAKER)


class NoTransport:
    """What the fake venue is reached through."""

    async def aclose(self) -> None:
        """Nothing to close."""


def test_on_a_fake_venue_in_wall_time_it_hears_the_same(virtual: Said, tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    checked = scenario(log, interrupt=True)
    instrument = load_data(checked, FOLDER).markets[0].instrument
    runtime = WallRuntime(7)
    runtime.hear_signal(signal.SIGINT, INTERRUPT)
    venue = FakeVenue(instrument, runtime)
    line = Line(cast(SessionTransport, NoTransport()), [cast(Any, venue)])
    session = Session(checked, "market", FOLDER, runtime, HashJournal(), line, for_s=60)
    ended = runtime.run(main=session.main())
    assert ended is not None
    assert ended.summary["ended"] == "interrupted"
    assert json.loads(log.read_text()) == virtual
