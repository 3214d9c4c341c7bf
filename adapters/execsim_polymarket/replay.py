"""Second pass: one market's messages become tape rows on one canonical (YES-side) book.

Both tokens' books are kept in the venue's own strings, so that each message's hash can be checked on its own token. One of
them leads: YES where it has data and its book is right, else NO as 1 - p with the side flipped. The other is a mirror:
compared, then dropped.

    message -> own token's book -> hash, best prices, mirror -> does it lead? -> diff against the canonical book -> rows

There is no sequence number, so two things tell of lost messages:
  hash   the leading token's change hash fails: a gap from the message before, until a full book comes or a later hash
         proves a book right.
  quiet  no message of the market for longer than max(gap_s, 20 x the median interval between its distinct message times):
         a gap from the last message before (+1 ns), closed by the next full book. gap_s = 0 turns this off.
         If instead a price_change comes whose hash verifies (best prices, where the recording has no hashes), nothing was
         lost and there is no gap.
A recorder that lost the connection says so (`lose`): a gap from the last message on.
A gap closes with a SNAPSHOT flagged RESYNC. A price change of a token without a full book is counted and dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from execsim.core.errors import ValidationError
from execsim.core.units import decimal_of, plain
from execsim.tape.schema import NO_TIME, RowBuffer, RowSink, SideCode
from execsim_polymarket.book import Given, HashTerms, Scale, TokenBook, last_text, size_text
from execsim_polymarket.canon import HELD_MAX, At, Canon
from execsim_polymarket.inference import Print
from execsim_polymarket.survey import Plan, changes_of

SEEN_MAX: Final = 1_024
"""Messages and trades a market remembers to recognise copies; a copy later than that is imported again."""


class _Entry(NamedTuple):
    """One entry of a price_change, read and checked."""

    asset: str
    bid: bool
    price_i: int
    size: str
    gone: bool
    hash: str
    best: tuple[Any, Any]


class _Recent:
    """The last SEEN_MAX keys and what was noted of each."""

    def __init__(self) -> None:
        self._notes: dict[Any, str] = {}
        self._order: deque[Any] = deque()

    def note(self, key: Any, text: str = "") -> str | None:
        """Remember a key; returns what was noted of it before, None if it is new."""
        known = self._notes.get(key)
        if known is None:
            self._order.append(key)
            self._notes[key] = text
            if len(self._order) > SEEN_MAX:
                del self._notes[self._order.popleft()]
        return known


class MarketReplay:
    """State of one market through the recording. Feed its messages in order, then `finish`.

    `infer_trades`: the recording has no trade messages; they are inferred. `unverifiable` counts hashes that could be
    neither confirmed nor refuted. Errors of every method: KeyError, TypeError, ValueError or
    ValidationError for a message that lacks a field or holds a bad number; the importer names the line.
    """

    def __init__(self, plan: Plan, scale: Scale, sink: RowSink, *, infer_trades: bool) -> None:
        card = plan.card
        self.plan = plan
        self.unverifiable = 0
        self._scale = scale
        self._sink = sink
        self._yes, self._no = TokenBook(card.yes_token), TokenBook(card.no_token)
        self._terms = HashTerms(card.tick, None, card.min_size or "5", bool(card.neg_risk))
        self._canon = Canon(plan, scale, sink, self._terms, infer_trades=infer_trades)
        self._lead: TokenBook | None = None
        """whose book the canonical one equals; None until the first full book"""
        self._seen, self._trades = _Recent(), _Recent()
        self._last = At(NO_TIME, NO_TIME, NO_TIME)

    @property
    def inferred(self) -> int:
        """Trades inferred so far."""
        return self._canon.inferred

    def book(self, frame: Mapping[str, Any], at: At, given: Given, rows: RowBuffer) -> None:
        """A full book of one token. `given`: what the row says beside the frame."""
        token = self._token(str(frame["asset_id"]))
        if token is None:
            return
        stamp, want = str(frame.get("timestamp") or ""), str(frame.get("hash") or "")
        levels = frame.get("bids") or (), frame.get("asks") or ()
        bids, asks = self._scale.side(levels[0]), self._scale.side(levels[1])
        copy = bool(want) and self._seen.note((token.asset, stamp, want)) is not None
        target = TokenBook(token.asset) if copy else token
        target.replace(bids, asks, stamp)
        target.proven = self._check_hash("book_hash", target, stamp, want, _stated(frame, given)) is True
        if copy:
            self._sink.defect("duplicate_frame")
            return
        self._clean(token, len(levels[0]) + len(levels[1]))
        self._compare_books(token)
        self._hear(at)
        if self._leader(at, (token.asset,)) is token:
            self._publish(token, at, rows)

    def change(self, frame: Mapping[str, Any], at: At, given: Given, rows: RowBuffer) -> None:
        """A price_change: new totals of single levels, of one token or of both."""
        stamp = str(frame.get("timestamp") or "")
        entries = [self._entry(item) for item in changes_of(frame)]
        hashes = tuple((entry.asset, entry.hash) for entry in entries)
        if any(entry.hash for entry in entries) and self._seen.note((stamp, hashes)) is not None:
            self._sink.defect("duplicate_frame")
            return
        self._compare_entries(entries)
        proof = self._apply(entries, stamp, given)
        before = self._last
        self._hear(at)
        if not proof:
            if not (self._yes.known or self._no.known):
                self._sink.defect("change_before_book")
            return
        self._judge(proof, before, at, rows)
        leader = self._leader(at, proof)
        if leader is None or leader.asset not in proof:
            return
        if leader is not self._lead or self._canon.in_gap:
            self._publish(leader, at, rows)
        else:
            self._publish_levels([entry for entry in entries if entry.asset == leader.asset], at, rows)

    def trade(self, frame: Mapping[str, Any], at: At, rows: RowBuffer) -> None:
        """A last_trade_price message. The taker's side; a buyer of NO is a seller of YES."""
        token = self._token(str(frame["asset_id"]))
        if token is None:
            return
        price_i, lots = self._scale.prices[frame["price"]], self._scale.lots(size_text(frame["size"]))
        on_no, side = token is self._no, str(frame.get("side") or "").upper()
        canonical_i = self._scale.one_i - price_i if on_no else price_i
        copy = self._known_trade(str(frame.get("transaction_hash") or ""), token, canonical_i, lots, at)
        if copy:
            self._sink.defect(copy)
            return
        self._hear(at)
        self._terms.last = last_text(frame["price"])
        buys = SideCode.ASK if on_no else SideCode.BID
        aggressor = {"BUY": buys, "SELL": SideCode(-buys)}.get(side, SideCode.NONE)
        self._canon.trade(Print(canonical_i, lots, aggressor, on_no), at, rows)
        if self._canon.held > HELD_MAX:
            self._open_gap(at, "quiet", rows)

    def tick(self, frame: Mapping[str, Any], at: At, rows: RowBuffer) -> None:
        """A tick_size_change message; both tokens send it, the second changes nothing."""
        tick = plain(decimal_of(frame["new_tick_size"], "new_tick_size"))
        self._hear(at)
        self._terms.tick = tick
        self._canon.tick(tick, at, rows)

    def resolve(self, payoff: str, at: At, rows: RowBuffer) -> None:
        """The market pays `payoff` for a YES share."""
        self._canon.resolve(payoff, at, rows)

    def lose(self, why: str, rows: RowBuffer) -> None:
        """The recorder lost the channel after the last message: a gap until the next full book, also if that is one that was
        heard before."""
        self._seen = _Recent()
        for token in (self._yes, self._no):
            token.known = token.trusted = False
            token.book_ts = ""
        last = self._canon.suspected or self._last
        if self._lead is not None and not self._canon.in_gap:
            after = At(*(at if at == NO_TIME else at + 1 for at in last))
            self._canon.open_gap(last, after, why, rows)

    def finish(self, rows: RowBuffer) -> None:
        """End of the recording: an undecided quiet spell is a gap, an open gap ends at the last message."""
        self._canon.finish(self._last, rows)

    def _known_trade(self, transaction: str, token: TokenBook, canonical_i: int, lots: int, at: At) -> str:
        """The defect a repeated trade is: the same message again, or the other token's report of it; "" for a new one."""
        if not transaction:
            return ""
        trade = transaction, canonical_i, lots
        if self._trades.note(trade, token.asset) not in (None, token.asset):
            return "trade_on_both_tokens"
        return "" if self._trades.note((*trade, at.venue_ns)) is None else "duplicate_frame"

    def _token(self, asset: str) -> TokenBook | None:
        if asset == self._yes.asset:
            return self._yes
        if asset == self._no.asset:
            return self._no
        self._sink.defect("unknown_token")
        return None

    def _leader(self, at: At, touched: Collection[str]) -> TokenBook | None:
        """Who leads after a message that touched these tokens; None if no right book is left."""
        no_ready = self._no.trusted and self._no.asset in touched
        if self._yes.trusted and (not no_ready or self.plan.yes_speaks(at.ns)):
            return self._yes
        if no_ready or (self._no.trusted and self._lead is self._no):
            return self._no
        return None

    def _hear(self, at: At) -> None:
        """Note that a message came; a long quiet before it becomes a suspicion."""
        if at.ns == NO_TIME:
            return
        quiet, last = self.plan.quiet_ns, self._last
        if quiet and last.ns != NO_TIME and at.ns - last.ns > quiet and self._lead is not None:
            self._canon.suspect(last)
        if at.ns >= last.ns:
            self._last = at

    def _entry(self, item: Mapping[str, Any]) -> _Entry:
        side = str(item["side"]).upper()
        if side not in ("BUY", "SELL"):
            raise ValidationError("side", f"{item['side']!r} is neither BUY nor SELL")
        size = size_text(item["size"])
        best = item.get("best_bid"), item.get("best_ask")
        gone = self._scale.lots(size) == 0
        want = str(item.get("hash") or "")
        return _Entry(str(item["asset_id"]), side == "BUY", self._scale.prices[item["price"]], size, gone, want, best)

    def _apply(self, entries: Sequence[_Entry], stamp: str, given: Given) -> dict[str, bool | None]:
        """Put the entries into their tokens' books; returns what is proven of each touched token.

        A hash, and the best prices, are of the book after its own entry; where one message changes a token several times,
        after all of them too.
        """
        proof: dict[str, bool | None] = {}
        later: list[tuple[TokenBook, str]] = []
        unlike: list[tuple[TokenBook, _Entry]] = []
        for at, entry in enumerate(entries):
            token = self._token(entry.asset)
            if token is None or not token.known:
                continue
            token.apply(entry.bid, entry.price_i, entry.size, entry.gone)
            best = self._fits_best(token, entry)
            last = all(other.asset != entry.asset for other in entries[at + 1 :])
            if best is False and not last:
                unlike.append((token, entry))
            elif best is not None:
                self._sink.check("best_price", best)
            if not entry.hash:
                proof[token.asset] = best or None
            elif last:
                proof[token.asset] = self._check_hash("change_hash", token, stamp, entry.hash, given)
            elif self._terms.verify(self._head(token, stamp), entry.hash, given, 0):
                self._sink.check("change_hash", True)
            else:
                later.append((token, entry.hash))
        for token, entry in unlike:
            self._sink.check("best_price", self._fits_best(token, entry) is True)
        for token, want in later:
            self._check_hash("change_hash", token, stamp, want, given)
        return proof

    def _judge(self, proof: Mapping[str, bool | None], before: At, at: At, rows: RowBuffer) -> None:
        """Trust or distrust the touched books; open a gap where the canonical book can no longer be believed."""
        quiet = self._canon.suspected
        proven = [token for token in (self._yes, self._no) if proof.get(token.asset)]
        if quiet is not None and not proven:
            self._open_gap(at, "quiet", rows)
        elif quiet is not None:
            self._canon.acquit(rows)
        elif self._lead is not None and not self._canon.in_gap and proof.get(self._lead.asset) is False:
            self._open_gap(at, "hash", rows, before)
        for token in (self._yes, self._no):
            doubted = proof.get(token.asset) is False or quiet is not None
            token.trusted = token in proven or (token.trusted and not doubted)

    def _publish(self, token: TokenBook, at: At, rows: RowBuffer) -> None:
        """Make the canonical book equal to this token's."""
        if token is self._yes:
            book = dict(token.bids), dict(token.asks)
        else:
            book = token.mirror(self._scale.one_i)
            self._yes.trusted = False  # NO leads because YES is silent: until YES is proven or told anew, it is old
        if self._canon.suspected is not None:
            self._open_gap(at, "quiet", rows)
            token.trusted = True
        self._canon.show(book, at, rows)
        self._lead = token

    def _publish_levels(self, entries: Sequence[_Entry], at: At, rows: RowBuffer) -> None:
        """Single levels of the leading token."""
        one_i, flip = self._scale.one_i, self._lead is self._no
        levels = []
        for entry in entries:
            bid, price_i = (not entry.bid, one_i - entry.price_i) if flip else (entry.bid, entry.price_i)
            levels.append((SideCode.BID if bid else SideCode.ASK, price_i, "0" if entry.gone else entry.size))
        self._canon.set(levels, at, rows)

    def _open_gap(self, at: At, why: str, rows: RowBuffer, last: At | None = None) -> None:
        """No token is trusted until a full book or a proven hash. `last`: the last message before, if not the suspected."""
        self._yes.trusted = self._no.trusted = False
        self._canon.open_gap(last or self._canon.suspected or at, at, why, rows)

    def _check_hash(self, name: str, token: TokenBook, stamp: str, want: str, given: Given) -> bool | None:
        """Check one hash and count it; None where there is none or it cannot be told."""
        terms = self._terms
        ok = terms.verify(self._head(token, stamp), want, given) if want else None
        terms.tick = given.tick if given.tick is not None else terms.tick
        terms.last = given.last if given.last is not None else terms.last
        if ok is not None:
            self._sink.check(name, ok)
        elif want:
            self.unverifiable += 1
        return ok

    def _head(self, token: TokenBook, stamp: str) -> str:
        return token.head(self.plan.card.market, stamp, self._scale.heads)

    def _fits_best(self, token: TokenBook, entry: _Entry) -> bool | None:
        """Compare the venue's best prices with the book after the entry; an empty side is "", "0" or "1"."""
        if entry.best[0] is None or entry.best[1] is None:
            return None
        prices = self._scale.prices
        ok = True
        for told, own in (
            (entry.best[0], max(token.bids, default=None)),
            (entry.best[1], min(token.asks, default=None)),
        ):
            empty = told == "" or decimal_of(told, "best price") in (0, 1)
            ok = ok and (own is None if empty else own == prices[told])
        return ok

    def _compare_books(self, token: TokenBook) -> None:
        """Two full books of one instant must mirror each other.

        Where both are proven by their hashes and differ, the venue changed twice in that millisecond and the recording
        holds one message of each: a defect of the recording, not of the mirror.
        """
        other = self._no if token is self._yes else self._yes
        if not token.book_ts or other.book_ts != token.book_ts:
            return
        same = other.mirror(self._scale.one_i) == (token.bids, token.asks)
        if not same and token.proven and other.proven:
            self._sink.defect("mirror_same_ms")
        else:
            self._sink.check("mirror", same)

    def _compare_entries(self, entries: Sequence[_Entry]) -> None:
        """Within a message that holds both tokens, each NO entry must mirror a YES entry."""
        yes = {(entry.bid, entry.price_i, entry.size) for entry in entries if entry.asset == self._yes.asset}
        if yes:
            for entry in entries:
                if entry.asset == self._no.asset:
                    self._sink.check("mirror", (not entry.bid, self._scale.one_i - entry.price_i, entry.size) in yes)

    def _clean(self, token: TokenBook, levels: int) -> None:
        """Count what a full book should not hold, and drop levels of size 0."""
        if levels > len(token.bids) + len(token.asks):
            self._sink.defect("duplicate_level", levels - len(token.bids) - len(token.asks))
        for side in (token.bids, token.asks):
            if "0" in side.values():
                empty = [price_i for price_i, size in side.items() if size == "0"]
                self._sink.defect("zero_size_level", len(empty))
                for price_i in empty:
                    del side[price_i]


def _stated(frame: Mapping[str, Any], given: Given) -> Given:
    """What a full book itself says about the hashed terms, completed by what its row says."""
    tick, last, size = (frame.get(key) for key in ("tick_size", "last_trade_price", "min_order_size"))
    if tick is None and last is None and size is None:
        return given
    risk = frame.get("neg_risk")
    return Given(
        given.tick if tick is None else str(tick),
        given.last if last is None else str(last),
        given.min_size if size is None else str(size),
        risk if isinstance(risk, bool) else given.neg_risk,
    )
