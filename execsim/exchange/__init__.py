"""Axis 2: the simulated exchange. One order entry, accounts, limits and settlement in front of the recorded tape."""

from execsim.exchange.account import Account, Ledger
from execsim.exchange.bursts import BurstLatency
from execsim.exchange.chain import ChainModel
from execsim.exchange.delays import ConstantLatency, GammaLatency, LognormalLatency, UniformLatency
from execsim.exchange.entry import TakerDelay
from execsim.exchange.exchange import TRADER, Exchange, ExchangeModel
from execsim.exchange.latency import Latency, LatencyModel, Sampler
from execsim.exchange.market import KernelBooks, TapeMarket
from execsim.exchange.measured import EmpiricalLatency, InterpolatedLatency, RoundTrips, read_round_trips, read_sample
from execsim.exchange.presets import preset
from execsim.exchange.resolution import ResolutionModel
from execsim.exchange.tokens import Event
from execsim.exchange.venue import SimulatedVenue

__all__ = [
    "TRADER",
    "Account",
    "BurstLatency",
    "ChainModel",
    "ConstantLatency",
    "EmpiricalLatency",
    "Event",
    "Exchange",
    "ExchangeModel",
    "GammaLatency",
    "InterpolatedLatency",
    "KernelBooks",
    "Latency",
    "LatencyModel",
    "Ledger",
    "LognormalLatency",
    "ResolutionModel",
    "RoundTrips",
    "Sampler",
    "SimulatedVenue",
    "TakerDelay",
    "TapeMarket",
    "UniformLatency",
    "preset",
    "read_round_trips",
    "read_sample",
]
