"""exchange-core's own acceptance features, step by step, on this L3 book and ledger.

exchange-core (github.com/exchange-core/exchange-core, Apache-2.0) describes its matching and risk engine in Gherkin; the
files are in tests/data/exchange_core as they are. Every step runs. Left out is the example row `EUR_USD` of basic.feature:
that symbol is a margin pair there (positions instead of balances), and this exchange has spot pairs and binary markets.

ETH_XBT as the features mean it: a lot is 100,000 units of ETH, a price step 10 units of XBT a lot (30000@7 costs
2,100,000), no fees. Balances are what is free, without what orders claim.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from agent_world import Heard

from execsim.core.errors import VenueError
from execsim.core.instrument import Asset, Instrument, InstrumentKind, Outcome
from execsim.core.order import CancelAck, OrderAck, OrderId, OrderType, Side, TimeInForce
from execsim.core.units import Grid
from execsim.exchange import Exchange
from execsim.exchange.account import Ledger
from execsim.exchange.claims import Claims
from execsim.exchange.l3_matching import L3Matching
from execsim.exchange.plan import Executed
from execsim.exchange.resting import VenueOrder
from execsim.kernel import MarketSpan, Replay
from execsim.ports import VenueProfile
from execsim.runtime import VirtualRuntime

FEATURES = Path(__file__).resolve().parents[1] / "data" / "exchange_core"
LEFT_OUT = {"EUR_USD"}
"""margin symbols"""

ETH_XBT = Instrument(
    "exchange-core",
    "ETH_XBT",
    InstrumentKind.SPOT,
    Grid(price_unit=Decimal("0.0001"), lot=Decimal(100_000)),
    base=Asset("ETH", Decimal(1)),
    quote=Asset("XBT", Decimal(1)),
)
PROFILE = VenueProfile(
    texts={
        "balance": ("RISK_NSF", "not enough funds"),
        "hold": ("MATCHING_MOVE_FAILED_PRICE_OVER_RISK_LIMIT", "price over the reserve price"),
    }
)

Table = list[list[str]]


# ---------------------------------------------------------------- Gherkin, as much as the files use
@dataclass
class Step:
    keyword: str
    text: str
    table: Table = field(default_factory=list)


@dataclass
class Scenario:
    name: str
    steps: list[Step] = field(default_factory=list)
    examples: Table = field(default_factory=list)


def scenarios(text: str) -> Iterator[Scenario]:
    """Every scenario with the background's steps in front, an outline once for each of its examples."""
    background, found = Scenario("background"), list[Scenario]()
    at, rows = background, list[list[str]]()
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = line.partition(" ")
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif line.startswith(("Scenario:", "Scenario Outline:")):
            at = Scenario(line.split(":", 1)[1].strip())
            found.append(at)
        elif line == "Examples:":
            rows = at.examples
        elif word in ("Given", "When", "Then", "And"):
            at.steps.append(Step(word, rest))
            rows = at.steps[-1].table
        else:
            assert line.startswith(("Feature:", "Background:", "@")), f"not understood: {line}"
    for scenario in found:
        names, *values = scenario.examples or [[], []]
        for row in values:
            filled = dict(zip(names, row, strict=True))
            steps = [Step(s.keyword, _fill(s.text, filled), s.table) for s in background.steps + scenario.steps]
            yield Scenario(" ".join([scenario.name, *row]), steps)


def _fill(text: str, values: dict[str, str]) -> str:
    return re.sub(r"<(\w+)>", lambda name: values[name[1]], text)


# ---------------------------------------------------------------- the steps
STEPS: list[tuple[re.Pattern[str], Callable[..., None]]] = []


def step(pattern: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def register(fn: Callable[..., None]) -> Callable[..., None]:
        STEPS.append((re.compile(pattern), fn))
        return fn

    return register


class World:
    """An exchange with one spot pair, and what happened since the last `When`."""

    def __init__(self) -> None:
        self.happened: list[Executed] = []
        kernel = Replay([MarketSpan(1, 1, ETH_XBT.tick_i)])
        exchange = Exchange(VirtualRuntime(7), kernel, "exchange-core", {0: ETH_XBT}, PROFILE, book=self._book)
        self.ledger, self.entry = exchange.ledger, exchange.entry

    def _book(self, ledger: Ledger, claims: Claims) -> L3Matching:
        self.matching = Heard(ledger, claims, PROFILE)
        self.matching.heard = self.happened
        return self.matching

    def run(self, taken: Step) -> None:
        if taken.keyword == "When":
            self.happened.clear()
        matches = [(fn, match) for pattern, fn in STEPS if (match := pattern.fullmatch(taken.text))]
        assert len(matches) == 1, f"{len(matches)} steps for: {taken.text}"
        fn, match = matches[0]
        fn(self, *match.groups(), *([taken.table] if taken.table else []))
        self.ledger.check()

    def order(self, client: str, side: str, id: str, price: str, size: str, tif: str, hold: str | None) -> Any:
        """Place one; the answer."""
        answers: list[Any] = []
        order = VenueOrder(
            account=client, id=OrderId(id), venue_order_id=id, market=0, instrument=ETH_XBT,
            side=Side.BUY if side == "BID" else Side.SELL, outcome=Outcome.YES, type=OrderType.LIMIT,
            tif=TimeInForce(tif.lower()), price_i=int(price), size_lots=int(size), quote_amount=None, expire_ns=None,
            left_lots=int(size), hold_price_i=int(hold or 0) or None,
        )  # fmt: skip
        self.entry.place(answers.append, order)
        return answers[0]

    def move(self, client: str, price: str, id: str) -> Any:
        answers: list[Any] = []
        self.entry.amend(answers.append, client, OrderId(id), int(price), None)
        return answers[0]


ORDER = r"an (ASK|BID) order (\d+) at (\d+)@(\d+) \(type: (GTC|IOC), symbol: ETH_XBT(?:, reservePrice: (\d+))?\)"


@step(r"New client (\w+) has a balance:")
def new_client(world: World, client: str, table: Table) -> None:
    assert client not in world.ledger.accounts
    for asset, units in table:
        world.ledger.deposit(client, asset, int(units))


@step(r"(\d+) (\w+) is added to the balance of a client (\w+)")
def deposit(world: World, units: str, asset: str, client: str) -> None:
    world.ledger.deposit(client, asset, int(units))


@step(rf"A client (\w+) places {ORDER}")
def places(world: World, client: str, *order: str) -> None:
    assert isinstance(world.order(client, *order), OrderAck)


@step(rf"A client (\w+) could not place {ORDER} due to (\w+)")
def could_not_place(world: World, client: str, *order: str) -> None:
    *order_, code = order
    answer = world.order(client, *order_)
    assert isinstance(answer, VenueError)
    assert answer.args[1] == code


@step(r"A client (\w+) moves a price to (\d+) of the order (\d+)")
def moves(world: World, client: str, price: str, id: str) -> None:
    assert isinstance(world.move(client, price, id), OrderAck)


@step(r"A client (\w+) could not move a price to (\d+) of the order (\d+) due to (\w+)")
def could_not_move(world: World, client: str, price: str, id: str, code: str) -> None:
    answer = world.move(client, price, id)
    assert isinstance(answer, VenueError)
    assert answer.args[1] == code


@step(r"A client (\w+) cancels the remaining size (\d+) of the order (\d+)")
def cancels(world: World, client: str, size: str, id: str) -> None:
    assert [o.left_lots for o in world.entry.open.values() if o.id == id] == [int(size)]
    answers: list[CancelAck] = []
    world.entry.cancel(answers.append, client, OrderId(id))
    assert answers[0].cancelled


@step(r"An ETH_XBT order book is:")
def book(world: World, table: Table) -> None:
    """Best ask last of the asks, then the bids: `bid | price | ask` from the highest price down."""
    wanted = [row for row in table if row != ["bid", "price", "ask"]]
    asks = [["", str(price), str(lots)] for price, lots in reversed(world.matching.book.levels(-1))]
    bids = [[str(lots), str(price), ""] for price, lots in world.matching.book.levels(1)]
    assert asks + bids == wanted


@step(r"No trade events")
def no_trades(world: World) -> None:
    assert not world.happened


@step(r"The order (\d+) is (partially|fully) matched. LastPx: (\d+), LastQty: (\d+)(?:, bidderHoldPrice: (\d+))?")
def matched(world: World, id: str, how: str, price: str, size: str, hold: str | None) -> None:
    last = [one for one in world.happened if one.order.id == id][-1]
    assert (last.fill.price_i, last.fill.lots, last.done) == (int(price), int(size), how == "fully")
    if hold is not None:
        assert last.order.hold_price_i == int(hold)


@step(r"A client (\w+) orders:")
def orders(world: World, client: str, table: Table) -> None:
    names, *rows = table
    assert names == ["id", "price", "size", "filled", "reservePrice", "side"]
    held = [order for order in world.entry.open.values() if order.account == client]
    found = [[o.id, *map(str, (o.price_i, o.size_lots, o.filled_lots, o.hold_price_i or 0)), side_of(o)] for o in held]
    assert found == rows


def side_of(order: VenueOrder) -> str:
    return "BID" if order.side is Side.BUY else "ASK"


@step(r"A client (\w+) does not have active orders")
def no_orders(world: World, client: str) -> None:
    assert not [order for order in world.entry.open.values() if order.account == client]
    assert not any(world.ledger[client].reserved.values())


@step(r"A balance of a client (\w+):")
def balance(world: World, client: str, table: Table) -> None:
    assert [[asset, str(world.ledger[client].free(asset))] for asset, _ in table] == table


# ---------------------------------------------------------------- the features
def cases() -> Iterator[Any]:
    for path in sorted(FEATURES.glob("*.feature")):
        for scenario in scenarios(path.read_text(encoding="utf-8")):
            if not set(scenario.name.split()) & LEFT_OUT:
                yield pytest.param(scenario, id=f"{path.stem}: {scenario.name}")


@pytest.mark.parametrize("scenario", list(cases()))
def test_feature(scenario: Scenario) -> None:
    world = World()
    for taken in scenario.steps:
        world.run(taken)


def test_nothing_of_the_files_is_skipped() -> None:
    """The spot pair's example of basic.feature's outline, its second scenario, both of risk.feature; all their lines."""
    found = [case.values[0] for case in cases()]
    assert [scenario.name for scenario in found] == [
        "basic full cycle test ETH_XBT", "cancel BID order", "basic scenario", "move orders UP and DOWN",
    ]  # fmt: skip
    lines = [line.split() for path in FEATURES.glob("*.feature") for line in path.read_text().splitlines()]
    keywords = sum(line[:1] in (["Given"], ["When"], ["Then"], ["And"]) for line in lines)
    background = 2  # basic.feature's, in front of both of its scenarios
    assert sum(len(scenario.steps) for scenario in found) == keywords + background
