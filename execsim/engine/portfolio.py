"""What the run owns and earned: positions per market, cash per asset, totals per quote asset. Exact integers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from execsim.core.errors import ConfigError
from execsim.core.instrument import Asset, Instrument
from execsim.core.order import Fill
from execsim.core.position import Position


@dataclass(frozen=True, slots=True)
class Totals:
    """PnL in units of `asset`. `fees` are what we paid, `rebates` what we were paid, both >= 0; net = all of it."""

    asset: Asset
    realised: int
    unrealised: int
    fees: int
    rebates: int

    @property
    def net(self) -> int:
        return self.realised + self.unrealised - self.fees + self.rebates

    def decimals(self) -> dict[str, Decimal]:
        """realised, unrealised, fees, rebates and net in human units."""
        names = ("realised", "unrealised", "fees", "rebates", "net")
        return {name: self.asset.decimal(getattr(self, name)) for name in names}


class Portfolio:
    """Positions are created by `open`. Cash of a quote asset = deposits + the cash of its positions, always."""

    def __init__(self) -> None:
        self.positions: dict[str, Position] = {}
        self.held: dict[str, Position] = {}
        """positions whose net is not zero"""
        self.earned: dict[str, int] = {}
        """quote asset -> realised less fees, over all markets (units)"""
        self._cash: dict[str, int] = {}
        self._rebates: dict[str, int] = {}

    def open(self, instrument: Instrument) -> Position:
        """The position of a market, created flat when it is new."""
        found = self.positions.get(instrument.market)
        if found is None:
            found = self.positions[instrument.market] = Position(instrument)
            self._cash.setdefault(instrument.quote.name, 0)
            self._rebates[instrument.market] = 0
        return found

    def restore(self, other: Portfolio) -> None:
        """Take over what another holds; it must not be used any more."""
        self.positions |= other.positions
        self.held |= other.held
        self._cash |= other._cash
        self._rebates |= other._rebates

    def position(self, market: str) -> Position:
        """Errors: ConfigError for a market that is not open."""
        found = self.positions.get(market)
        if found is None:
            raise ConfigError(f"no position in market {market!r}", "register the venue that trades it first")
        return found

    @property
    def cash(self) -> Mapping[str, int]:
        """Asset name -> integer units: deposits, less what was spent, plus what was received."""
        return dict(self._cash)

    def deposit(self, asset: Asset, units: int) -> None:
        """Add (or with a negative number take out) cash; no PnL."""
        self._cash[asset.name] = self._cash.get(asset.name, 0) + units

    def split(self, market: str, lots: int) -> None:
        """Turn cash into full sets of YES and NO (a quoter's starting inventory)."""
        with _Booked(self, market) as position:
            position.split(lots)

    def merge(self, market: str, lots: int) -> None:
        """Turn full sets back into cash. Errors: ValidationError when fewer sets are held."""
        with _Booked(self, market) as position:
            position.merge(lots)

    def apply(self, fill: Fill, instrument: Instrument) -> None:
        """Book one fill. The caller has made sure it is not booked yet (fills are idempotent by id in the tracker)."""
        self.open(instrument)
        with _Booked(self, instrument.market) as position:
            position.apply(fill)
        self._rebates[instrument.market] -= min(0, fill.fee)

    def void(self, fill: Fill, instrument: Instrument) -> None:
        """Undo a booked fill."""
        with _Booked(self, instrument.market) as position:
            position.void(fill)
        self._rebates[instrument.market] += min(0, fill.fee)

    def convert(self, given: Sequence[str], event: Sequence[str], lots: int, marks: Mapping[str, int]) -> None:
        """NO tokens of the `given` outcomes become YES tokens of the event's others, and `len(given) - 1` of cash a lot.

        The NO tokens leave at their mark (`marks`: YES price_i; half of 1 without one), and what they were worth beyond the
        cash received is what the YES tokens enter at, in equal parts; the last takes the rest, so totals are exact.
        """
        others = [market for market in event if market not in given]
        worth = 0
        for market in given:
            with _Booked(self, market) as position:
                inst = position.instrument
                cash = inst.cash(inst.one_i - marks.get(market, inst.one_i // 2), lots)
                position.exchange_no(lots, cash)
                worth += cash
        left = worth - (len(given) - 1) * self.position(given[0]).instrument.par(lots)
        for rank, market in enumerate(others):
            part = left // (len(others) - rank)
            left -= part
            with _Booked(self, market) as position:
                position.exchange_yes(lots, part)
        if not others:  # every outcome was given: what the marks said beyond the certain cash is a loss or gain now
            with _Booked(self, given[-1]) as position:
                position.cash -= left
                position.realised -= left

    def confirm(self, fill: Fill, instrument: Instrument) -> None:
        """A booked fill that could have failed became final."""
        self.position(instrument.market).confirm(fill)

    def settle(self, market: str, payoff_i: int) -> int:
        """Pay the market out at `payoff_i` per YES share; returns the money received (quote units)."""
        with _Booked(self, market) as position:
            return position.settle(payoff_i)

    def totals(self, marks: Mapping[str, int]) -> dict[str, Totals]:
        """Totals by quote asset name. `marks`: market -> YES price_i; a position without a mark counts at its cost."""
        sums: dict[str, list[int]] = {}
        assets: dict[str, Asset] = {}
        for market, position in self.positions.items():
            asset = position.instrument.quote
            assets[asset.name] = asset
            row = sums.setdefault(asset.name, [0, 0, 0, 0])
            rebates = self._rebates[market]
            row[0] += position.realised
            row[1] += position.unrealised(marks[market]) if market in marks else 0
            row[2] += position.fees + rebates
            row[3] += rebates
        return {name: Totals(assets[name], *row) for name, row in sums.items()}


class _Booked:
    """Carries a change of one position over into cash and the index of held markets."""

    __slots__ = ("_before", "_earned", "_market", "_portfolio", "_position")

    def __init__(self, portfolio: Portfolio, market: str) -> None:
        self._portfolio = portfolio
        self._market = market
        self._position = portfolio.position(market)
        self._before = self._position.cash
        self._earned = self._position.realised - self._position.fees

    def __enter__(self) -> Position:
        return self._position

    def __exit__(self, *_: object) -> None:
        position = self._position
        quote, earned = position.instrument.quote, self._portfolio.earned
        self._portfolio.deposit(quote, position.cash - self._before)
        earned[quote.name] = earned.get(quote.name, 0) + position.realised - position.fees - self._earned
        if position.net_lots:
            self._portfolio.held[self._market] = position
        else:
            self._portfolio.held.pop(self._market, None)
