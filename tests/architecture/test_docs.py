"""The docs name what there is to choose from: fault packs and policies with their parameters, trace rows, metrics; pages
link to files."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from execsim.engine.metrics import CATALOGUE, STAGES, Metric
from execsim.engine.policies import POLICIES
from execsim.engine.risk import RiskAction
from execsim.engine.series import OWN_SERIES_MAX
from execsim.exchange.faults import PACKS

ROOT = Path(__file__).resolve().parents[2]
DOCS = sorted((ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("name", PACKS)
def test_a_fault_pack_stands_in_the_docs_as_it_is(name: str) -> None:
    kind = PACKS[name]
    row = next(line for line in (ROOT / "docs" / "faults.md").read_text().splitlines() if f"| `{name}` |" in line)
    assert " ".join(str(kind.__doc__).split()) in row
    assert kind.report in row
    assert kind.schedule.about in row
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]  # each is a dataclass
        assert f"`{field.name} = " in row


@pytest.mark.parametrize("page", [*DOCS, ROOT / "README.md"], ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("kind", POLICIES, ids=lambda kind: kind.__name__)
def test_a_policy_stands_in_the_docs_with_its_fields(kind: type) -> None:
    page = (ROOT / "docs" / "risk.md").read_text().splitlines()
    [row] = [line for line in page if line.startswith(f"| `{kind.__name__}` |")]
    _, _, fields, _, what, _ = re.split(r"(?<!\\)\|", row)
    said = set(re.findall(r"`(\w+)`", fields))
    assert said == {field.name for field in dataclasses.fields(kind) if not field.name.startswith("_")}
    for name, default in re.findall(r"`(\w+)` \((\w+)\)", fields):
        found = next(field.default for field in dataclasses.fields(kind) if field.name == name)
        assert str(found).lower() == default
    traits = kind.traits  # type: ignore[attr-defined]
    expected = ("limit" if traits.limit else "guard") + (", standing" if traits.standing else "")
    assert what.strip() == expected


def test_every_action_stands_in_the_docs() -> None:
    page = (ROOT / "docs" / "risk.md").read_text()
    assert all(f"| `{action}` |" in page for action in RiskAction)


def metric_row(metric: Metric) -> str:
    cells = (f"`{metric.name}`", metric.kind.value, metric.unit, ", ".join(metric.labels), metric.about)
    return f"| {' | '.join(cells)} |"


def test_the_page_of_metrics_has_every_one_as_it_is() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    rows = [line for line in page.splitlines() if re.match(r"\| `(exec|strategy|position)\.", line)]
    assert rows == [metric_row(metric) for metric in CATALOGUE.values()]
    for stage in STAGES:
        assert f"| `{stage}` |" in page
    assert f"{OWN_SERIES_MAX:,} such series" in page


def test_the_programs_on_the_page_of_metrics_are_python() -> None:
    programs = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "metrics.md").read_text(), re.DOTALL)
    assert len(programs) == 3
    for program in programs:
        compile(program, "docs/metrics.md", "exec")
