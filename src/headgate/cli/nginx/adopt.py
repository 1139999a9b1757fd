"""`headgate nginx adopt`: shows everything about a running nginx without changing it."""

import signal
import sys
import threading
from types import FrameType
from typing import Annotated

import typer

from headgate.cli.output import Format, Output, complain, show


def adopt(
    pid: Annotated[
        int | None, typer.Option(min=1, help="The master's pid, if several run.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.1, max=600, help="How many seconds to measure rates.")
    ] = 3.0,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh until interrupted.")] = False,
    ask_status: Annotated[
        bool,
        typer.Option(
            "--ask-status",
            help="Ask the status page even if that adds a line to an access log.",
        ),
    ] = False,
    output: Output = Format.TEXT,
) -> None:
    """Show a running nginx: its hosts, routes, certificates, lint findings and rates.

    The command changes nothing: it reads files, follows the logs and makes a TLS handshake with
    each TLS listener. It needs the right to read nginx's config, which usually means root.

    \b
    Examples:
      headgate nginx adopt
      headgate nginx adopt --watch
      headgate nginx adopt --output json --seconds 10
    """
    from headgate.cli.nginx import adopt_view
    from headgate.engines.nginx.observe.masters import running
    from headgate.engines.nginx.watch.adoption import adopt as looked_at

    found = [one for one in running() if pid is None or one.master.pid == pid]
    if not found:
        where = f" with pid {pid}" if pid is not None else ""
        raise complain(
            f"no nginx master{where} runs here, or this user cannot see it; try again as root"
        )
    every = [looked_at(one, ask_logged_status=ask_status) for one in found]
    if not watch:
        pictures = [one.now(seconds) for one in every]
        show(pictures, output, lambda all_: "".join(adopt_view.text(one) for one in all_))
        return
    stop = _interrupted()
    try:
        while not stop.is_set():
            for one in every:
                picture = one.now(seconds)
                if output is Format.JSON:
                    show(picture, output, adopt_view.live_text)
                else:
                    sys.stdout.write(adopt_view.live_text(picture))
            sys.stdout.flush()
    except KeyboardInterrupt:
        return


def _interrupted() -> threading.Event:
    """Returns an event that Ctrl-C sets; Ctrl-C also interrupts what waits.

    The exception alone can get lost: Python drops one that is raised while it frees an object.
    """
    event = threading.Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        event.set()
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, interrupt)
    return event


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command()(adopt)
