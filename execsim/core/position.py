"""Position arithmetic in exact integers. YES and NO of one market net: holding one of each is one unit of cash."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from execsim.core.errors import ValidationError
from execsim.core.instrument import Instrument, Outcome
from execsim.core.order import Fill, FillStatus, Side

OPEN_FILLS = (FillStatus.PROVISIONAL, FillStatus.MINED)
"""Fills that are not final yet."""


@dataclass(slots=True)
class Position:
    """What one market did to us.

    `yes_lots` and `no_lots` are the tokens held (a spot position is yes_lots and may be negative only where the venue
    lends). Money is in quote units, signed, and exact: realised + unrealised(mark) == cash + value of the tokens at the
    mark, for any mark. `cost` is what the net position cost in YES terms (negative: received), by average cost.
    Buying NO at q is selling YES at 1 - q and locking 1 in a full set, so both tokens share one cost. `provisional_lots` is
    the net of fills that may still fail, those of tokens that were paid out meanwhile included.
    """

    instrument: Instrument
    yes_lots: int = 0
    no_lots: int = 0
    cost: int = 0
    cash: int = 0
    realised: int = 0
    fees: int = 0
    provisional_lots: int = 0
    traded_lots: int = 0
    _settled_yes: int = 0
    _settled_no: int = 0
    _settled_cash: int = 0

    @property
    def net_lots(self) -> int:
        return self.yes_lots - self.no_lots

    @property
    def size(self) -> Decimal:
        """Net YES size, negative when short."""
        return self.instrument.grid.size(self.net_lots)

    @property
    def avg_price(self) -> Decimal | None:
        """Average entry price of the net position in YES terms, None when flat."""
        if not self.net_lots:
            return None
        return self.instrument.quote.decimal(self.cost) / self.instrument.grid.size(self.net_lots)

    @property
    def confirmed_lots(self) -> int:
        """Net lots without fills that may still fail."""
        return self.net_lots - self.provisional_lots

    def apply(self, fill: Fill) -> None:
        """Book one fill. Errors: none; the fill's integers are taken as they are."""
        self._book(fill.side, fill.outcome, fill.lots, fill.cash, fill.fee)
        self.traded_lots += fill.lots
        if fill.status in OPEN_FILLS:
            self.provisional_lots += self._net_sign(fill.side, fill.outcome) * fill.lots

    def void(self, fill: Fill) -> None:
        """Undo a fill that failed on chain: the opposite trade for the same money."""
        self._book(fill.side.other, fill.outcome, fill.lots, -fill.cash, -fill.fee)
        if fill.status in OPEN_FILLS:
            self.provisional_lots -= self._net_sign(fill.side, fill.outcome) * fill.lots

    def confirm(self, fill: Fill) -> None:
        """A fill that could have failed became final."""
        self.provisional_lots -= self._net_sign(fill.side, fill.outcome) * fill.lots

    def split(self, lots: int) -> None:
        """Turn `lots` units of cash into as many full sets (one YES and one NO each)."""
        self.cash -= self.instrument.par(lots)
        self.yes_lots += lots
        self.no_lots += lots

    def merge(self, lots: int) -> None:
        """Turn full sets back into cash. Errors: ValidationError when fewer sets are held."""
        if lots > min(self.yes_lots, self.no_lots):
            raise ValidationError(
                "merge", f"merge of {lots} lots, but only {min(self.yes_lots, self.no_lots)} sets held"
            )
        self.split(-lots)

    def exchange_no(self, lots: int, cash: int) -> None:
        """Give up `lots` NO tokens for `cash` (a conversion: what they are carried over at)."""
        self._book(Side.SELL, Outcome.NO, lots, cash, 0)

    def exchange_yes(self, lots: int, cash: int) -> None:
        """Receive `lots` YES tokens at a value of `cash` (a conversion)."""
        self._book(Side.BUY, Outcome.YES, lots, -cash, 0)

    def settle(self, payoff_i: int) -> int:
        """Pay out at `payoff_i` per YES share, 1 - payoff per NO share; returns the money received (quote units)."""
        inst = self.instrument
        self._settled_yes += self.yes_lots
        self._settled_no += self.no_lots
        no_i = inst.one_i - payoff_i if self._settled_no else 0
        # rounded on all that was ever paid out, as at the contract: news that crosses the payout comes in pieces
        paid = inst.cash(payoff_i, self._settled_yes) + inst.cash(no_i, self._settled_no)
        received, self._settled_cash = paid - self._settled_cash, paid
        in_yes_terms = received - (inst.par(self.no_lots) if self.no_lots else 0)
        self.realised += in_yes_terms - self.cost
        self.cash += received
        self.yes_lots = self.no_lots = self.cost = 0
        return received

    def unrealised(self, mark_i: int) -> int:
        """Value of the net position at `mark_i` (YES price) minus its cost, in quote units."""
        return self.instrument.cash(mark_i, self.net_lots) - self.cost

    @staticmethod
    def _net_sign(side: Side, outcome: Outcome) -> int:
        return side.sign if outcome is Outcome.YES else -side.sign

    def _book(self, side: Side, outcome: Outcome, lots: int, cash: int, fee: int) -> None:
        before = self.net_lots
        if outcome is Outcome.YES:
            self.yes_lots += side.sign * lots
            yes_cash = cash
        else:
            self.no_lots += side.sign * lots
            yes_cash = cash + side.sign * self.instrument.par(lots)
        self.cash += cash - fee
        self.fees += fee
        change = self._net_sign(side, outcome) * lots
        closing = min(abs(before), lots) if before * change < 0 else 0
        closing_cash = yes_cash * closing // lots if lots else 0
        if closing:
            cost_part = self.cost * closing // abs(before)
            self.realised += closing_cash - cost_part
            self.cost -= cost_part
        self.cost -= yes_cash - closing_cash
