"""The venue's own rate limits, kept as the venue keeps them: rules are counted on arrival, and say pass, wait or no.

A request passes all its rules or costs nothing anywhere (but where a venue counts what it refuses). A rule that delays
counts a request for the time it lets it through, in order of arrival; several that delay count it each at its own time.
"""

from __future__ import annotations

from dataclasses import dataclass

from execsim.core.errors import ExecError, RateLimitExceeded, VenueError
from execsim.core.fees import Liquidity
from execsim.core.limits import LimitRule, Meter
from execsim.core.request import RequestKind
from execsim.ports import Budget, VenueProfile


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the door says: refused with `error` (and `code`, by `rule`), or let through after `delay_ns`."""

    delay_ns: int = 0
    error: ExecError | None = None
    rule: str = ""
    code: str = ""


PASS = Verdict()


@dataclass(slots=True)
class Count:
    """One rule's count for one signer or address. `last_ns`: the latest instant something was let through for."""

    rule: LimitRule
    meter: Meter
    last_ns: int = 0
    strikes: int = 0
    bans: int = 0

    def wait_ns(self, now_ns: int, tokens: int) -> int:
        """How long a request that has just arrived has to wait, behind those that wait already."""
        at_ns = max(now_ns, self.last_ns)
        return at_ns - now_ns + self.meter.wait_ns(at_ns, tokens)

    def pass_at(self, at_ns: int, tokens: int) -> None:
        self.last_ns = max(at_ns, self.last_ns)
        self.meter.force(self.last_ns, tokens)
        self.strikes = 0


class VenueLimits:
    """Counts requests on arrival. `rules`: instead of the profile's; `enforced` False: everything passes and is counted
    (Polymarket's warning mode). Times are the venue's, ns, not decreasing."""

    def __init__(
        self, venue: str, profile: VenueProfile, rules: tuple[LimitRule, ...] | None = None, enforced: bool = True,
        tier: str = "",
    ) -> None:  # fmt: skip
        self._venue = venue
        self._text = profile.texts.get("rate_limit", ("429", "Too Many Requests"))[1]
        self.rules = profile.rules() if rules is None else rules
        self.enforced = enforced
        self.tier = tier
        """whose rules these are, where the venue has tiers"""
        self.counts_unfilled = any(rule.unfilled is not None for rule in self.rules)
        """whether fills have to be told (`credit`)"""
        self.hits = {rule.name: 0 for rule in self.rules}
        """requests refused, by rule (where limits are not enforced: that would have been)"""
        self.throttled = {rule.name: 0 for rule in self.rules if rule.max_delay_ns}
        """requests a rule made wait"""
        self._counts: dict[tuple[int, str], Count] = {}
        self._tolerated: dict[tuple[str, RequestKind], bool] = {}
        self._banned: dict[tuple[str, str], tuple[int, LimitRule]] = {}

    def ask(
        self, kind: RequestKind, now_ns: int, *, signer: str = "", ip: str = "", orders: int = 1, topic: str = ""
    ) -> Verdict:
        """Judge a request that carries `orders` orders; what passes is counted. `topic`: which call it is, if rules know."""
        if not self.rules:
            return PASS
        who = {"signer": signer, "ip": ip}
        banned = self._is_banned(who, now_ns)
        if banned is not None:
            return banned
        asked: list[tuple[Count, int, int]] = []
        over: list[tuple[Count, int, int]] = []
        for index, rule in enumerate(self.rules):
            tokens = rule.tokens(kind, orders)
            if not tokens or (rule.topics and topic not in rule.topics):
                continue
            if tokens > rule.meter.most:
                return self._never(rule, tokens)
            count = self._count(index, rule, who[rule.scope])
            wait_ns = count.wait_ns(now_ns, tokens)
            (over if wait_ns > rule.max_delay_ns else asked).append((count, tokens, wait_ns))
        self._tolerated[signer, kind] = bool(over) and not self.enforced
        if over:
            verdict = self._refuse(over, who, now_ns)
            if verdict is not None:
                return verdict
        delay_ns = 0
        for count, tokens, wait_ns in asked:
            count.pass_at(now_ns + wait_ns, tokens)
            if wait_ns:
                self.throttled[count.rule.name] += 1
                delay_ns = max(delay_ns, wait_ns)
        return Verdict(delay_ns) if delay_ns and self.enforced else PASS

    def budget(self, kind: RequestKind, now_ns: int, signer: str) -> Budget | None:
        """What the signer's own rules leave it for requests of a kind; None where it has none."""
        mine = [
            self._count(index, rule, signer)
            for index, rule in enumerate(self.rules)
            if rule.scope == "signer" and rule.tokens(kind, 1)
        ]
        if not mine:
            return None
        at_ns = [max(now_ns, count.last_ns) for count in mine]
        left = min(count.meter.left(at) for count, at in zip(mine, at_ns, strict=True))
        wait_ns = max(count.wait_ns(now_ns, count.rule.tokens(kind, 1)) for count in mine)
        return Budget(left, wait_ns, self.tier, self._tolerated.get((signer, kind), False))

    def credit(self, signer: str, now_ns: int, liquidity: Liquidity) -> None:
        """An order of the signer had its first fill of this kind: rules that count unfilled orders give tokens back."""
        for index, rule in enumerate(self.rules):
            if rule.unfilled is not None:
                maker = liquidity is Liquidity.MAKER
                tokens = rule.unfilled.maker if maker else rule.unfilled.taker
                self._count(index, rule, signer).meter.credit(now_ns, tokens)

    # ---------------------------------------------------------------- counting
    def _count(self, index: int, rule: LimitRule, key: str) -> Count:
        count = self._counts.get((index, key))
        if count is None:
            count = self._counts[index, key] = Count(rule, rule.meter.meter())
        return count

    def _refuse(self, over: list[tuple[Count, int, int]], who: dict[str, str], now_ns: int) -> Verdict | None:
        """Too much for these rules: the longest wait is the answer, so that whoever waits it out passes all of them."""
        for count, tokens, _ in over:
            self.hits[count.rule.name] += 1
            if count.rule.counts_refused:
                count.meter.force(max(now_ns, count.last_ns), tokens)
        if not self.enforced:
            return None
        for count, _, _ in over:
            ban = count.rule.ban
            count.strikes += 1
            if ban is not None and count.strikes >= ban.after:
                until_ns = now_ns + ban.length_ns(count.bans)
                count.strikes, count.bans = 0, count.bans + 1
                self._banned[count.rule.scope, who[count.rule.scope]] = (until_ns, count.rule)
        banned = self._is_banned(who, now_ns)
        if banned is not None:
            return banned
        count, tokens, _ = max(over, key=lambda one: one[2])
        rule = count.rule
        wait_ns = count.wait_ns(now_ns, tokens) if rule.tells_wait else 0
        return Verdict(0, RateLimitExceeded(self._venue, rule.text or self._text, wait_ns), rule.name, rule.code)

    def _is_banned(self, who: dict[str, str], now_ns: int) -> Verdict | None:
        for scope, key in who.items():
            until_ns, rule = self._banned.get((scope, key), (0, None))
            if rule is not None and rule.ban is not None and now_ns < until_ns:
                text = f"{rule.ban.code} {rule.ban.text}"
                return Verdict(0, RateLimitExceeded(self._venue, text, until_ns - now_ns), rule.name, rule.ban.code)
        return None

    def _never(self, rule: LimitRule, tokens: int) -> Verdict:
        """A batch that no wait makes small enough: not an error to come back with."""
        self.hits[rule.name] += 1
        if not self.enforced:
            return PASS
        text = f"{rule.text or self._text} ({tokens} at once; the limit is {rule.meter})"
        return Verdict(0, VenueError(self._venue, rule.code, text), rule.name, rule.code)
