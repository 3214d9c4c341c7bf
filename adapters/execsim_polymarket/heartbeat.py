"""Saying that we live: once it was begun, the venue cancels everything of the account 10 s after the last time.

So the times are fixed whatever an answer takes, a call that hangs is given up after DEADLINE_NS, and one that failed is
repeated soon: one lost call leaves room for another before the ten seconds are over. Source: polymarket.md section 5.4.
"""

from __future__ import annotations

import logging
from typing import Final

from execsim.core.errors import ExecError
from execsim.core.units import NS_PER_MS, NS_PER_S
from execsim.ports import Runtime
from execsim_polymarket import endpoints
from execsim_polymarket.calls import Calls
from execsim_polymarket.errors import refusal
from execsim_polymarket.wire.trading import ERROR_BODY, HEARTBEAT, Heartbeat

log = logging.getLogger("execsim.polymarket")

DEADLINE_NS: Final = 3 * NS_PER_S
PAUSE_NS: Final = 100 * NS_PER_MS
"""After a failure; doubled with each further one, up to PAUSE_NS_MAX."""
PAUSE_NS_MAX: Final = NS_PER_S


async def keep_alive(calls: Calls, runtime: Runtime, every_ns: int) -> None:
    """Say it every `every_ns`, for ever. A wrong id is answered with the right one, which is sent at once."""
    beat, due_ns, failures = "", runtime.now_ns(), 0
    while True:
        try:
            body = HEARTBEAT.to_bytes(Heartbeat(beat))
            response = await calls.raw(endpoints.HEARTBEAT, body=body, deadline_ns=DEADLINE_NS)
            if response.status == 200:
                beat, failures = HEARTBEAT.from_venue(response.body).heartbeat_id, 0
                due_ns = max(due_ns + every_ns, runtime.now_ns())
                await runtime.sleep_until(due_ns)
                continue
            right = ERROR_BODY.from_venue(response.body).heartbeat_id
            if response.status != 400 or right is None or right == beat:
                raise refusal(response.status, response.headers, response.body)
            beat = right
            if not failures:
                failures = 1  # the right id was just told: no pause, unless this goes on
                continue
        except ExecError as error:
            log.warning("polymarket: heartbeat: %s", error)
        await runtime.sleep(min(PAUSE_NS << min(failures, 16), PAUSE_NS_MAX))
        failures += 1
