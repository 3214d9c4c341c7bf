"""What a recording says about its markets besides their books: names, tokens, rules, outcome.

Read from whatever stands in the files: `new_market` and `market_resolved` frames, GET /clob-markets and Gamma objects saved
next to the books, header and lifecycle lines of recorders (`condition_id`, `up_token`/`down_token`, `tick_size` in 1e-4,
`min_size` in 1e-6, as pranay123-stack/polymarket-live-clob-research writes them).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from execsim.core.units import decimal_of, plain

YES_NAMES: Final = frozenset({"yes", "up"})
NO_NAMES: Final = frozenset({"no", "down"})


@dataclass(slots=True)
class Card:
    """What is known of one market; "" and None where the recording does not say. Decimals are minimal text."""

    market: str
    slug: str = ""
    title: str = ""
    yes_token: str = ""
    no_token: str = ""
    tick: str | None = None
    min_size: str | None = None
    neg_risk: bool | None = None
    fee_rate: str | None = None
    payoff: str | None = None
    """what a YES share pays, from a `market_resolved` frame"""


class Catalog:
    """Cards by condition id, in the order met. `learn` never overwrites what is known."""

    def __init__(self) -> None:
        self.cards: dict[str, Card] = {}

    def card(self, market: str) -> Card:
        if market not in self.cards:
            self.cards[market] = Card(market)
        return self.cards[market]

    def learn(self, note: Mapping[str, Any]) -> bool:
        """Take what an annotation, REST object or `new_market` frame says of markets; False if that is nothing."""
        if isinstance(note.get("lifecycle"), Mapping):
            return self.learn(note["lifecycle"])
        if isinstance(note.get("markets"), list):
            found = [self.learn(item) for item in note["markets"] if isinstance(item, Mapping)]
            return any(found)
        if isinstance(note.get("c"), str) and isinstance(note.get("t"), list):
            return self._clob_market(note)
        market = next((note[k] for k in ("condition_id", "conditionId", "market") if isinstance(note.get(k), str)), "")
        if not market:
            return False
        card = self.card(market)
        card.slug = card.slug or str(note.get("slug") or note.get("market_slug") or "")
        card.title = card.title or str(note.get("title") or note.get("question") or "")
        self._tokens(card, note)
        self._rules(card, note)
        return True

    def resolved(self, frame: Mapping[str, Any]) -> str | None:
        """Payoff of YES ("1" or "0") by a `market_resolved` frame; None if it cannot be told which token won."""
        card = self.card(frame["market"])
        winner, name = str(frame.get("winning_asset_id", "")), str(frame.get("winning_outcome", "")).lower()
        tokens = _list(frame.get("assets_ids"))
        if name in YES_NAMES or (winner and winner == card.yes_token):
            card.payoff = "1"
        elif name in NO_NAMES or (winner and winner == card.no_token):
            card.payoff = "0"
        if card.payoff is not None and len(tokens) == 2 and winner in tokens:
            loser = tokens[1 - tokens.index(winner)]
            self._pair(card, *((winner, loser) if card.payoff == "1" else (loser, winner)))
        return card.payoff

    def _clob_market(self, note: Mapping[str, Any]) -> bool:
        card = self.card(note["c"])
        named = {str(t.get("o", "")).lower(): str(t.get("t", "")) for t in note["t"] if isinstance(t, Mapping)}
        self._named(card, named)
        card.tick = card.tick or _decimal(note.get("mts"))
        card.min_size = card.min_size or _decimal(note.get("mos"))
        card.neg_risk = note["nr"] if isinstance(note.get("nr"), bool) and card.neg_risk is None else card.neg_risk
        fee = note.get("fd")
        card.fee_rate = card.fee_rate or (_decimal(fee.get("r")) if isinstance(fee, Mapping) else "0")
        return True

    def _tokens(self, card: Card, note: Mapping[str, Any]) -> None:
        if note.get("up_token") and note.get("down_token"):
            self._pair(card, str(note["up_token"]), str(note["down_token"]))
        tokens = _list(note.get("clob_token_ids") or note.get("clobTokenIds") or note.get("assets_ids"))
        outcomes = [str(name).lower() for name in _list(note.get("outcomes"))]
        if len(tokens) == len(outcomes) == 2:
            self._named(card, dict(zip(outcomes, map(str, tokens), strict=True)))

    def _named(self, card: Card, tokens: Mapping[str, str]) -> None:
        """Yes and Up are YES; where the outcomes have other names (teams), the first listed is YES, as on the venue."""
        if len(tokens) == 2:
            first, second = tokens.values()
            no_first = next(iter(tokens)) in NO_NAMES
            self._pair(card, *((second, first) if no_first else (first, second)))

    def _pair(self, card: Card, yes: str, no: str) -> None:
        if not card.yes_token:
            card.yes_token, card.no_token = yes, no

    def _rules(self, card: Card, note: Mapping[str, Any]) -> None:
        recorder = "up_token" in note
        tick, size = note.get("tick_size"), note.get("min_size")
        if recorder and isinstance(tick, int):
            card.tick = card.tick or plain(tick * Decimal("0.0001"))
        if recorder and isinstance(size, int):
            card.min_size = card.min_size or plain(size * Decimal("0.000001"))
        card.tick = card.tick or _decimal(note.get("order_price_min_tick_size") or note.get("orderPriceMinTickSize"))
        card.min_size = card.min_size or _decimal(note.get("orderMinSize") or note.get("order_min_size"))
        risk = note.get("neg_risk", note.get("negRisk"))
        card.neg_risk = risk if isinstance(risk, bool) and card.neg_risk is None else card.neg_risk
        fee = note.get("feeSchedule") or note.get("fee_schedule")
        if isinstance(fee, Mapping):
            card.fee_rate = card.fee_rate or _decimal(fee.get("rate"))


def _list(value: Any) -> list[Any]:
    """A list, or the JSON text of one (Gamma writes lists as text)."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return []
    return value if isinstance(value, list) else []


def _decimal(value: Any) -> str | None:
    """A number or numeric text as a minimal decimal; None where there is none."""
    return plain(decimal_of(value, "market metadata")) if value not in (None, "") else None
