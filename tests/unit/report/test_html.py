"""The report: complete, escaped, self-contained, bounded, and drawn without an error by a real browser."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import escape, unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from execsim.core.errors import ConfigError
from execsim.report import shot
from execsim.report import summary as read
from execsim.report.chart import FILLS_MAX, POINTS_TOTAL, chart_data
from execsim.report.html import render, write_report
from execsim.report.run import RunRecord

VOID = {"meta", "br", "path", "circle"}


class Page(HTMLParser):
    """Checks nesting and collects what could load something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[str] = []
        self.loads: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [
            (tag, name) for name, _ in attrs if name in ("src", "href", "srcset", "action", "data", "poster")
        ]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag


def embedded(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="run-data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found.group(1))
    return data


def changed(record: RunRecord, **changes: Any) -> RunRecord:
    return RunRecord(**{name: getattr(record, name) for name in record.__slots__} | changes)


@pytest.mark.parametrize("which", ["demo", "several", "empty"])
def test_the_page_is_well_formed_and_loads_nothing(which: str, request: pytest.FixtureRequest) -> None:
    page = render(request.getfixturevalue(which))
    parsed = Page(page)
    assert parsed.stack == []
    assert parsed.loads == []
    assert not {"link", "img", "iframe", "object", "embed"} & set(parsed.tags)
    for forbidden in ("http://", "https://", "url(h", "@import", "fetch(", "XMLHttpRequest", "import("):
        assert forbidden not in page
    assert "default-src 'none'" in page


def test_the_page_has_the_numbers(demo: RunRecord) -> None:
    page = unescape(render(demo))
    for section in read.sections(demo.summary):
        assert section.title in page
        for row in section.rows:
            for cell in row:
                assert cell in page
    for text in (*demo.summary["assumptions"], demo.summary["data_sha256"], demo.summary["journal_sha256"]):
        assert text[1:] in page
    assert "40,211 ts recv before venue" in page
    assert page.index("Know this before") < page.index("Net PnL")


def test_text_from_the_run_is_escaped(several: RunRecord) -> None:
    nasty = "</script><img src=x onerror=alert(1)>\"'&"
    summary = {**several.summary, "assumptions": [nasty], "data_sha256": nasty, "defects": {nasty: 1}}
    page = render(changed(several, scenario=nasty, mode=nasty, summary=summary))
    assert nasty not in page
    assert "<img" not in page
    assert "<script>alert" not in page
    assert page.count("<script") == 2
    assert escape(nasty) in page
    names = [market["name"] for market in embedded(page)["markets"]]
    assert "<script>alert(1)</script>" in names


def test_the_chart_has_prices_fills_inventory_and_profit(demo: RunRecord) -> None:
    data = embedded(render(demo))
    assert data == json.loads(json.dumps(chart_data(demo)))
    (market,) = data["markets"]
    fills = market["fills"]
    assert len(fills["t"]) == len(demo.fills)
    at = next(i for i, (_, fill) in enumerate(demo.fills) if fill.outcome == "no" and fill.side == "buy")
    fill = demo.fills[at][1]
    assert fills["buy"][at] == 0
    assert fills["p"][at] == pytest.approx(1 - fill.price_i / 10_000)
    assert fills["text"][at].startswith("buy ")
    assert " NO @ 0." in fills["text"][at]
    assert fills["id"][at] == fill.order_id
    assert fill.cause.replace("_", " ") in fills["whys"][fills["why"][at]]
    assert market["inventory"]["v"][-1] == pytest.approx(float(demo.positions[market["name"]].size))
    net = read.net(demo.summary)[0][1]
    assert data["equity"]["lines"][0]["v"][-1] == pytest.approx(float(net))
    assert None in market["bid"]


def test_a_fill_far_from_any_market_still_has_a_market_panel(demo: RunRecord) -> None:
    data = chart_data(changed(demo, prices={}))
    assert [len(m["fills"]["t"]) for m in data["markets"]] == [len(demo.fills)]
    assert data["markets"][0]["t"] == []


def test_a_long_run_gives_a_small_report(demo: RunRecord) -> None:
    many = changed(demo, fills=list(demo.fills) * 100)
    data = chart_data(many)
    assert data["fills_total"] == 100 * len(demo.fills) > FILLS_MAX
    assert FILLS_MAX // 2 <= data["fills_drawn"] == len(data["markets"][0]["fills"]["t"]) <= FILLS_MAX
    page = render(many)
    assert f"an even selection of {data['fills_total']:,}" in page
    assert len(page) < 800_000


def test_many_markets_share_the_points(demo: RunRecord) -> None:
    inst = next(iter(demo.instruments.values()))
    names = [f"m{i}" for i in range(40)]
    series = next(iter(demo.prices.values()))
    record = changed(
        demo, instruments={n: replace(inst, market=n) for n in names}, prices=dict.fromkeys(names, series), fills=[]
    )
    points = [len(market["t"]) for market in chart_data(record)["markets"]]
    assert len(points) == 40
    assert sum(points) <= POINTS_TOTAL + 40


def test_a_run_without_anything_says_so(empty: RunRecord) -> None:
    page = render(empty)
    assert "No market data" in page
    assert embedded(page)["markets"] == []


def test_the_file_is_written_whole(demo: RunRecord, tmp_path: Path) -> None:
    path = write_report(demo, tmp_path / "new" / "report.html")
    assert path.read_text(encoding="utf-8") == render(demo)
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot write"):
        write_report(demo, tmp_path / "file" / "report.html")


PROBE = """<script>
const seen = [], svg = document.getElementById("chart"), box = svg.getBoundingClientRect();
svg.setPointerCapture = () => {};
const send = (type, x, y) => svg.dispatchEvent(new PointerEvent(type,
  { clientX: box.left + x, clientY: box.top + y, pointerType: "mouse", button: 0, pointerId: 1, bubbles: true }));
const labels = () => [...svg.querySelectorAll("text")].map((node) => node.textContent).join("|");
const whole = labels();
for (let x = 80; x < 1150; x += 12) for (let y = 20; y < 300; y += 12) {
  send("pointermove", x, y);
  const found = document.querySelector("#tip .fill");
  if (found) seen.push(found.textContent);
}
send("pointerdown", 300, 100); send("pointermove", 500, 100); send("pointerup", 500, 100);
const zoomed = labels();
svg.dispatchEvent(new MouseEvent("dblclick"));
document.body.dataset.fills = String(new Set(seen.map((text) => text.split("order ")[1])).size);
document.body.dataset.zoom = String(zoomed !== whole && labels() === whole);
</script></body>"""


@pytest.mark.external
def test_a_real_browser_draws_it_hovers_and_zooms(demo: RunRecord, tmp_path: Path) -> None:
    path = write_report(demo, tmp_path / "report.html")
    path.write_text(path.read_text(encoding="utf-8").replace("</body>", PROBE), encoding="utf-8")
    page = shot.dom(path)
    assert 'data-drawn="3"' in page
    assert 'data-zoom="true"' in page
    found = re.search(r'data-fills="(\d+)"', page)
    assert found is not None
    assert int(found.group(1)) > len(demo.fills) // 2


@pytest.mark.external
@pytest.mark.parametrize(("which", "panels"), [("several", 3), ("empty", 0)])
def test_a_real_browser_draws_unusual_runs(
    which: str, panels: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    page = shot.dom(write_report(request.getfixturevalue(which), tmp_path / "report.html"))
    assert f'data-drawn="{panels}"' in page


@pytest.mark.external
def test_pictures_in_light_and_dark_differ(demo: RunRecord, tmp_path: Path) -> None:
    report = write_report(demo, tmp_path / "report.html")
    pictures = [tmp_path / "light.png", tmp_path / "dark.png"]
    assert shot.main([str(report), str(pictures[0]), "--size", "800x600"]) == 0
    assert shot.main([str(report), str(pictures[1]), "--size", "800x600", "--dark"]) == 0
    light, dark = (picture.read_bytes() for picture in pictures)
    assert light[:8] == dark[:8] == b"\x89PNG\r\n\x1a\n"
    assert light != dark


def test_the_shot_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert shot.main(["only-one.html"]) == 2
    assert "usage" in capsys.readouterr().err


def test_no_browser_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, demo: RunRecord, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="no chromium"):
        shot.dom(write_report(demo, tmp_path / "report.html"))
