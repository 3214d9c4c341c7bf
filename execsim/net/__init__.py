"""Transports over sockets: bytes to a venue and back. `framing`: JSON lines, sans-IO; `lines`: their TCP client."""

from execsim.net.lines import LinesTransport

__all__ = ["LinesTransport"]
