"""The preflight in virtual time: what ends a session before it begins, judged by what will be traded."""

from __future__ import annotations

from typing import Any

import pytest
from polymarket_news import CID, START_NS
from polymarket_peer import NEG_RISK, STANDARD, V3, PeerVenue
from polymarket_script import said

from execsim.runtime import VirtualRuntime
from execsim_polymarket.live import Preflight

OF_CTF = (1 << 255) // 7
OF_V3 = 111
FREE = said(200, {"blocked": False, "ip": "", "country": "CH", "region": "ZH"})


class Scene:
    """A venue that is not on this machine."""

    def __init__(self) -> None:
        self.runtime = VirtualRuntime(7, START_NS)
        self.venue = PeerVenue()
        self.venue.runtime = self.runtime
        self.venue.refuse["GET /api/geoblock"] = [FREE]

    def looked(self, **markets: str) -> dict[str, str]:
        """check -> grade"""
        known = {"identity": self.venue.identity(), "markets": markets}
        preflight = Preflight(known, self.venue.transport(), self.runtime, local=False)
        found: Any = self.runtime.run(main=preflight.run())
        return {finding.check: finding.grade for finding in found}


def failed(grades: dict[str, str]) -> list[str]:
    return [check for check, grade in grades.items() if grade == "fail"]


def test_all_is_well() -> None:
    grades = Scene().looked(rain=CID)
    assert set(grades.values()) == {"ok"}
    assert {"geoblock", "markets", "allowances", "limits"} <= set(grades)


@pytest.mark.parametrize("status", [403, 500])
def test_where_nobody_knows_of_a_block_nothing_is_traded(status: int) -> None:
    scene = Scene()
    scene.venue.refuse["GET /api/geoblock"] = [said(status, {})]
    assert failed(scene.looked()) == ["geoblock"]


def test_a_refused_look_at_the_limits_is_no_ok() -> None:
    scene = Scene()
    # the first question for orders is that for open ones
    scene.venue.refuse["GET /data/orders"] = [
        said(200, {"data": [], "next_cursor": "LTE="}),
        said(403, {"error": "no"}),
    ]
    assert failed(scene.looked()) == ["limits"]


def test_a_market_that_is_not_listed() -> None:
    scene = Scene()
    scene.venue.refuse[f"GET /clob-markets/{CID}"] = [said(404, {"error": "market not found"})]
    assert failed(scene.looked(rain=CID)) == ["markets"]


@pytest.mark.parametrize(
    ("token", "neg_risk", "spenders", "grade"),
    [
        (OF_CTF, False, [STANDARD], "ok"),
        (OF_CTF, False, [NEG_RISK, V3], "fail"),
        (OF_CTF, True, [NEG_RISK], "ok"),
        (OF_CTF, True, [STANDARD, V3], "fail"),
        (OF_V3, False, [V3], "ok"),
        (OF_V3, False, [STANDARD, NEG_RISK], "fail"),
    ],
)
def test_the_exchange_of_the_market_must_be_allowed(
    token: int, neg_risk: bool, spenders: list[str], grade: str
) -> None:
    scene = Scene()
    tokens = [{"t": str(token), "o": "Yes"}, {"t": str(token + 1), "o": "No"}]
    scene.venue.market.update(nr=neg_risk, t=tokens)
    scene.venue.spenders = spenders
    assert scene.looked(rain=CID)["allowances"] == grade


@pytest.mark.parametrize(
    ("spenders", "grade"), [([STANDARD, NEG_RISK, V3], "ok"), ([STANDARD, NEG_RISK], "warn"), ([], "fail")]
)
def test_without_a_market_every_exchange_is_looked_at(spenders: list[str], grade: str) -> None:
    scene = Scene()
    scene.venue.spenders = spenders
    assert scene.looked()["allowances"] == grade
