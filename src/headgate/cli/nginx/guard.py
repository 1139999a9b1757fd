"""`headgate nginx guard`: makes the last verified release `current` before nginx starts."""

from pathlib import Path
from typing import Annotated

import typer

from headgate.cli.output import FAILED
from headgate.cli.places import InstanceName, NodeName, StateDir, node_dir


def guard(
    root: Annotated[
        Path | None,
        typer.Option(
            help="The nginx folder of the node. [default: STATE_DIR/nginx]", metavar="DIR"
        ),
    ] = None,
    state: StateDir = None,
    node: NodeName = None,
    instance: InstanceName = None,
) -> None:
    """Make sure that nginx starts with the last verified release, even after a crash in an apply.

    Call it in `ExecStartPre=` of nginx's unit or in a container's entrypoint. It needs no running
    node. Exit code 0: nginx may start; 1: no verified release exists.

    \b
    Examples:
      headgate nginx guard
      headgate nginx guard --root /var/lib/headgate/default/nginx
    """
    from headgate.engines.nginx.apply.guard import main

    code = main(["--root", str(root or node_dir(state, node, instance) / "nginx")])
    if code:
        raise typer.Exit(FAILED)


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command()(guard)
