"""The life of an order is this table. Anything it does not list raises `InvalidOrderState`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from execsim.core.errors import InvalidOrderState
from execsim.core.order import OrderStatus as S


class OrderEvent(StrEnum):
    """What can happen to an order, as seen by the engine."""

    SEND = "send"
    """we hand it to the venue"""
    ACK = "ack"
    """the venue has booked it"""
    REFUSE = "refuse"
    """the venue (or a check of ours) said no: to the order, or in CANCELLING to the cancel"""
    FILL = "fill"
    """a part was executed"""
    DONE = "done"
    """the last part was executed"""
    GONE = "gone"
    """cancelled: by us, by the venue, or the unfilled rest of IOC/FOK"""
    LAPSE = "lapse"
    """its time is over (GTD)"""
    ASK_CANCEL = "ask_cancel"
    """we ask for a cancel"""
    SILENCE = "silence"
    """nobody answered: the outcome is unknown"""
    FOUND = "found"
    """we asked and it is alive"""
    ABSENT = "absent"
    """we asked, the venue's acceptance window has passed, and order, open orders and trades agree it never was"""
    VOID = "void"
    """a fill failed on chain"""


E = OrderEvent
Table = Mapping[S, Mapping[OrderEvent, S]]

ORDER: Final[Table] = {
    # not sent yet: a refusal is ours, a cancel needs no venue
    S.PENDING: {E.SEND: S.SUBMITTING, E.REFUSE: S.REJECTED, E.ASK_CANCEL: S.CANCELLED, E.LAPSE: S.EXPIRED},
    # sent, no answer yet: a fill may outrun the ack
    S.SUBMITTING: {
        E.ACK: S.WORKING,
        E.REFUSE: S.REJECTED,
        E.FILL: S.WORKING,
        E.DONE: S.FILLED,
        E.GONE: S.CANCELLED,
        E.LAPSE: S.EXPIRED,
        E.ASK_CANCEL: S.CANCELLING,
        E.SILENCE: S.UNKNOWN,
    },
    # resting; a late ACK or a refused cancel changes nothing
    S.WORKING: {
        E.ACK: S.WORKING,
        E.REFUSE: S.WORKING,
        E.FILL: S.WORKING,
        E.DONE: S.FILLED,
        E.ASK_CANCEL: S.CANCELLING,
        E.GONE: S.CANCELLED,
        E.LAPSE: S.EXPIRED,
        E.SILENCE: S.UNKNOWN,
        E.VOID: S.WORKING,
    },
    # a refused cancel means it is still alive
    S.CANCELLING: {
        E.ACK: S.CANCELLING,
        E.ASK_CANCEL: S.CANCELLING,
        E.FILL: S.CANCELLING,
        E.DONE: S.FILLED,
        E.GONE: S.CANCELLED,
        E.LAPSE: S.EXPIRED,
        E.REFUSE: S.WORKING,
        E.SILENCE: S.UNKNOWN,
        E.VOID: S.CANCELLING,
    },
    # nobody answered: only asking ends this state, and only agreement of all sources means it never was; or the venue's
    # refusal, when it comes after all
    S.UNKNOWN: {
        E.REFUSE: S.REJECTED,
        E.FOUND: S.WORKING,
        E.ACK: S.WORKING,
        E.FILL: S.UNKNOWN,
        E.DONE: S.FILLED,
        E.GONE: S.CANCELLED,
        E.LAPSE: S.EXPIRED,
        E.ASK_CANCEL: S.UNKNOWN,
        E.VOID: S.UNKNOWN,
        E.ABSENT: S.REJECTED,
    },
    # the trade failed on chain: the order is dead, the fill is undone; a fill may be overtaken by the last one
    S.FILLED: {E.VOID: S.CANCELLED, E.FILL: S.FILLED, E.DONE: S.FILLED, E.ACK: S.FILLED, E.REFUSE: S.FILLED},
    # a fill that crossed the cancel on the wire
    S.CANCELLED: {
        E.FILL: S.CANCELLED,
        E.DONE: S.FILLED,
        E.FOUND: S.WORKING,
        E.VOID: S.CANCELLED,
        E.ACK: S.CANCELLED,
        E.REFUSE: S.CANCELLED,
    },
    S.EXPIRED: {
        E.FILL: S.EXPIRED,
        E.DONE: S.FILLED,
        E.FOUND: S.WORKING,
        E.VOID: S.EXPIRED,
        E.ACK: S.EXPIRED,
        E.REFUSE: S.EXPIRED,
    },
    # a zombie: the venue knew it after all
    S.REJECTED: {E.FILL: S.UNKNOWN, E.DONE: S.FILLED, E.FOUND: S.WORKING, E.ACK: S.WORKING},
}


REASONS: Final[Mapping[S, Mapping[OrderEvent, str]]] = {
    S.PENDING: {
        E.SEND: "its intent is on record and it goes out",
        E.REFUSE: "one of our checks said no: it was never sent",
        E.ASK_CANCEL: "a cancel before it was sent needs no venue",
        E.LAPSE: "its time ran out while it waited for its turn",
    },
    S.SUBMITTING: {
        E.ACK: "the venue has booked it",
        E.REFUSE: "the venue said no, or the request surely never left",
        E.FILL: "a fill outran the ack",
        E.DONE: "it was filled whole before the ack came",
        E.GONE: "an unfilled IOC, or dropped by the venue, before the ack came",
        E.LAPSE: "its time ran out before the ack came",
        E.ASK_CANCEL: "a cancel does not wait for the ack",
        E.SILENCE: "a timeout or a broken connection: it may be booked or not",
    },
    S.WORKING: {
        E.ACK: "a late or repeated ack",
        E.REFUSE: "the echo of a refused cancel or amend: it rests as before",
        E.FILL: "a part was executed",
        E.DONE: "the last part was executed",
        E.ASK_CANCEL: "we ask for a cancel",
        E.GONE: "the venue took it off: a halt, a resolution, a cancel made elsewhere",
        E.LAPSE: "its time is over (GTD)",
        E.SILENCE: "an amend nobody answered, or an order its venue no longer knows",
        E.VOID: "a fill failed on chain; the rest still rests",
    },
    S.CANCELLING: {
        E.ACK: "the ack came after the cancel was asked for",
        E.ASK_CANCEL: "asked again",
        E.FILL: "a fill crossed the cancel on the wire",
        E.DONE: "it was filled before the cancel arrived",
        E.GONE: "cancelled",
        E.LAPSE: "its time ran out first",
        E.REFUSE: "the venue refused the cancel: it is still alive",
        E.SILENCE: "nobody answered the cancel",
        E.VOID: "a fill failed on chain meanwhile",
    },
    S.UNKNOWN: {
        E.REFUSE: "the refusal came after all",
        E.FOUND: "we asked: it is alive",
        E.ACK: "the ack came after all",
        E.FILL: "it trades: some of it is known, the rest is not",
        E.DONE: "filled whole, as its fills or the venue's answer say",
        E.GONE: "the venue says it has ended",
        E.LAPSE: "the venue says its time ran out",
        E.ASK_CANCEL: "a cancel is asked for all the same",
        E.VOID: "a fill failed on chain meanwhile",
        E.ABSENT: "its window to arrive has passed, and order, open orders and fills agree that it never was",
    },
    S.FILLED: {
        E.VOID: "the trade failed on chain: the order is dead and the fill undone",
        E.FILL: "an earlier part, reported after the last",
        E.DONE: "the last part, said twice",
        E.ACK: "a late ack",
        E.REFUSE: "the echo of a cancel that came too late",
    },
    S.CANCELLED: {
        E.FILL: "a fill that crossed the cancel on the wire",
        E.DONE: "the fill that crossed the cancel was the last one",
        E.FOUND: "the cancel was not carried out: it is alive",
        E.VOID: "a fill failed on chain after the cancel",
        E.ACK: "a late ack",
        E.REFUSE: "the echo of another cancel",
    },
    S.EXPIRED: {
        E.FILL: "a fill from before its time ran out",
        E.DONE: "the last part, from before its time ran out",
        E.FOUND: "it has not lapsed at the venue, whose clock is behind",
        E.VOID: "a fill failed on chain after it lapsed",
        E.ACK: "a late ack",
        E.REFUSE: "the echo of a cancel",
    },
    S.REJECTED: {
        E.FILL: "a zombie: the venue knew it after all, and how much of it is left we must ask",
        E.DONE: "a zombie, filled whole",
        E.FOUND: "a zombie that rests",
        E.ACK: "a zombie that was booked after all",
    },
}
"""Why each step of the table happens in the real world."""


def step(order_id: str, status: S, event: OrderEvent) -> S:
    """Next status, or InvalidOrderState(order_id, status, event)."""
    row = ORDER[status]
    if event not in row:
        raise InvalidOrderState(order_id, str(status), str(event))
    return row[event]


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", "    [*] --> pending"]
    for state, row in ORDER.items():
        lines += [f"    {state} --> {after}: {event}" for event, after in row.items() if after is not state]
    return "\n".join(lines) + "\n"


def page() -> str:
    """docs/lifecycle.md, generated: `python -c "from execsim.core.lifecycle import page; print(page(), end='')"`."""
    rows = [
        f"| {state} | {event} | {after} | {REASONS[state][event]} |"
        for state, row in ORDER.items()
        for event, after in row.items()
    ]
    return "\n".join(
        [
            "# The life of an order", "",
            "Generated from the table in `execsim/core/lifecycle.py` (tests/unit/core/test_lifecycle.py compares them).",
            "What the engine does in each of these cases: [orders.md](orders.md).", "",
            "```mermaid", diagram().rstrip(), "```", "",
            "A step that is not listed is impossible: it is recorded as `invalid` and the order stays as it is.", "",
            "| in state | on | becomes | because |", "|---|---|---|---|", *rows, "",
        ]
    )  # fmt: skip
