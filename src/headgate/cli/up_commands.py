"""The command that tries a whole fleet on one machine."""

import os
from pathlib import Path
from typing import Annotated

import typer

from headgate.cli.output import FAILED, complain

Proxy = Annotated[
    str,
    typer.Option(metavar="ADDRESS", help="The address where the node serves the demo upstreams."),
]
Listen = Annotated[
    str, typer.Option(metavar="ADDRESS", help="The address of the master's REST API.")
]
Agents = Annotated[str, typer.Option(metavar="ADDRESS", help="The address where agents connect.")]
Admin = Annotated[str, typer.Option(metavar="ADDRESS", help="The address of the node's admin API.")]
UpstreamPort = Annotated[
    int,
    typer.Option(min=1, max=65_533, help="The first of the three ports of the demo upstreams."),
]
Data = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="The directory that keeps everything; remove it to start anew."
    ),
]


def up(
    proxy: Proxy = "127.0.0.1:8000",
    listen: Listen = "127.0.0.1:8080",
    agents_listen: Agents = "127.0.0.1:8443",
    admin: Admin = "127.0.0.1:9090",
    upstream_port: UpstreamPort = 9101,
    data: Data = None,
) -> None:
    """Try a fleet here: a master on SQLite, an agent with the native engine, three upstreams.

    The first start sets the master up, publishes a config, waits until the agent serves it,
    and prints a link that makes you the administrator. `headgate agents`, `apply` and other
    commands get access to this master with the context `up`.

    \b
    Examples:
      headgate up
      headgate up --proxy 127.0.0.1:8100 --data /tmp/fleet
    """
    import asyncio

    from headgate.cli.up.children import UpError
    from headgate.cli.up.running import Places, run

    folder = (data or directory()).absolute()
    places = Places(folder, proxy, listen, agents_listen, admin, upstream_port)
    try:
        code = asyncio.run(run(places))
    except UpError as error:
        raise complain(str(error), FAILED) from error
    raise typer.Exit(code)


def directory() -> Path:
    """Returns where everything is kept without `--data`."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    return Path(state) / "headgate-up"


COMMANDS = (up,)
