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
    # nobody answered: only asking ends this state, and only agreement of all sources means it never was
    S.UNKNOWN: {
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


def step(order_id: str, status: S, event: OrderEvent) -> S:
    """Next status, or InvalidOrderState(order_id, status, event)."""
    row = ORDER[status]
    if event not in row:
        raise InvalidOrderState(order_id, str(status), str(event))
    return row[event]


def diagram() -> str:
    """The table as a Mermaid state diagram (docs/lifecycle.md is generated from this)."""
    lines = ["stateDiagram-v2", "    [*] --> pending"]
    for state, row in ORDER.items():
        lines += [f"    {state} --> {after}: {event}" for event, after in row.items() if after is not state]
    return "\n".join(lines) + "\n"
