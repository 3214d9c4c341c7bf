"""What leaves the process for people and machines that watch it."""

from execsim.observe.logs import init_logging

__all__ = ["init_logging"]
