"""What leaves the process for people and machines that watch it."""

from execsim.observe.logs import init_logging
from execsim.observe.masks import conceal

__all__ = ["conceal", "init_logging"]
