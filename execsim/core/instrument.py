"""What can be traded: assets, spot pairs and binary outcome markets."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from execsim.core.errors import ConfigError
from execsim.core.fees import UNDATED, FeeSchedule, Liquidity, NoFee, Traded
from execsim.core.units import NOTIONAL_MAX, Grid, Number, Rounding, divide, scaled


class InstrumentKind(StrEnum):
    SPOT = "spot"
    BINARY = "binary"


class Outcome(StrEnum):
    """Which token of a binary market an order trades. A spot order is always YES (the base asset itself)."""

    YES = "yes"
    NO = "no"

    @property
    def other(self) -> Outcome:
        return Outcome.NO if self is Outcome.YES else Outcome.YES


@dataclass(frozen=True, slots=True)
class Asset:
    """Something an account holds. `unit` is the value of the integer 1 (pUSD: 0.000001)."""

    name: str
    unit: Decimal

    def amount(self, value: Number, rounding: Rounding = Rounding.EXACT) -> int:
        """Integer units in `value`, e.g. Asset("pUSD", 1e-6).amount("1.5") == 1_500_000."""
        return scaled(value, self.unit, f"amount of {self.name}", rounding)

    def decimal(self, units: int) -> Decimal:
        return units * self.unit


@dataclass(frozen=True, slots=True)
class Instrument:
    """One market of one venue and its trading rules; sizes in lots, prices in price_i, money in units of `quote`.

    `base` is what one lot is made of; for a BINARY market it is the YES token and `complement` the NO token.
    `tick_i` is the divisibility rule at the start of the tape (it may change with time); `price_min_i`/`price_max_i`
    bound an order's price, None where the venue has no bound. `notional_min` (quote units) binds every order, or, with
    `notional_min_taker_buys_only`, only buys that must match at once (Polymarket: what rests may be worth less than a
    dollar). `cash_rounding` is the named rounding of price x size.
    """

    venue: str
    market: str
    kind: InstrumentKind
    grid: Grid
    base: Asset
    quote: Asset
    complement: Asset | None = None
    tick_i: int = 1
    size_step_lots: int = 1
    size_min_lots: int = 1
    size_max_lots: int | None = None
    notional_min: int = 0
    notional_min_taker_buys_only: bool = False
    price_min_i: int | None = None
    price_max_i: int | None = None
    fees: FeeSchedule = field(default_factory=NoFee)
    cash_rounding: Rounding = Rounding.FLOOR

    def __post_init__(self) -> None:
        if self.kind is InstrumentKind.BINARY and self.complement is None:
            raise ConfigError(f"{self.market}: a binary market needs a complement asset (its NO token)", "")
        ratio = self.grid.price_unit * self.grid.lot / self.quote.unit
        base = self.grid.lot / self.base.unit
        if base != int(base):
            raise ConfigError(f"{self.market}: a lot of {self.grid.lot} is not a whole number of {self.base.unit}", "")
        num, den = ratio.as_integer_ratio()
        object.__setattr__(self, "_cash_num", num)
        object.__setattr__(self, "_cash_den", den)
        object.__setattr__(self, "_base_per_lot", int(base))
        object.__setattr__(self, "one_i", int(1 / self.grid.price_unit))
        object.__setattr__(self, "_lots_per_unit", int(1 / self.grid.lot))
        object.__setattr__(self, "_cash_per_unit", int(1 / self.quote.unit))

    one_i: int = field(init=False, repr=False, compare=False, default=1)
    """price 1.0 on the grid: the payoff of a winning share"""
    _lots_per_unit: int = field(init=False, repr=False, compare=False, default=1)
    _cash_per_unit: int = field(init=False, repr=False, compare=False, default=1)
    _cash_num: int = field(init=False, repr=False, compare=False, default=1)
    _cash_den: int = field(init=False, repr=False, compare=False, default=1)
    _base_per_lot: int = field(init=False, repr=False, compare=False, default=1)

    def cash(self, price_i: int, lots: int, rounding: Rounding | None = None) -> int:
        """Money for `lots` at `price_i`, in units of `quote`, by the instrument's rounding unless another is named."""
        product = price_i * lots * self._cash_num
        return (
            product // self._cash_den
            if rounding is None and self.cash_rounding is Rounding.FLOOR
            else divide(product, self._cash_den, rounding or self.cash_rounding)
        )

    def base_amount(self, lots: int) -> int:
        """Units of `base` (or `complement`) in `lots`."""
        return lots * self._base_per_lot

    def par(self, lots: int) -> int:
        """Money locked in `lots` full sets (one YES and one NO), in units of `quote`. Exact."""
        return divide(self.one_i * lots * self._cash_num, self._cash_den, Rounding.EXACT)

    def fee(self, price_i: int, lots: int, cash: int, liquidity: Liquidity, *, ts_ns: int = UNDATED) -> int:
        """Fee of a fill in units of `quote`; `cash` is its unsigned money, `ts_ns` its time (schedules change by date)."""
        return self.fees.fee(self._traded(price_i, lots, cash, ts_ns), liquidity)

    def rebate(self, price_i: int, lots: int, cash: int, ts_ns: int) -> Fraction:
        """What the venue's rebate programme pays for a maker fill, estimated, in units of `quote` (not rounded)."""
        return self.fees.rebate(self._traded(price_i, lots, cash, ts_ns))

    def _traded(self, price_i: int, lots: int, cash: int, ts_ns: int) -> Traded:
        return Traded(price_i, self.one_i, lots, self._lots_per_unit, cash, self._cash_per_unit, ts_ns)

    def lots_for(self, quote_amount: int, price_i: int) -> int:
        """Most lots `quote_amount` buys at `price_i`, on the size step, rounded down. price_i > 0."""
        lots = quote_amount * self._cash_den // (price_i * self._cash_num)
        return lots - lots % self.size_step_lots

    def canonical_i(self, price_i: int, outcome: Outcome) -> int:
        """The price on the canonical (YES-side) book."""
        return price_i if outcome is Outcome.YES else self.one_i - price_i

    def asset_of(self, outcome: Outcome) -> Asset:
        return self.base if outcome is Outcome.YES or self.complement is None else self.complement

    def notional_fits(self, price_i: int, lots: int) -> bool:
        """Whether price_i x lots stays below the kernel's bound (2**62)."""
        return price_i * lots < NOTIONAL_MAX
