"""What a report draws: the account's profit and each market's best prices, sampled while a run goes on."""

from __future__ import annotations

from collections.abc import Sequence

from execsim.core.instrument import Instrument
from execsim.engine.session import ExecutionEngine
from execsim.ports import BookView
from execsim.report.run import EquitySampler, PriceSampler


class Samples:
    """Bounded series of one run. `markets` are those shown."""

    def __init__(self, engine: ExecutionEngine, books: BookView, markets: Sequence[Instrument]) -> None:
        self._engine = engine
        self._books = books
        names = [instrument.market for instrument in markets]
        quotes = list(dict.fromkeys(instrument.quote.name for instrument in markets))
        self.equity = EquitySampler(names, quotes)
        self.prices = {name: PriceSampler() for name in names}

    def take(self, now_ns: int) -> None:
        """Sample everything. Times must not decrease."""
        engine = self._engine
        for market, sampler in self.prices.items():
            top = self._books.top(market)
            if top.bid_i is not None or top.ask_i is not None:
                sampler.add(now_ns, top.bid_i, top.ask_i)
        totals = engine.portfolio.totals(engine.marks())
        lots = {market: position.net_lots for market, position in engine.portfolio.positions.items()}
        self.equity.add(now_ns, lots, {name: total.net for name, total in totals.items()})


def pnl_text(engine: ExecutionEngine) -> str:
    """Net profit by quote asset, for people watching: "+1.20 pUSD"."""
    totals = engine.portfolio.totals(engine.marks())
    return ", ".join(f"{total.asset.decimal(total.net):+.2f} {name}" for name, total in totals.items())
