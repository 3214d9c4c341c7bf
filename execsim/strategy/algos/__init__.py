"""Execution algorithms, usable by any strategy: a parent order of exactly so many lots, worked by children.

start     start_twap, start_vwap, start_pov, start_iceberg
router    start_router: one parent over several venues
tactics   Tactics: how children meet the market; State: how a parent stands
execution Execution: pause, resume, cancel, wait, progress; Report

plan (how much is due)  ->  Worker (how it is traded)  ->  Execution (children, ends, exactness)  ->  Context
"""

from execsim.strategy.algos.execution import Execution, Report
from execsim.strategy.algos.router import start_router
from execsim.strategy.algos.start import start_iceberg, start_pov, start_twap, start_vwap
from execsim.strategy.algos.tactics import State, Style, Tactics, Voids

__all__ = [
    "Execution",
    "Report",
    "State",
    "Style",
    "Tactics",
    "Voids",
    "start_iceberg",
    "start_pov",
    "start_router",
    "start_twap",
    "start_vwap",
]
