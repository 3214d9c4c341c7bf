"""What the recorder writes in virtual time, and what the importer makes of its gaps."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from polymarket_news import CID, NO, START_NS, YES
from polymarket_script import ScriptedVenue, said

from execsim.core.errors import ConfigError, VenueError
from execsim.core.units import NS_PER_S
from execsim.runtime import VirtualRuntime
from execsim.tape.schema import Flag, Kind
from execsim.testing import MemorySink
from execsim_polymarket.archive import PolymarketFrames
from execsim_polymarket.recorder import MARKETS_MAX, RENEW_NS, record

S = NS_PER_S
Script = Callable[["World"], Coroutine[Any, Any, None]]


class World:
    """A scripted venue and the lines of a recording of it."""

    def __init__(self) -> None:
        self.runtime = VirtualRuntime(7, START_NS)
        self.server = ScriptedVenue(self.runtime)
        self.lines: list[bytes] = []

    def run(self, script: Script, *markets: str) -> World:
        async def main() -> None:
            work = record(markets or (CID,), self.server.transport(), self.runtime, self.lines.append)
            task = self.runtime.spawn(work, "record")
            await self.runtime.sleep(S)
            await script(self)
            task.cancel()
            await task.join()

        self.runtime.run(main=main())
        return self

    @property
    def notes(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]

    @property
    def gaps(self) -> list[tuple[str, list[str] | None]]:
        return [(note["gap"], note.get("of")) for note in self.notes if "gap" in note]

    def imported(self, folder: Path) -> MemorySink:
        path = folder / "0001.jsonl"
        path.write_bytes(b"".join(line + b"\n" for line in self.lines))
        sink = MemorySink()
        importer = PolymarketFrames()
        assert importer.sniff(path)
        importer.run([path], {}, sink)
        return sink


def test_lines_are_terms_and_frames_as_they_came(tmp_path: Path) -> None:
    async def script(w: World) -> None:
        w.server.level("BUY", "0.47", "12")
        await w.runtime.sleep(25 * S)  # two PINGs and their PONGs

    w = World().run(script)
    first, terms, start, books, change = w.notes
    assert first["recorder"] == "execsim"
    assert terms["lifecycle"] == w.server.market
    assert start["gap"] == "recording started"
    assert [book["asset_id"] for book in json.loads(books["raw_text"])] == [YES, NO]
    assert json.loads(change["raw_text"])["event_type"] == "price_change"
    assert all(START_NS <= note["recv_ns"] <= START_NS + 2 * S for note in w.notes)
    sink = w.imported(tmp_path)
    assert sink.gaps == []
    assert (sink.markets[0].yes_token, sink.markets[0].no_token) == (YES, NO)
    assert [row.kind for row in sink.data][-1] == Kind.LEVEL


def test_a_lost_connection_is_a_gap_closed_by_the_same_book(tmp_path: Path) -> None:
    """Nothing happened meanwhile: the dump says the very same, timestamp and hash, and is taken for what it is."""

    async def script(w: World) -> None:
        dumps = {token: w.server.book(token) for token in (YES, NO)}
        w.server.push("/ws/market", [dumps[YES], dumps[NO]])
        await w.runtime.sleep(0)
        w.server.book = lambda token=YES: dumps[token]  # type: ignore[method-assign]
        w.server.drop("/ws/market")
        await w.runtime.sleep(5 * S)

    w = World().run(script)
    assert w.gaps == [("recording started", None), ("connection lost", [CID])]
    sink = w.imported(tmp_path)
    assert [gap.why for gap in sink.gaps] == ["connection lost"]
    gap_rows = [row for row in sink.data if row.kind == Kind.GAP]
    assert [row.size_i for row in gap_rows] == [1, 0]
    after = sink.data[sink.data.index(gap_rows[1]) + 1]
    assert after.kind == Kind.SNAPSHOT
    assert after.flags & Flag.RESYNC
    assert "duplicate_frame" not in sink.defects


def test_a_gap_that_no_book_closes_lasts_to_the_end(tmp_path: Path) -> None:
    async def script(w: World) -> None:
        w.server.deaf = True
        w.server.drop("/ws/market")
        await w.runtime.sleep(60 * S)

    sink = World().run(script).imported(tmp_path)
    assert [gap.why for gap in sink.gaps] == ["connection lost"]
    assert [row.size_i for row in sink.data if row.kind == Kind.GAP] == [1]


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., MemorySink]:
    """Import frames of the fake market, and lines of the recorder's own (those with a gap)."""

    def run(*frames: dict[str, Any]) -> MemorySink:
        path = tmp_path / "frames.jsonl"
        lines = [
            frame if "gap" in frame else {"recv_ms": int(frame["timestamp"]) + 20, "raw": frame} for frame in frames
        ]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        sink = MemorySink()
        PolymarketFrames().run([path], {"yes_tokens": ["111111"]}, sink)
        return sink

    return run


def test_changes_between_a_lost_connection_and_the_dump_are_not_applied(fake: Any, play: Any) -> None:
    lost = {"gap": "connection lost", "recv_ns": 1}
    opening = [fake.book(0), fake.book(0, NO_TOKEN), fake.set(5, "BUY", "0.49", "1"), lost]
    fake.set(400, "BUY", "0.45", "9")  # never heard
    early = fake.set(500, "BUY", "0.44", "9")
    sink = play(*opening, early, fake.book(600), fake.book(600, NO_TOKEN))
    assert [gap.why for gap in sink.gaps] == ["connection lost"]
    assert sink.oracle("change_hash") == (2, 2)
    assert sink.defects["change_before_book"] == 1
    assert len([row for row in sink.data if row.kind == Kind.LEVEL]) == 1


def test_best_prices_of_a_message_may_be_those_after_all_of_its_entries(fake: Any, play: Any) -> None:
    opening = fake.book(0)
    fake.set(5, "BUY", "0.49", "7")
    both = fake.set(5, "BUY", "0.50", "9", ("111111",))
    first = {**both["price_changes"][0], "price": "0.49", "size": "7"}
    both["price_changes"].insert(0, first)
    sink = play(opening, both)
    assert sink.oracle("best_price") == (2, 2)
    assert sink.oracle("change_hash") == (2, 2)
    first["best_bid"] = "0.3"
    assert play(opening, both).oracle("best_price") == (1, 2)


def test_a_gap_names_its_markets(fake: Any, play: Any) -> None:
    other = {"gap": "hash", "of": ["0x" + "99" * 32], "recv_ns": 1}
    sink = play(fake.book(0), other, fake.set(5, "BUY", "0.49", "1"))
    assert sink.gaps == []


def test_a_wrong_hash_is_a_gap_and_the_book_is_asked_for_again(tmp_path: Path) -> None:
    async def script(w: World) -> None:
        w.server.level("BUY", "0.47", "12", wrong=True)
        await w.runtime.sleep(S)

    w = World().run(script)
    assert w.gaps == [("recording started", None), ("hash", [CID])]
    sink = w.imported(tmp_path)
    assert [gap.why for gap in sink.gaps] == ["hash"]
    assert sink.data[-1].kind == Kind.SNAPSHOT
    assert sink.data[-1].flags & Flag.LAST


def test_hashes_that_never_fit_are_not_a_flood_of_questions() -> None:
    async def script(w: World) -> None:
        right = w.server.book
        w.server.book = lambda token=YES: right(token) | {"hash": "0" * 40}  # type: ignore[method-assign]
        for number in range(40):
            w.server.level("BUY", "0.47", str(number + 1), wrong=True)
            await w.runtime.sleep(S)

    w = World().run(script)
    asked = len([why for why, _ in w.gaps if why == "hash"])
    assert asked == 40 * S // RENEW_NS


def test_errors_before_the_first_frame() -> None:
    world = World()
    world.server.refuse[f"GET /clob-markets/{CID}"] = [said(404, {"error": "market not found"})]
    with pytest.raises(VenueError, match="market not found"):
        world.runtime.run(main=record([CID], world.server.transport(), world.runtime, world.lines.append))
    assert world.lines == []
    world = World()
    many = [f"0x{number}" for number in range(MARKETS_MAX + 1)]
    with pytest.raises(ConfigError, match="start several"):
        world.runtime.run(main=record(many, world.server.transport(), world.runtime, world.lines.append))


NO_TOKEN = "222222"
