"""Agents: traders of the simulated exchange who trade with each other and with the strategy. See docs/agents.md."""

from execsim.exchange.agents.arrivals import Arrivals, Hawkes, Poisson, arrivals_of
from execsim.exchange.agents.kinds import KINDS, Agent, Informed, MarketMaker, Momentum, Noise
from execsim.exchange.agents.seat import Entry, Seat
from execsim.exchange.agents.value import Value, ValueModel

__all__ = [
    "KINDS",
    "Agent",
    "Arrivals",
    "Entry",
    "Hawkes",
    "Informed",
    "MarketMaker",
    "Momentum",
    "Noise",
    "Poisson",
    "Seat",
    "Value",
    "ValueModel",
    "arrivals_of",
]
