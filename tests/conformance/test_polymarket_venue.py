from __future__ import annotations

from collections.abc import Mapping

import pytest

pytest.register_assert_rewrite("venue_suite")

from native_worlds import money_of  # noqa: E402
from polymarket_worlds import PolymarketMemory  # noqa: E402
from venue_suite import VenueSuite  # noqa: E402
from worlds import Tape  # noqa: E402

from execsim.core.instrument import Instrument  # noqa: E402
from execsim.kernel import warm_up  # noqa: E402
from execsim.ports import VenueProfile  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def kernel() -> None:
    warm_up()


class TestPolymarketInMemory(VenueSuite):
    def make(
        self, tape: Tape, instrument: Instrument, profile: VenueProfile, money: Mapping[str, int], sets: int, speed: int
    ) -> PolymarketMemory:
        return PolymarketMemory(tape, [instrument], money=money_of(instrument, money), sets=sets, profile=profile)
