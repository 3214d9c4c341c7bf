"""Taker fees and rebate shares by category and date: the table behind an instrument's fee schedule.

Fee of a taker fill in pUSD: shares x rate x p^price_power x (p(1-p))^exponent, rounded down to five decimals (core/fees.py).
A regime holds from 00:00 UTC of its day: nobody has published the hour of a change.

Sources, by the letter in each row
  M  the venue's documentation as copied on 2026-01-07, -02-22, -03-10 and late March (with "effective March 30, 2026"),
     2026-04, -05-03, -05-11, -06-03 (docs.polymarket.com trading/fees, market-makers/maker-rebates; the copies stand in
     public repositories, e.g. ebowwa/dailydocupdates)
  S  the same pages of 2026-08-20 and the changelog entry of 2026-07-10 (polymarket.md section 9)
  F  money really charged: 15 of 15 clean taker sells of 2026-03-28 (tests/data/polymarket/fee_observations.csv), 19 of 19
     on-chain fills of September 2026 (taker_fee_onchain.json)
  G  fee schedules in market metadata of 2026-05-17 and 2026-06-23 (Gamma and /clob-markets recordings)
Confidence: V seen in money or metadata, D documented only, ? sources conflict or the date is a bracket.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from execsim.core.fees import BinaryFee, DatedFees
from execsim.core.units import NS_PER_S


class Regime(NamedTuple):
    """One row: the parameters from 00:00 UTC of `since` on."""

    since: str
    rate: str
    rebate_share: str
    source: str
    price_power: int = 0
    exponent: int = 1

    @property
    def from_ns(self) -> int:
        since = datetime.fromisoformat(self.since).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        return since // timedelta(seconds=1) * NS_PER_S

    @property
    def fee(self) -> BinaryFee:
        return BinaryFee(
            Decimal(self.rate), self.exponent, price_power=self.price_power, rebate_share=Decimal(self.rebate_share)
        )


EXPANSION: Final = "2026-03-30"
"""Fees come to every category but geopolitics and p leaves the formula. The documented day; the last fill seen by the old
formula is of 2026-03-29, the first by the new one of 2026-03-31, none of the day itself is known."""

_FORTY: Final = (Regime(EXPANSION, "0.04", "0.25", "M S D"),)
_FIFTY: Final = (Regime(EXPANSION, "0.05", "0.25", "M S D"),)

REGIMES: Final[dict[str, tuple[Regime, ...]]] = {
    "crypto": (
        # 15-minute markets only at first, 5-minute ones from their launch (2026-02-12), all others if created from
        # 2026-03-06 on: an older or longer market of these months paid nothing, and the table overcharges it. The rebate
        # was paid by another key (by volume, and all of the fees) until 2026-01-19.
        Regime("2026-01-06", "0.25", "0.20", "M F, start ?", price_power=1, exponent=2),
        Regime(EXPANSION, "0.072", "0.20", "M V"),
        Regime("2026-05-11", "0.07", "0.20", "M S F G; 0.072 was still documented on 2026-05-03: ?"),
    ),
    "sports": (
        # before: fee-free but for college basketball and Serie A (p x 0.0175 x p(1-p) from 2026-02-18), not modelled
        Regime(EXPANSION, "0.03", "0.25", "M D"),
        Regime("2026-07-10", "0.05", "0.15", "S F; that the share fell to 15 % on the same day: ?"),
    ),
    "finance": _FORTY,  # the first announcement gave its makers 50 %, the pages from April on 25 %
    "politics": _FORTY,
    "mentions": _FORTY,  # announced as 0.25 with exponent 2, documented from April on as 0.04: ? until then
    "tech": _FORTY,
    "economics": (Regime(EXPANSION, "0.05", "0.25", "M S G; announced as 0.03 with exponent 0.5: ? until April"),),
    "culture": _FIFTY,
    "weather": _FIFTY,  # announced as 0.025 with exponent 0.5: ? until April
    "other": (Regime(EXPANSION, "0.05", "0.25", "M S G; announced as 0.2 with exponent 2: ? until April"),),
    "geopolitics": (Regime("2026-01-06", "0", "0", "M S D"),),
}
"""Category -> its regimes, oldest first. Before the first no fee was charged."""


def schedule(category: str) -> DatedFees:
    """The dated fees of a category. Errors: KeyError for one that is not in REGIMES."""
    return DatedFees(tuple((regime.from_ns, regime.fee) for regime in REGIMES[category]))


def rebate_share(category: str) -> Decimal:
    """The newest share of the taker fees that goes to makers."""
    return Decimal(REGIMES[category][-1].rebate_share)
