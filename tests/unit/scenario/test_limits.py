"""`[venues.X.limits]`: tiers, rules of one's own, none; and what cannot be meant."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from execsim.core.errors import ConfigError
from execsim.core.limits import ALL, Bucket, Fixed, LimitRule, Sliding
from execsim.core.request import RequestKind
from execsim.ports import VenueProfile
from execsim.scenario.limits import Limits, limit_rules

SMALL, LARGE = (LimitRule(name, ALL, Fixed(5, 10)) for name in ("small", "large"))
PROFILE = VenueProfile(tiers={"small": (SMALL,), "large": (LARGE,)})


def rules(**section: Any) -> tuple[LimitRule, ...]:
    return limit_rules(Limits.model_validate(section), PROFILE, "venues.x.limits")


def test_the_profile_by_tier_or_nothing() -> None:
    assert rules() == (SMALL,)
    assert rules(tier="large") == (LARGE,)
    assert rules(off=True) == ()


def test_rules_of_ones_own() -> None:
    given = {
        "name": "mine", "kinds": ["place", "batch"], "rate": "2.5", "burst": 4, "cost": {"batch": 2}, "per_order": True,
        "max_delay_s": "0.5", "ban_after": 3, "ban_s": 2, "ban_max_s": 8,
    }  # fmt: skip
    other = {"name": "window", "kinds": ["cancel"], "n": 7, "per_s": 10, "scope": "ip", "tells_wait": False}
    mine, window, slides = rules(rules=[given, other, {**other, "name": "slides", "window": "sliding"}])
    assert (mine.meter, mine.max_delay_ns) == (Bucket("2.5", 4), 500_000_000)
    assert mine.tokens(RequestKind.BATCH, 2) == 4
    assert mine.ban is not None
    assert [mine.ban.length_ns(n) for n in range(4)] == [2 * 10**9, 4 * 10**9, 8 * 10**9, 8 * 10**9]
    assert (window.meter, window.scope, window.tells_wait) == (Fixed(7, 10**10), "ip", False)
    assert slides.meter == Sliding(7, 10**10)


RULE = {"name": "a", "kinds": ["place"], "n": 1, "per_s": 1}


@pytest.mark.parametrize(
    ("section", "what"),
    [
        ({"rules": [{"name": "a", "kinds": ["place"]}]}, "rate and burst"),
        ({"rules": [{**RULE, "rate": 1}]}, "rate and burst"),
        ({"rules": [{**RULE, "kinds": []}]}, "at least 1 item"),
        ({"rules": [{**RULE, "kinds": ["plase"]}]}, "'place'"),
        ({"rules": [RULE, RULE]}, "used twice"),
        ({"rules": [RULE], "tier": "small"}, "remove tier"),
        ({"off": True, "tier": "small"}, "off = true"),
        ({"tears": "small"}, "Extra inputs"),
    ],
)
def test_what_cannot_be_meant(section: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        Limits.model_validate(section)


def test_errors_name_the_place() -> None:
    with pytest.raises(ConfigError, match=r"venues\.x\.limits: tier 'huge'; there are: small, large"):
        rules(tier="huge")
    with pytest.raises(ConfigError, match=r"venues\.x\.limits: rate limit 'a': a request costs 5"):
        rules(rules=[{**RULE, "cost": {"place": 5}}])
