"""`headgate nginx upgrade`: replaces the running nginx with the binary on disk."""

from typing import Annotated

import typer

from headgate.cli.output import FAILED, Format, Output, complain, show
from headgate.cli.places import InstanceName, NodeName, StateDir, node_dir


def upgrade(
    soak: Annotated[
        str, typer.Option("--soak", help="How long the new binary must keep answering.")
    ] = "5s",
    drain: Annotated[
        str, typer.Option("--drain", help="How long old workers may take to finish.")
    ] = "1m",
    state: StateDir = None,
    node: NodeName = None,
    instance: InstanceName = None,
    output: Output = Format.TEXT,
) -> None:
    """Replace the running nginx with the binary on disk, without refusing a connection.

    The new master starts on the old master's sockets; the old one quits after the new workers
    have answered throughout the soak. If a step fails, everything is undone. An interrupted
    upgrade is resumed. This works without a running node.

    \b
    Examples:
      headgate nginx upgrade
      headgate nginx upgrade --soak 1m
    """
    from headgate.engines.nginx.apply.here import NotHereError, recall
    from headgate.engines.nginx.apply.statussocket import ask
    from headgate.engines.nginx.common.types import Process, RightMissingError
    from headgate.engines.nginx.instance import NginxInstance
    from headgate.engines.nginx.releases.lock import BusyError, locked
    from headgate.engines.nginx.upgrade import State, Times
    from headgate.engines.nginx.upgrade import upgrade as upgraded
    from headgate.kernel.errors import Invalid
    from headgate.kernel.units import Duration

    root = node_dir(state, node, instance) / "nginx"
    try:
        times = Times(soak=Duration.parse(soak).ms / 1000, leave=Duration.parse(drain).ms / 1000)
        here = recall(root)
        if here.place.is_sidecar:
            raise complain(
                "nginx runs in another container and cannot be replaced from here; "
                "deploy a new image of that container"
            )
        running = NginxInstance(here.place)

        def serves(new: Process) -> bool:
            answer = ask(here.settings.status_socket)
            workers = {worker.pid for worker in running.workers_of(new)}
            return answer is not None and answer.pid in workers

        with locked(root):
            result = upgraded(running, serves, times)
    except Invalid as error:
        raise typer.BadParameter(str(error)) from None
    except (NotHereError, BusyError, RightMissingError, ProcessLookupError) as error:
        raise complain(str(error)) from None
    if result.state is not State.DONE:
        raise complain(f"{result.state}: {result.why}", FAILED)
    digest = running.running_digest()
    show(result, output, lambda _: f"runs the binary on disk ({(digest or 'unknown')[:12]})\n")


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command()(upgrade)
