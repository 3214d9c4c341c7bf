"""What the engine may still do: everything, only reduce, or only cancel and flatten; for the account or for one market.

    trading --impose--> reduce_only --impose--> halt / halt_and_cancel       resume ends all of these
       |                                                                     kill is final for this engine
       +--kill-------------------------------------> killed

State changes only through `apply`, which takes the journal's own rows: what is restored from a journal is what was live.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from execsim.core.errors import ConfigError
from execsim.engine.policies.switch import KillSwitch
from execsim.engine.records import Row
from execsim.engine.risk import RiskAction

log = logging.getLogger("execsim.engine")

EVERYWHERE: Final = ""
"""`market` of a row that binds the whole account"""

KILLED: Final = "\0kill"
"""What stands for a kill where others name a market: it does not replace what is halted besides"""

EXITS: Final = "only cancels and flatten pass"


@dataclass(frozen=True, slots=True)
class Halt:
    """Why and since when not everything passes. `market` None: everywhere. `kill`: no `resume` ends it."""

    action: RiskAction
    policy: str
    market: str | None
    reason: str
    since_ns: int
    kill: bool = False

    @property
    def reduces(self) -> bool:
        """Whether orders that reduce a position still pass."""
        return self.action is RiskAction.REDUCE_ONLY

    @property
    def message(self) -> str:
        """Why an order is refused, in one sentence."""
        if self.kill:
            return f"{self.reason}; {EXITS}"
        where = "" if self.market is None else f" in {self.market}"
        if self.reduces:
            return f"only orders that reduce the position pass{where}: {self.reason}"
        return f"halted{where}: {self.reason}; {EXITS}"

    def __str__(self) -> str:
        where = "everything" if self.market is None else self.market
        name = "killed" if self.kill else str(self.action)
        return f"{where}: {name} since {self.since_ns} ns by {self.policy}: {self.reason}"


class Halts:
    """`write(kind, body)` appends a row to the journal. Rows: records.py (halt, resume, kill)."""

    def __init__(self, write: Callable[[str, Row], None], now_ns: Callable[[], int]) -> None:
        self._write = write
        self._now_ns = now_ns
        self._in_force: dict[str, Halt] = {}
        """market (EVERYWHERE: the account) -> what binds it"""
        self._killed_here = False

    def __bool__(self) -> bool:
        return bool(self._in_force)

    @property
    def kill_reason(self) -> str | None:
        found = self._in_force.get(KILLED)
        return None if found is None else found.reason

    def all(self) -> tuple[Halt, ...]:
        """Everything in force, the strongest first."""
        return tuple(sorted(self._in_force.values(), key=_strength, reverse=True))

    def of(self, market: str) -> Halt | None:
        """The strongest thing that binds orders of this market."""
        if not self._in_force:
            return None
        killed = self._in_force.get(KILLED)
        if killed is not None:
            return killed
        account, own = self._in_force.get(EVERYWHERE), self._in_force.get(market)
        if account is None or own is None:
            return account or own
        return own if _strength(own) > _strength(account) else account

    def impose(self, action: RiskAction, policy: str, market: str | None, reason: str) -> bool:
        """Bind the account or a market from now on; False when what is in force there is as strong already."""
        if action is RiskAction.REJECT:
            return False
        known = self._in_force.get(market or EVERYWHERE)
        if known is not None and _strength(known) >= action.rank:
            return False
        body = {"policy": policy, "market": market or EVERYWHERE, "action": action.value, "reason": reason}
        self._record("halt", body)
        log.warning("%s", self._in_force[market or EVERYWHERE])
        return True

    def kill(self, reason: str) -> bool:
        """Final for this engine; False when it was killed already."""
        self._killed_here, known = True, self.kill_reason
        if known is not None:
            return False
        log.warning("kill switch: %s", reason)
        self._record("kill", {"reason": reason})
        return True

    def resume(self, reason: str, market: str | None = None) -> tuple[Halt, ...]:
        """End what is in force (in one market); returns it. A kill that was read from a journal is among it: a person says
        by this that the next engine may trade. Errors: ConfigError without a reason, and once this engine is killed."""
        if not reason.strip():
            raise ConfigError("resume without a reason", "say who resumes and why: it is journalled")
        if self._killed_here:
            raise ConfigError(f"the kill switch is on ({self.kill_reason})", "it is final: start a new run")
        found = self.all() if market is None else tuple(h for h in self.all() if h.market == market)
        if found:
            log.warning("resumed: %s", reason)
            self._record("resume", {"market": market or EVERYWHERE, "reason": reason})
        return found

    def end_kill(self, reason: str) -> None:
        """A new session takes up one that was ended in order, which kills its engine: that kill is over, halts are not."""
        self._record("resume", {"market": KILLED, "reason": reason})

    def apply(self, kind: str, ts_ns: int, body: Mapping[str, Any]) -> None:
        """Take one row of the journal; other kinds are none of ours."""
        if kind == "kill":
            self._put(Halt(RiskAction.HALT_AND_CANCEL, KillSwitch.name, None, body["reason"], ts_ns, kill=True))
        elif kind == "halt":
            market = body["market"] or None
            self._put(Halt(RiskAction(body["action"]), body["policy"], market, body["reason"], ts_ns))
        elif kind == "resume" and body["market"]:
            self._in_force.pop(body["market"], None)
        elif kind == "resume":
            self._in_force.clear()

    def restore(self, halts: Iterable[Halt]) -> None:
        """Take what was in force when the journal ended (Folded.halts.all()); nothing is written again."""
        for halt in halts:
            self._put(halt)

    def _put(self, halt: Halt) -> None:
        self._in_force[KILLED if halt.kill else halt.market or EVERYWHERE] = halt

    def _record(self, kind: str, body: Row) -> None:
        # in force before it is written: a journal that fails must not keep us trading
        self.apply(kind, self._now_ns(), body)
        self._write(kind, body)


def _strength(halt: Halt) -> int:
    return len(RiskAction) if halt.kill else halt.action.rank
