"""Axis 2: the simulated exchange. One order entry, accounts, limits and settlement in front of the recorded tape."""

from execsim.exchange.account import Account, Ledger
from execsim.exchange.chain import ChainModel
from execsim.exchange.entry import TakerDelay
from execsim.exchange.exchange import TRADER, Exchange, ExchangeModel
from execsim.exchange.latency import ConstantLatency, Latency, LatencyModel, LognormalLatency
from execsim.exchange.market import KernelBooks, TapeMarket
from execsim.exchange.resolution import ResolutionModel
from execsim.exchange.tokens import Event
from execsim.exchange.venue import SimulatedVenue

__all__ = [
    "TRADER",
    "Account",
    "ChainModel",
    "ConstantLatency",
    "Event",
    "Exchange",
    "ExchangeModel",
    "KernelBooks",
    "Latency",
    "LatencyModel",
    "Ledger",
    "LognormalLatency",
    "ResolutionModel",
    "SimulatedVenue",
    "TakerDelay",
    "TapeMarket",
]
