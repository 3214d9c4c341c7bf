"""A fault may stop the strategy's market data on paper too, while the exchange goes on hearing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from execsim.core.events import Trade
from execsim.core.instrument import Outcome
from execsim.core.order import MarketId, Side
from execsim.exchange.paper import PaperMarket
from execsim.kernel import VENUE, MarketSpan, Replay
from execsim.runtime import VirtualRuntime
from execsim.scenario.paper import Tap


class Heard:
    """A `MarketSink` that writes down what it is told."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *told: self.said.append((name.removeprefix("on_"), *told))

    def take(self) -> list[tuple[Any, ...]]:
        said, self.said = self.said, []
        return said


class Nobody:
    """A `MarketHandler`."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *told: None


def test_muted_a_strategy_hears_how_things_stand_when_it_is_over() -> None:
    runtime = VirtualRuntime(1, 1_000)
    kernel = Replay([MarketSpan(1, 1, 100, 10_000)])
    market = PaperMarket(runtime, runtime.now_ns, kernel, {0: "rain"}, Nobody())  # type: ignore[arg-type]  # all there
    heard = Heard()
    tap = Tap(market, heard, runtime.now_ns)  # type: ignore[arg-type]  # every method is there
    print_ = Trade(MarketId("rain"), 1_000, 5_000, 3, Side.BUY, Outcome.YES, False)

    async def main() -> None:
        tap.on_snapshot("rain", 1_000, [(4_000, 5)], [(5_000, 6)])
        assert heard.take() == [("snapshot", "rain", 1_000, [(4_000, 5)], [(5_000, 6)])]
        tap.mute(["rain"], False)
        tap.mute(["rain"], True)
        tap.mute(["rain"], True)
        assert heard.take() == [("gap", "rain", 1_000, True)]
        tap.on_levels("rain", 1_000, [(1, 4_100, 7)])
        tap.on_trade(print_)
        tap.on_tick("rain", 1_000, 10)
        await runtime.sleep(500)
        assert heard.take() == []
        assert kernel.best(VENUE, 0) == (4_100, 7, 5_000, 6)
        assert kernel.tick_i(VENUE, 0) == 10
        tap.unmute(["rain", "snow"])
        assert heard.take() == [
            ("tick", "rain", 1_500, 10), ("snapshot", "rain", 1_500, [(4_100, 7), (4_000, 5)], [(5_000, 6)]),
            ("gap", "rain", 1_500, False),
        ]  # fmt: skip
        tap.on_gap("rain", 1_500, True)
        heard.take()
        tap.mute(["rain"], False)
        tap.on_resolve("rain", 1_500, 10_000)
        tap.unmute(["rain"])
        assert heard.take() == [
            ("tick", "rain", 1_500, 10),
            ("gap", "rain", 1_500, True),
            ("resolve", "rain", 1_500, 10_000),
        ]
        tap.on_trade(print_)
        assert heard.take() == [("trade", print_)]

    runtime.run(main=main())
