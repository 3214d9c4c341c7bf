"""`execsim serve SCENARIO`: put a scenario's exchange behind a protocol, for bots in other processes and languages."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from execsim.cli.run import SCENARIO_HELP
from execsim.core.errors import ConfigError, JournalError
from execsim.scenario import model

if TYPE_CHECKING:
    from execsim.ports import Desk

PORT_MAX = 65_535
SPEED_MAX = 100_000


def command(
    scenario: Annotated[str, typer.Argument(help=SCENARIO_HELP)],
    dialect: Annotated[str, typer.Option(help="The protocol to speak")] = "native",
    port: Annotated[int, typer.Option(min=0, max=PORT_MAX, help="0: any free port, printed at the start")] = 0,
    host: Annotated[str, typer.Option(help="Address to listen on; beyond loopback anybody can trade")] = "127.0.0.1",
    speed: Annotated[
        int | None,
        typer.Option(min=1, max=SPEED_MAX, help="How many times faster than recorded time passes; 1, or as it was"),
    ] = None,
    hold: Annotated[bool, typer.Option("--hold", help="The market waits until a client says `go`")] = False,
    latency: Annotated[
        bool, typer.Option(help="Simulate the scenario's latencies; --no-latency: only what the sockets take")
    ] = True,
    state: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep what comes in there, and go on from it when started again"),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random stream; the scenario's if not given")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one value; may be repeated")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the address on stderr")] = False,
) -> None:
    """Serve a scenario's exchange until Ctrl-C. Accounts and orders live as long as it runs, with --state beyond that."""
    from execsim import plugins

    factory = plugins.dialect(dialect)
    path = model.locate(scenario)
    checked = model.load(path, seed, list(settings or []))

    def say(what: str) -> None:
        if not quiet:
            print(f"execsim: {what}", file=sys.stderr, flush=True)

    from execsim.exchange.server import LinesServer, bind
    from execsim.journal import InputFile
    from execsim.kernel import is_warm, warm_up  # numba: a second that no other verb should wait for
    from execsim.runtime import HostedRuntime, Pacer
    from execsim.scenario.build import load_data
    from execsim.scenario.host import Host, Server
    from execsim.scenario.state import about

    if not is_warm():
        say("compiling the kernel, once on this machine (some seconds) ...")
    warm_up()
    spoken = factory()
    loaded = load_data(checked, path.parent)

    kept = None
    if state is not None:
        kept = InputFile(state, about(checked, loaded, path.parent, dialect, latency=latency))
    pacer = Pacer(HostedRuntime(checked.seed, loaded.start_ns), speed or 1, kept)
    stage = Host(checked, loaded, pacer, path.parent, spoken, latency=latency)
    server: Server
    if spoken.framing == "http":
        desk = _one_desk(dialect, stage.desks)
        make = _http_server()
        listening = bind(host, port)
        server = make(stage.door, spoken, desk, listening)
    else:
        listening = bind(host, port)
        server = LinesServer(stage.door, spoken, stage.desks, listening)
    address = ":".join(map(str, listening.getsockname()[:2]))
    if spoken.framing == "http":
        address = f"http://{address}"

    def ended() -> None:
        say("the market's data has ended; still answering, Ctrl-C stops")

    def broke(error: JournalError) -> None:
        print(f"execsim: JournalError: {error}; nothing is traded any more", file=sys.stderr, flush=True)
        server.hang_up()

    again = kept is not None and kept.count > 0
    if kept is not None and again:
        say(f"running {kept.count} inputs of {state} again ...")
        began = time.monotonic()
        stage.take_up(kept.inputs())
        now = datetime.fromtimestamp(stage.runtime.now_ns() / 1e9, UTC).isoformat(timespec="milliseconds")
        say(f"that took {time.monotonic() - began:.1f} s; the exchange goes on from {now}")

    def start() -> None:
        if again:
            pacer.resume(speed or pacer.speed, held=hold)
        else:
            pacer.begin(moving=not hold)
        print(f"execsim: serving {dialect} on {address}", file=sys.stderr, flush=True)
        if stage.ended:
            ended()
        elif not pacer.moving:
            say("the market waits for a client to say go")

    stage.on_ended, pacer.on_break = ended, broke

    # as Ctrl-C: asyncio's own way of ending a run
    # a shell starts what it puts in the background with SIGINT ignored: nothing would ever stop it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        asyncio.run(stage.run(server, start))
    except KeyboardInterrupt:
        say("stopped")
    finally:
        if kept is not None:
            kept.close()
    if pacer.broken is not None:
        raise pacer.broken


def _one_desk(dialect: str, desks: Mapping[str, Desk]) -> Desk:
    """A protocol over HTTP has no place for a venue's name: the venue of the dialect's name, or the only one."""
    if dialect in desks:
        return desks[dialect]
    if len(desks) > 1:
        raise ConfigError(f"the scenario has no venue {dialect}, but several", f"they are: {', '.join(desks)}")
    return next(iter(desks.values()))


def _http_server() -> Callable[..., Any]:
    try:
        from execsim.exchange.http_server import HttpServer
    except ImportError as error:
        raise ConfigError(
            f"serving HTTP needs {error.name}", "install the extra: pip install 'execsim[serve]'"
        ) from None
    return HttpServer
