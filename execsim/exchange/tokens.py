"""Tokens of binary markets at the contracts: split, merge, convert, redeem. Money and tokens change form, none is made.

Source: polymarket.md section 8 (a set of YES and NO is worth 1; a NO share of a neg-risk event converts to YES shares of all
other outcomes). Amounts are exact: a set of n lots is par(n) units of money.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from execsim.core.errors import ExecError, ValidationError
from execsim.core.instrument import Asset, Instrument, Outcome
from execsim.exchange.account import Ledger


@dataclass(frozen=True, slots=True)
class Event:
    """A neg-risk event: `markets` are its outcomes, of which exactly one pays. A condition of its own: the markets of an
    event that may have no winner (or several) do not convert."""

    id: str
    markets: tuple[str, ...]


class Contracts:
    """What the contracts of one venue do for an account. Methods return the refusal, or None when it is done."""

    def __init__(self, ledger: Ledger, instruments: Mapping[str, Instrument], events: Sequence[Event] = ()) -> None:
        self._ledger = ledger
        self._instruments = instruments
        self._events = {market: event for event in events for market in event.markets}
        self.payoffs: dict[str, int] = {}
        """market -> YES payoff (price units) of markets that can be redeemed"""

    def event_of(self, market: str) -> Event | None:
        return self._events.get(market)

    def split(self, account: str, market: str, lots: int) -> ExecError | None:
        """`lots` of cash become as many full sets. Errors: not a binary market, lots <= 0, too little free cash."""
        instrument, error = self._binary(market, lots, "split")
        if instrument is None:
            return error
        if (lacks := self._lacks(account, instrument.quote, instrument.par(lots))) is not None:
            return lacks
        self._sets(account, instrument, lots)
        return None

    def merge(self, account: str, market: str, lots: int) -> ExecError | None:
        """`lots` full sets become cash. Errors: too few free tokens of either outcome."""
        instrument, error = self._binary(market, lots, "merge")
        if instrument is None:
            return error
        for outcome in Outcome:
            asset = instrument.asset_of(outcome)
            if (lacks := self._lacks(account, asset, instrument.base_amount(lots))) is not None:
                return lacks
        self._sets(account, instrument, -lots)
        return None

    def convert(self, account: str, markets: Sequence[str], lots: int) -> ExecError | None:
        """`lots` NO shares of each of `markets` (outcomes of one event) become YES shares of every other outcome, and
        `len(markets) - 1` units of cash a lot: of n outcomes one pays, so NO of k of them pays k - 1 for certain, and one
        more unless the winner is among them.
        """
        event = self._events.get(markets[0]) if markets else None
        if event is None or len(set(markets)) != len(markets) or not set(markets) <= set(event.markets):
            what = f"convert of {', '.join(markets) or 'nothing'}: not distinct outcomes of one neg-risk event"
            return ValidationError("convert", what, "name markets of one event of the scenario")
        for market in markets:
            instrument, error = self._binary(market, lots, "convert")
            if instrument is None:
                return error
            no = instrument.asset_of(Outcome.NO)
            if (lacks := self._lacks(account, no, instrument.base_amount(lots))) is not None:
                return lacks
        mint, ledger = Ledger.MINT, self._ledger
        for market in event.markets:
            inst = self._instruments[market]
            if market in markets:
                ledger.move(account, mint, inst.asset_of(Outcome.NO).name, inst.base_amount(lots))
            else:
                ledger.move(mint, account, inst.asset_of(Outcome.YES).name, inst.base_amount(lots))
        first = self._instruments[markets[0]]
        ledger.move(mint, account, first.quote.name, (len(markets) - 1) * first.par(lots))
        return None

    def redeem(self, account: str, market: str) -> ExecError | None:
        """Tokens of a market whose payoff is final become cash. Errors: not final yet."""
        payoff_i = self.payoffs.get(market)
        if payoff_i is None:
            return ValidationError("redeem", f"market {market} has no final payoff yet", "wait for its resolution")
        settle(self._ledger, account, self._instruments[market], payoff_i)
        return None

    def _sets(self, account: str, inst: Instrument, lots: int) -> None:
        units = inst.base_amount(lots)
        self._ledger.move(account, Ledger.MINT, inst.quote.name, inst.par(lots))
        for outcome in Outcome:
            self._ledger.move(Ledger.MINT, account, inst.asset_of(outcome).name, units)

    def _binary(self, market: str, lots: int, what: str) -> tuple[Instrument | None, ExecError | None]:
        instrument = self._instruments.get(market)
        if instrument is None or instrument.complement is None:
            error = ValidationError(what, f"{market} is not a binary market here", "only those have sets of tokens")
            return None, error
        if lots <= 0:
            return None, ValidationError(what, f"{what} of {lots} lots", "the size must be positive")
        return instrument, None

    def _lacks(self, account: str, asset: Asset, units: int) -> ExecError | None:
        free = self._ledger[account].free(asset.name)
        if units <= free:
            return None
        what = f"{asset.decimal(units)} {asset.name} are needed, {asset.decimal(free)} are free"
        return ValidationError("balance", what, "use less")


def settle(ledger: Ledger, account: str, instrument: Instrument, payoff_i: int) -> int:
    """Redeem an account's tokens: a YES share for `payoff_i`, a NO share for 1 - payoff (price units).

    Returns the cash paid, in quote units; each outcome is rounded down on its own, as on chain.
    """
    paid = 0
    for outcome, price_i in ((Outcome.YES, payoff_i), (Outcome.NO, instrument.one_i - payoff_i)):
        asset = instrument.asset_of(outcome).name
        units = ledger[account].balances[asset]
        lots = units // instrument.base_amount(1)
        cash = instrument.cash(price_i, lots)
        ledger.move(account, Ledger.MINT, asset, units)
        ledger.move(Ledger.MINT, account, instrument.quote.name, cash)
        paid += cash
    return paid
