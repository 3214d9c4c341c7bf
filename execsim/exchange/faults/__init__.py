"""What goes wrong at venues, on purpose: named packs, each with the public report it comes from, switched by a schedule."""

from execsim.exchange.faults.desk import FaultDesk
from execsim.exchange.faults.effects import Effect, Levers
from execsim.exchange.faults.packs import PACKS, Pack, Part
from execsim.exchange.faults.schedule import Schedule

__all__ = ["PACKS", "Effect", "FaultDesk", "Levers", "Pack", "Part", "Schedule"]
