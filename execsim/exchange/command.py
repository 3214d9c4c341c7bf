"""What the host of a served exchange may be told: its own paths, /_execsim/. The rest of the paths are the venue's.

GET  clock                          the desk's clock, and the clients'
POST clock   {"go": true}           let a held market move        {"hold": true}   let it stand still
             {"speed": 10}          how fast it moves
             {"advance_ms": 1500}   step a held market; answered when everything of that time has happened
             {"to_ns": 1767614400000000000}   the same, up to an instant of the exchange
GET  faults                         every pack, whether it is at work
POST faults  {"pack": "outage", "on": true, "params": {}}
POST accounts {"address": "..", "deposit": "100"}   host_accounts.py
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from decimal import Decimal
from typing import Any, Final

from execsim.core.errors import ConfigError
from execsim.core.units import NS_PER_MS
from execsim.exchange.host_accounts import change_account
from execsim.ports import Desk, Dialect, Response

OWN: Final = "/_execsim/"
SPEED_MAX: Final = 100_000
STEP_NS_MAX: Final = 10**18
"""How far one step may go: 31 years."""
VERBS: Final = ("go", "hold", "speed", "advance_ms", "to_ns")
JSON: Final = {"content-type": "application/json"}


def answer(dialect: Dialect, desk: Desk, method: str, name: str, body: bytes, told: Callable[[Response], None]) -> None:
    """Do it; `told` hears the answer, at once unless it is a step."""
    try:
        if name == "clock" and method == "POST":
            _clock(desk, _object(body), lambda: told(written(200, _time(desk))))
        elif name == "clock":
            told(written(200, _time(desk)))
        elif name == "faults":
            if method == "POST":
                _fault(desk, _object(body))
            told(written(200, [asdict(state) for state in desk.faults()]))
        elif name == "accounts" and method == "POST":
            told(written(200, change_account(dialect, desk, _object(body))))
        else:
            raise ConfigError(
                f"there is no {OWN}{name[:32]}", f"there are: {OWN}clock, {OWN}faults, POST {OWN}accounts"
            )
    except ConfigError as error:
        told(written(400, {"error": str(error)}))


def written(status: int, value: Any) -> Response:
    return Response(status, JSON, json.dumps(value, separators=(",", ":")).encode())


def _time(desk: Desk) -> dict[str, Any]:
    return {**asdict(desk.clock()), "wall_ns": desk.hours.wall_ns()}


def _clock(desk: Desk, asked: dict[str, Any], done: Callable[[], None]) -> None:
    """Errors: ConfigError."""
    if len(asked) != 1 or next(iter(asked)) not in VERBS:
        raise ConfigError(f"clock: give one of {', '.join(VERBS)}", 'for example {"advance_ms": 1500}')
    ((verb, value),) = asked.items()
    hours = desk.hours
    if verb in ("advance_ms", "to_ns"):
        hours.step(_target_ns(desk.clock().now_ns, verb, value), done)
        return
    if verb == "speed":
        if type(value) is not int or not 1 <= value <= SPEED_MAX:
            raise ConfigError(f"clock: speed {_short(value)}", f"an integer from 1 to {SPEED_MAX}")
        hours.pace(value)
    elif value is not True:
        raise ConfigError(f"clock: {verb} {_short(value)}", f'write {{"{verb}": true}}')
    else:
        hours.go() if verb == "go" else hours.hold()
    done()


def _target_ns(now_ns: int, verb: str, value: Any) -> int:
    """Errors: ConfigError."""
    if verb == "to_ns":
        if type(value) is not int or not now_ns <= value <= now_ns + STEP_NS_MAX:
            raise ConfigError(
                f"clock: to_ns {_short(value)}",
                f"an integer from now ({now_ns}) to {STEP_NS_MAX} ns later: time has no way back",
            )
        return value
    if type(value) not in (int, float) or not 0 <= value <= STEP_NS_MAX // NS_PER_MS:  # NaN is not
        raise ConfigError(f"clock: advance_ms {_short(value)}", f"a number from 0 to {STEP_NS_MAX // NS_PER_MS}")
    return now_ns + int(Decimal(repr(value)) * NS_PER_MS)


def _short(value: Any) -> str:
    return repr(value)[:64]


def _fault(desk: Desk, asked: dict[str, Any]) -> None:
    """Errors: ConfigError."""
    pack, on, params = asked.get("pack"), asked.get("on", True), asked.get("params", {})
    if not isinstance(pack, str) or not isinstance(on, bool) or not isinstance(params, dict):
        raise ConfigError("faults: give pack (a text), on (true or false) and params (an object)", "")
    desk.switch_fault(pack, on, params)


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ConfigError("the body is not a JSON object", "")
    return value
