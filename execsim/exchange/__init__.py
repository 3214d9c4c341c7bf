"""Axis 2: the simulated exchange. One order entry, accounts, limits and settlement in front of the recorded tape."""

from execsim.exchange.account import Account, Ledger
from execsim.exchange.latency import ConstantLatency, Latency, LatencyModel, LognormalLatency
from execsim.exchange.market import KernelBooks, TapeMarket
from execsim.exchange.venue import TRADER, SimulatedVenue

__all__ = [
    "TRADER",
    "Account",
    "ConstantLatency",
    "KernelBooks",
    "Latency",
    "LatencyModel",
    "Ledger",
    "LognormalLatency",
    "SimulatedVenue",
    "TapeMarket",
]
