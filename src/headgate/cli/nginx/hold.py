"""`headgate hold` and `headgate nginx hold`: the node leaves nginx alone for a while."""

import getpass
import time
from pathlib import Path
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

    Use it to keep an emergency fix made by hand. It works without a running node, on an nginx that
    one has driven. Without DURATION it shows the current hold.

    \b
    Examples:
      headgate hold 30m --reason "cert fix, see #123"
      headgate hold
      headgate hold --release
    """
    from headgate.engines.nginx.apply.hold import BadHoldError, read_hold, release_hold, set_hold

    seconds = None if release or duration is None else _seconds(duration, reason)
    root = node_dir(state, node, instance) / "nginx"
    _require_nginx(root)
    found, said = None, "there was no hold\n"
    try:
        if release:
            said = "released\n" if release_hold(root) else said
        elif seconds is None:
            found = read_hold(root)
        else:
            found = set_hold(root, seconds, reason.strip(), _who())
    except BadHoldError as error:
        raise complain(str(error)) from None
    except OSError as error:
        raise complain(f"{root}: {error.strerror}") from None
    if release:
        show({"held": False}, output, lambda _: said)
    else:
        show(found, output, lambda one: f"{one.text(time.time())}\n" if one else "not held\n")


def _seconds(duration: str, reason: str) -> float:
    """Returns how long to hold; no time and no reason are usage errors."""
    from headgate.kernel.errors import Invalid
    from headgate.kernel.units import Duration

    try:
        seconds = Duration.parse(duration).ms / 1000
    except Invalid as error:
        raise typer.BadParameter(str(error), param_hint="DURATION") from None
    if not reason.strip() or seconds <= 0:
        raise typer.BadParameter("say why, and for how long", param_hint="--reason")
    return seconds


def _require_nginx(root: Path) -> None:
    """Refuses a folder of which no node knows: nobody would see the hold."""
    from headgate.engines.nginx.apply.here import INSTANCE

    try:
        (root / INSTANCE).stat()
    except (FileNotFoundError, NotADirectoryError):
        raise complain(
            f"no nginx is driven from {root}; name the node with --node or --state-dir, or try "
            "again as the node's user"
        ) from None
    except OSError as error:
        raise complain(f"{root}: {error.strerror}") from None


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command()(hold)
