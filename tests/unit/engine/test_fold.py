"""What a fold refuses, and that it knows every row there is; that it is right is tested wherever an engine runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from execsim.core.errors import JournalError
from execsim.engine import records
from execsim.engine.fold import KNOWN_KINDS, fold
from execsim.engine.notes import Opening, market_text, read_market, read_notes
from execsim.ports import JournalRow

ROOT = Path(__file__).resolve().parents[3]
ORDER = {
    "venue": "polymarket", "market": "rain", "side": "buy", "type": "limit", "tif": "gtc", "outcome": "yes",
    "size_lots": 10, "quote_units": None, "price_i": 5_000, "expire_ns": None, "created_ns": 1, "tag": "", "owner": "me",
}  # fmt: skip


def kinds_in(text: str) -> set[str]:
    """Row kinds at the head of the lines of a table of them."""
    table = text.split("kind          body\n")[1]
    heads = re.findall(r"^((?:[a-z_]+ )*[a-z_]+) (?: |reason)", table, re.M) + re.findall(
        r"   (amend_refuse)   ", table
    )
    return {kind for head in heads for kind in head.split()}


def test_it_knows_every_kind_of_row_and_so_do_the_docs() -> None:
    assert kinds_in(str(records.__doc__)) == set(KNOWN_KINDS)
    page = (ROOT / "docs" / "journal.md").read_text()
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    assert set(KNOWN_KINDS) <= {kind for row in rows for kind in re.findall(r"`([a-z_]+)`", row)}


@pytest.mark.parametrize(
    ("row", "what"),
    [
        (JournalRow(1, 0, "dance", "", {}), r"row 1 \(dance\) cannot be: ValueError: this execsim knows no such row"),
        (
            JournalRow(2, 0, "ack", "o-1", {}),
            r"row 2 \(ack\) cannot be: ValueError: order o-1 has no intent before this row",
        ),
        (JournalRow(3, 0, "intent", "o-1", {"market": "rain"}), r"row 3 \(intent\) cannot be: KeyError: 'side'"),
        (
            JournalRow(4, 0, "intent", "o-1", ORDER | {"market": "snow"}),
            r"row 4 \(intent\) cannot be: KeyError: 'snow'",
        ),
    ],
)
def test_a_row_that_cannot_be_is_named(rig: Any, row: JournalRow, what: str) -> None:
    with pytest.raises(JournalError, match=rf"somewhere; {what}"):
        fold([row], {"rain": rig.market}, where="somewhere")


def test_a_step_against_the_table_is_named(rig: Any) -> None:
    rows = [JournalRow(1, 5, "intent", "o-1", ORDER), JournalRow(2, 6, "absent", "o-1", {"reason": "never"})]
    with pytest.raises(
        JournalError, match=r"row 2 \(absent\) cannot be: order o-1: absent is impossible in state submitting"
    ):
        fold(rows, {"rain": rig.market})


def test_it_tells_which_ids_were_used_and_where_the_record_ends(rig: Any) -> None:
    rows = [JournalRow(n, 10 * n, "intent", f"{prefix}-{n}", ORDER) for n, prefix in ((1, "aa"), (7, "aa"), (8, "bb"))]
    folded = fold([*rows, JournalRow(9, 99, "intent", "by hand", ORDER)], {"rain": rig.market})
    assert folded.ids == {"aa": 7, "bb": 8}
    assert (folded.rows, folded.last_ns) == (9, 99)
    assert folded.tracker.open_lots("rain") == (40, 0)


def test_orders_of_markets_we_do_not_trade_are_counted_apart(rig: Any) -> None:
    refused = ORDER | {"market": "snow", "by": "ours", "error": "ValidationError", "reason": "no such market"}
    folded = fold([JournalRow(1, 0, "refuse", "o-1", refused)], {"rain": rig.market})
    assert (folded.foreign, folded.tracker.count()) == (1, 0)


def test_markets_come_back_from_their_notes(rig: Any) -> None:
    for instrument in (rig.market, rig.spot):
        assert market_text(read_market(market_text(instrument))) == market_text(instrument)
    assert read_market(market_text(rig.market)) == rig.market
    opening = Opening({"USDC": 5}, {"rain": 7})
    assert read_notes({"market rain": market_text(rig.market), "opening": opening.text(), "other": "x"}, "j") == (
        {"rain": rig.market},
        opening,
    )
    with pytest.raises(JournalError, match=r"j; note 'market rain' cannot be read: KeyError 'base'"):
        read_notes({"market rain": "{}"}, "j")
