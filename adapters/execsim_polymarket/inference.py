"""Trades of a recording that has books but no trade messages, from two consecutive books and the last trade price.

The last trade price is the market's, as printed: on the YES token at p or on the NO token at p, which is 1 - p on the YES
book, and a book does not say which (measured on four windows of polymarket_cronosvirus00: about half each). So both
readings are tried: the trade happened where a level fell that a taker could reach.
"""

from __future__ import annotations

from typing import NamedTuple

from execsim.tape.schema import SideCode
from execsim_polymarket.book import Scale, Side


class Print(NamedTuple):
    """An inferred trade on the canonical book. `aggressor`: ASK a seller, BID a buyer. `no_token`: printed on NO."""

    price_i: int
    lots: int
    aggressor: SideCode
    no_token: bool


def infer(last_i: int, scale: Scale, before: tuple[Side, Side], after: tuple[Side, Side]) -> Print | None:
    """The one trade that explains a new last trade price between two canonical (bids, asks); None if none or several do.

    A fall of the bids at the price is a seller, of the asks a buyer; the fall is the size (cancels at that level included,
    levels better than the price are not counted). Reachable: the level was the best, or nothing better is left.
    """
    found: list[Print] = []
    for price_i, no_token in dict.fromkeys(((last_i, False), (scale.one_i - last_i, True))):
        if no_token and price_i == last_i:
            continue
        for aggressor, old, new in ((SideCode.ASK, before[0], after[0]), (SideCode.BID, before[1], after[1])):
            fall = scale.lots(old[price_i]) - scale.lots(new.get(price_i, "0")) if price_i in old else 0
            if fall <= 0:
                continue
            if aggressor is SideCode.ASK:
                reachable = max(old) == price_i or max(new, default=0) <= price_i
            else:
                reachable = min(old) == price_i or min(new, default=scale.one_i) >= price_i
            if reachable:
                found.append(Print(price_i, fall, aggressor, no_token))
    return found[0] if len(found) == 1 else None
