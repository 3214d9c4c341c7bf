"""Fakes that ship: test a strategy without a market, a venue, SimPy or asyncio."""

from execsim.testing.books import MemoryJournal, MockBooks
from execsim.testing.clock import StepRuntime
from execsim.testing.memory_sink import MemorySink, SinkRow
from execsim.testing.mock_venue import Ack, Call, MockVenue, Refuse, Silence

__all__ = [
    "Ack",
    "Call",
    "MemoryJournal",
    "MemorySink",
    "MockBooks",
    "MockVenue",
    "Refuse",
    "Silence",
    "SinkRow",
    "StepRuntime",
]
