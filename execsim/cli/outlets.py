"""Options of `execsim run` that open a run to people and machines who watch it: metrics and the log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from execsim.cli.live import say
from execsim.core.units import NS_PER_S

if TYPE_CHECKING:
    from execsim.observe.publish import Outlet, Publisher

PORT_MAX = 65_535

MetricsPort = Annotated[
    int | None,
    typer.Option("--metrics-port", metavar="PORT", min=0, max=PORT_MAX, help="Prometheus at 127.0.0.1:PORT; 0: any"),
]
MetricsWs = Annotated[
    int | None,
    typer.Option("--metrics-ws", metavar="PORT", min=0, max=PORT_MAX, help="JSON frames, WebSocket at 127.0.0.1:PORT"),
]
MetricsFile = Annotated[
    Path | None, typer.Option("--metrics-file", metavar="PATH", help="Write the same frames to a file, one a line")
]
MetricsEvery = Annotated[
    float | None,
    typer.Option("--metrics-every", metavar="SECONDS", min=0.001, help="Run time between two looks at the metrics"),
]
LogLevel = Annotated[
    str | None,
    typer.Option(
        "--log-level",
        metavar="LEVEL",
        help="Log from here: debug, info, warning, error, critical; default: error, with --live and --paper warning",
    ),
]
LogFormat = Annotated[str, typer.Option("--log-format", metavar="text|json", help="A line of the log on stderr")]


@contextmanager
def watched(
    port: int | None, ws_port: int | None, file: Path | None, every_s: float | None
) -> Iterator[Publisher | None]:
    """Open what was asked for, say where it is, and close it at the end; None when nothing was.

    Errors: ConfigError for a port that is taken and a file that cannot be written.
    """
    if port is None and ws_port is None and file is None:
        yield None
        return
    # servers and their libraries: only for those who want them
    from execsim.observe.publish import Publisher

    with ExitStack() as stack:
        outlets: list[Outlet] = []

        def open_outlet(outlet: Outlet) -> None:
            stack.callback(outlet.close)
            outlets.append(outlet)

        if file is not None:
            from execsim.observe.jsonlines import FrameFile

            open_outlet(FrameFile(file))
        if port is not None:
            from execsim.observe.prometheus import PrometheusPage

            page = PrometheusPage(port)
            open_outlet(page)
            say(f"metrics at {page.url}")
        if ws_port is not None:
            from execsim.observe.websocket import FrameServer

            server = FrameServer(ws_port)
            open_outlet(server)
            say(f"metrics at {server.url}")
        yield Publisher(outlets, None if every_s is None else round(every_s * NS_PER_S))
