"""The venue's limits: who passes, who waits, who is refused and for how long."""

from __future__ import annotations

from dataclasses import replace

import pytest

from execsim.core.errors import ConfigError, RateLimitExceeded, VenueError
from execsim.core.fees import Liquidity
from execsim.core.limits import ALL, CANCELS, ORDERS, Ban, Bucket, Fixed, LimitRule, Sliding, Unfilled
from execsim.core.request import RequestKind
from execsim.exchange.limits import PASS, VenueLimits, Verdict
from execsim.ports import Budget, VenueProfile

PLACE, BATCH, CANCEL, QUERY = RequestKind.PLACE, RequestKind.BATCH, RequestKind.CANCEL, RequestKind.QUERY
ORDER_RULE = LimitRule("orders", ORDERS, Bucket("3", 1), per_order=True)


def limits(*rules: LimitRule, enforced: bool = True) -> VenueLimits:
    return VenueLimits("sim", VenueProfile(texts={"rate_limit": ("429", "easy")}), rules, enforced)


def wait_of(verdict: Verdict) -> int:
    """What a refusal says to wait; -1 for a pass."""
    if verdict.error is None:
        return -1
    assert isinstance(verdict.error, RateLimitExceeded)
    return verdict.error.retry_after_ns


def test_orders_and_cancels_are_counted_apart() -> None:
    venue = limits(ORDER_RULE, LimitRule("cancels", CANCELS, Bucket("0.5", 1)))
    assert venue.ask(PLACE, 0) == PASS
    refused = venue.ask(PLACE, 0)
    assert refused.error is not None
    assert refused.error.args == ("sim", "easy", 333_333_334)
    assert (refused.rule, refused.code) == ("orders", "429")
    assert venue.ask(CANCEL, 0) == PASS
    assert venue.ask(QUERY, 0) == PASS
    assert venue.hits == {"orders": 1, "cancels": 0}


def test_a_refused_request_costs_nothing_and_the_stated_wait_is_enough() -> None:
    venue = limits(ORDER_RULE)
    assert venue.ask(PLACE, 7) == PASS
    waits = [wait_of(venue.ask(PLACE, at)) for at in (8, 9)]
    assert waits[0] == waits[1] + 1
    assert venue.ask(PLACE, 9 + waits[1] - 1).error is not None
    assert venue.ask(PLACE, 9 + waits[1]) == PASS


def test_too_much_waits_in_order_and_then_is_refused() -> None:
    rule = LimitRule("window", ORDERS, Sliding(2, 100), max_delay_ns=150)
    venue = limits(rule)
    delays = [venue.ask(PLACE, 0).delay_ns for _ in range(4)]
    assert delays == [0, 0, 100, 100]
    refused = venue.ask(PLACE, 10)
    assert wait_of(refused) == 190
    assert venue.throttled == {"window": 2}
    assert venue.ask(PLACE, 60).delay_ns == 140  # within the delay again: behind those that wait
    assert venue.ask(PLACE, 10_000) == PASS


def test_a_batch_passes_whole_or_costs_nothing_anywhere() -> None:
    first = LimitRule("first", ORDERS, Sliding(4, 100), per_order=True)
    venue = limits(first, LimitRule("second", ORDERS, Sliding(3, 1_000), per_order=True))
    assert venue.ask(BATCH, 0, orders=3) == PASS
    assert wait_of(venue.ask(BATCH, 100, orders=2)) == 900
    assert venue.ask(BATCH, 1_000, orders=3) == PASS  # the refused batch left nothing behind in `first`
    never = venue.ask(BATCH, 9_000, orders=4)
    assert isinstance(never.error, VenueError)  # no wait helps
    assert "4 at once" in str(never.error)


def test_the_longest_wait_is_told_so_that_waiting_it_out_passes_every_rule() -> None:
    venue = limits(LimitRule("short", ORDERS, Fixed(1, 10)), LimitRule("long", ORDERS, Fixed(1, 100)))
    assert venue.ask(PLACE, 1) == PASS
    refused = venue.ask(PLACE, 2)
    assert (refused.rule, wait_of(refused)) == ("long", 98)
    assert venue.hits == {"short": 1, "long": 1}
    assert venue.ask(PLACE, 100) == PASS


def test_a_venue_may_not_say_when_to_come_back() -> None:
    venue = limits(replace(ORDER_RULE, tells_wait=False))
    venue.ask(PLACE, 0)
    assert wait_of(venue.ask(PLACE, 0)) == 0


def test_signers_and_addresses_are_counted_apart() -> None:
    venue = limits(ORDER_RULE, LimitRule("address", ALL, Fixed(2, 100), scope="ip"))
    assert venue.ask(PLACE, 0, signer="a", ip="x") == PASS
    assert venue.ask(PLACE, 0, signer="b", ip="x") == PASS
    assert venue.ask(PLACE, 0, signer="c", ip="x").rule == "address"
    assert venue.ask(PLACE, 0, signer="c", ip="y") == PASS


def test_costs_by_kind() -> None:
    venue = limits(LimitRule("weight", ALL, Fixed(10, 100), cost={QUERY: 4, CANCEL: 0}))
    assert [venue.ask(QUERY, 0).error for _ in range(2)] == [None, None]
    assert venue.ask(QUERY, 0).rule == "weight"
    assert all(venue.ask(CANCEL, 0) == PASS for _ in range(5))
    assert [venue.ask(PLACE, 0) == PASS for _ in range(3)] == [True, True, False]


def test_a_ban_shuts_everything_out_and_doubles() -> None:
    rule = LimitRule("weight", ORDERS, Fixed(1, 1_000), scope="ip", ban=Ban(2, 10_000, 30_000))
    venue = limits(rule)
    lengths = []
    now = 0
    for _ in range(4):
        assert venue.ask(PLACE, now) == PASS
        assert venue.ask(PLACE, now + 1).code == "429"
        banned = venue.ask(PLACE, now + 1)
        assert banned.code == "418"
        assert "418" in str(banned.error)
        lengths.append(wait_of(banned))
        assert venue.ask(CANCEL, now + 2).code == "418"  # a kind the rule does not count
        assert venue.ask(CANCEL, now + 2, ip="elsewhere") == PASS
        now += 1 + lengths[-1]
    assert lengths == [10_000, 20_000, 30_000, 30_000]


def test_letting_something_through_ends_a_row_of_violations() -> None:
    venue = limits(LimitRule("weight", ORDERS, Fixed(1, 10), ban=Ban(2, 100, 100)))
    for window in range(5):
        assert venue.ask(PLACE, window * 10) == PASS
        assert venue.ask(PLACE, window * 10).code == "429"


def test_what_is_refused_may_cost() -> None:
    venue = limits(replace(ORDER_RULE, meter=Sliding(1, 100), counts_refused=True))
    assert venue.ask(PLACE, 0) == PASS
    assert wait_of(venue.ask(PLACE, 60)) == 100  # the refused one counts from now
    assert venue.ask(PLACE, 120).error is not None
    assert venue.ask(PLACE, 220) == PASS


def test_fills_give_back_what_unfilled_orders_cost() -> None:
    unfilled = LimitRule("unfilled", ORDERS, Fixed(6, 100), per_order=True, unfilled=Unfilled(1, 5))
    venue = limits(unfilled)
    assert venue.counts_unfilled
    assert venue.ask(BATCH, 0, signer="a", orders=6) == PASS
    assert venue.ask(PLACE, 1, signer="a").error is not None
    venue.credit("b", 1, Liquidity.TAKER)
    assert venue.ask(PLACE, 1, signer="a").error is not None
    venue.credit("a", 1, Liquidity.TAKER)
    assert venue.ask(PLACE, 1, signer="a") == PASS
    venue.credit("a", 2, Liquidity.MAKER)
    assert [venue.ask(PLACE, 2, signer="a") == PASS for _ in range(6)] == [True] * 5 + [False]


def test_limits_that_only_warn_count_and_let_pass() -> None:
    venue = limits(ORDER_RULE, enforced=False)
    assert [venue.ask(PLACE, 0) for _ in range(3)] == [PASS] * 3
    assert venue.ask(BATCH, 0, orders=99) == PASS
    assert venue.hits == {"orders": 3}


def test_no_rules_limit_nothing() -> None:
    venue = limits()
    assert all(venue.ask(PLACE, 0) == PASS for _ in range(1_000))
    assert venue.hits == {}


def test_tiers() -> None:
    big = replace(ORDER_RULE, name="big")
    profile = VenueProfile(
        limits=(LimitRule("all", ALL, Fixed(9, 1)),), tiers={"small": (ORDER_RULE,), "large": (big,)}
    )
    assert [rule.name for rule in VenueLimits("sim", profile).rules] == ["all", "orders"]
    assert [rule.name for rule in profile.rules("large")] == ["all", "big"]
    with pytest.raises(ConfigError, match="small, large"):
        profile.rules("huge")


@pytest.mark.parametrize(
    ("what", "wrong"),
    [
        ("no kind", lambda: LimitRule("x", frozenset(), Fixed(1, 1))),
        ("negative", lambda: LimitRule("x", ALL, Fixed(1, 1), cost_default=-1)),
        ("costs 9", lambda: LimitRule("x", ALL, Fixed(5, 1), cost={PLACE: 9})),
        ("positive", lambda: LimitRule("x", ALL, Bucket("0", 1))),
        ("in order", lambda: Ban(1, 5, 4)),
    ],
)
def test_rules_that_make_no_sense(what: str, wrong: object) -> None:
    with pytest.raises(ConfigError, match=what):
        wrong()  # type: ignore[operator]


def test_a_rule_may_be_of_some_calls_only() -> None:
    venue = limits(
        LimitRule("books", frozenset({QUERY}), Sliding(1, 100), scope="ip", topics=frozenset({"book", "books"}))
    )
    assert venue.ask(QUERY, 0, ip="a", topic="book") == PASS
    assert wait_of(venue.ask(QUERY, 0, ip="a", topic="books")) == 100
    assert venue.ask(QUERY, 0, ip="a", topic="time") == venue.ask(QUERY, 0, ip="a") == PASS
    assert venue.ask(QUERY, 0, ip="b", topic="book") == PASS


def test_a_signer_is_told_what_is_left() -> None:
    venue = VenueLimits(
        "sim", VenueProfile(), (ORDER_RULE, LimitRule("address", ALL, Sliding(1, 9), scope="ip")), tier="gold"
    )
    assert venue.budget(CANCEL, 0, "a") is None  # no rule of his own counts cancels
    assert venue.budget(PLACE, 0, "a") == Budget(1, 0, "gold", False)
    assert venue.ask(PLACE, 0, signer="a", ip="a") == PASS
    assert venue.budget(PLACE, 0, "a") == Budget(0, 333_333_334, "gold", False)
    assert venue.budget(PLACE, 0, "b") == Budget(1, 0, "gold", False)


def test_what_is_tolerated_is_said() -> None:
    venue = limits(ORDER_RULE, enforced=False)
    assert venue.ask(PLACE, 0, signer="a") == venue.ask(PLACE, 0, signer="a") == PASS
    budget = venue.budget(PLACE, 0, "a")
    assert budget is not None
    assert budget.tolerated
    assert venue.ask(PLACE, 10**9, signer="a") == PASS
    budget = venue.budget(PLACE, 10**9, "a")
    assert budget is not None
    assert not budget.tolerated
