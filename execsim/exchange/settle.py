"""Resolution: the tokens of a market become cash."""

from __future__ import annotations

from execsim.core.instrument import Instrument, Outcome
from execsim.exchange.account import Ledger


def settle(ledger: Ledger, trader: str, instrument: Instrument, payoff_i: int) -> int:
    """Redeem the trader's tokens at the contract: a YES share for `payoff_i`, a NO share for 1 - payoff (price units).

    Returns the cash paid, in quote units; each outcome is rounded down on its own, as on chain.
    """
    paid = 0
    for outcome, price_i in ((Outcome.YES, payoff_i), (Outcome.NO, instrument.one_i - payoff_i)):
        asset = instrument.asset_of(outcome).name
        units = ledger[trader].balances[asset]
        lots = units // instrument.base_amount(1)
        cash = instrument.cash(price_i, lots)
        ledger.move(trader, Ledger.MINT, asset, units)
        ledger.move(Ledger.MINT, trader, instrument.quote.name, cash)
        paid += cash
    return paid
