"""`headgate hold` and `headgate nginx hold`: the node leaves nginx alone for a while."""

import getpass
import time
from typing import Annotated

import typer

from headgate.cli.output import Format, Output, complain, show
from headgate.cli.places import InstanceName, NodeName, StateDir, node_dir


def hold(
    duration: Annotated[
        str | None, typer.Argument(help='How long to hold, as "30m" or "2h".', metavar="DURATION")
    ] = None,
    reason: Annotated[
        str,
        typer.Option("--reason", help="The reason, shown wherever the hold is.", metavar="TEXT"),
    ] = "",
    release: Annotated[bool, typer.Option("--release", help="End the hold.")] = False,
    state: StateDir = None,
    node: NodeName = None,
    instance: InstanceName = None,
    output: Output = Format.TEXT,
) -> None:
    """Stop the node from changing nginx (applies and heals) until the hold expires.

    Use it to keep an emergency fix made by hand. It works without a running node. Without
    DURATION it shows the current hold.

    \b
    Examples:
      headgate hold 30m --reason "cert fix, see #123"
      headgate hold
      headgate hold --release
    """
    from headgate.engines.nginx.apply.hold import (
        BadHoldError,
        read_hold,
        release_hold,
        set_hold,
    )
    from headgate.kernel.errors import Invalid
    from headgate.kernel.units import Duration

    root = node_dir(state, node, instance) / "nginx"
    if release:
        was_there = release_hold(root)
        show(
            {"held": False}, output, lambda _: "released\n" if was_there else "there was no hold\n"
        )
        return
    if duration is None:
        try:
            found = read_hold(root)
        except BadHoldError as error:
            raise complain(str(error)) from None
        show(found, output, lambda one: f"{one.text(time.time())}\n" if one else "not held\n")
        return
    try:
        seconds = Duration.parse(duration).ms / 1000
    except Invalid as error:
        raise typer.BadParameter(str(error), param_hint="DURATION") from None
    if not reason.strip() or seconds <= 0:
        raise typer.BadParameter("say why, and for how long", param_hint="--reason")
    try:
        made = set_hold(root, seconds, reason.strip(), _who())
    except OSError as error:
        raise complain(f"{root}: {error.strerror}") from None
    show(made, output, lambda one: f"{one.text(time.time())}\n")


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command()(hold)
