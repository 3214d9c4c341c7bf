"""`execsim through SCENARIO`: the same strategy in a backtest and through its venue's own protocol, and what differs."""

from __future__ import annotations

import json
from collections import Counter
from typing import Annotated, Final

import typer

from execsim.cli.run import SCENARIO_HELP
from execsim.scenario import model

SHOWN: Final = 40
"""Differences printed; `--json` has all."""


def command(
    scenario: Annotated[str, typer.Argument(help=SCENARIO_HELP)],
    seed: Annotated[int | None, typer.Option(help="Seed of every random stream; the scenario's if not given")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one value of the scenario")
    ] = None,
    constant: Annotated[
        bool, typer.Option("--steady", help="Constant latencies: else each request draws its own, and runs part")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object")] = False,
) -> int:
    """Run a scenario twice, in memory and in virtual time: on the simulated exchange, and on the same exchange behind its
    venue's adapter and protocol. Exit code 1 if orders, fills or money differ."""
    from execsim.kernel import warm_up  # numba: not for every verb
    from execsim.scenario.build import load_data
    from execsim.scenario.joined import ANY_KEY, compare, run_joined, steady, told_late_ns
    from execsim.scenario.run import run

    path = model.locate(scenario)
    checked = model.load(path, seed, list(settings or []))
    if constant:
        checked = steady(checked)
    loaded = load_data(checked, path.parent)
    warm_up()
    joined = run_joined(checked, path.parent, ANY_KEY, loaded)
    backtest = run(checked, path.stem, path.parent, loaded=loaded)
    found = compare(backtest, joined)
    least_ns, most_ns = told_late_ns(joined)
    counts = {"backtest": len(backtest.record.fills), "protocol": len(joined.fills)}
    if as_json:
        rows = [{"what": each.what, "backtest": each.backtest, "protocol": each.joined} for each in found]
        print(json.dumps({"fills": counts, "told_late_ns": [least_ns, most_ns], "differences": rows}, indent=2))
        return bool(found)
    print(f"fills: {counts['backtest']} in the backtest, {counts['protocol']} through the protocol")
    print(f"a fill said that it was {least_ns / 1e6:g} to {most_ns / 1e6:g} ms later than the venue lists it")
    for each in found[:SHOWN]:
        print(each)
    if len(found) > SHOWN:
        kinds = Counter(each.what.partition(" ")[0] for each in found)
        print(f"... {len(found)} differences in all: {', '.join(f'{n} of {kind}' for kind, n in kinds.items())}")
    print("no difference" if not found else "see docs/equality.md for what can differ, and why")
    return bool(found)
