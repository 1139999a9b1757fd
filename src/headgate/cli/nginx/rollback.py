"""`headgate nginx rollback`: applies and verifies a release that served before."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli.output import FAILED, Format, Output, complain, show
from headgate.cli.places import InstanceName, NodeName, StateDir, node_dir

if TYPE_CHECKING:
    from headgate.engines.nginx.apply.results import Result


def rollback(
    release: Annotated[
        str | None,
        typer.Argument(
            help="The release's name or generation. [default: previous]", metavar="RELEASE"
        ),
    ] = None,
    hold: Annotated[
        str,
        typer.Option(
            "--hold", help='How long to hold nginx afterwards, so that nothing undoes it; or "off".'
        ),
    ] = "30m",
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT")] = "rolled back by hand",
    exact: Annotated[
        bool,
        typer.Option(
            "--exact",
            help="Use the old certificates and password files of the release, not the current "
            "ones.",
        ),
    ] = False,
    state: StateDir = None,
    node: NodeName = None,
    instance: InstanceName = None,
    output: Output = Format.TEXT,
) -> None:
    """Make nginx serve an earlier release; this works without a running node.

    Certificates that were renewed and credentials that were revoked since then stay that way. The
    release is tested and verified like any other, and undone if it does not serve.

    \b
    Examples:
      headgate nginx rollback
      headgate nginx rollback 17 --hold 2h --reason "17 was the last without 502s"
    """
    from headgate.engines.nginx.apply.results import Rejected
    from headgate.kernel.errors import Invalid
    from headgate.kernel.units import Duration

    try:
        seconds = 0.0 if hold == "off" else Duration.parse(hold).ms / 1000
    except Invalid as error:
        raise typer.BadParameter(str(error), param_hint="--hold") from None
    root = node_dir(state, node, instance) / "nginx"
    result = _rolled_back(root, release, exact=exact, hold_s=seconds, reason=reason)
    if isinstance(result, Rejected):
        raise complain(result.text(), FAILED)
    show(result, output, lambda one: f"serves release {one.release}, verified\n")


def _rolled_back(
    root: Path, release: str | None, *, exact: bool, hold_s: float, reason: str
) -> "Result":
    """Returns how it ended; held before a node could object, and not held if it did not succeed."""
    from headgate.engines.nginx.apply.carry import NotCarriedError
    from headgate.engines.nginx.apply.here import NotHereError, recall
    from headgate.engines.nginx.apply.hold import BadHoldError, read_hold, release_hold, set_hold
    from headgate.engines.nginx.apply.results import Applied
    from headgate.engines.nginx.apply.rollback import NoReleaseError, choose, roll_back
    from headgate.engines.nginx.releases.disk import NoSpaceError
    from headgate.engines.nginx.releases.lock import BusyError
    from headgate.engines.nginx.releases.objects import DamagedObjectError
    from headgate.engines.nginx.releases.store import Store, UnknownReleaseError

    try:
        here = recall(root)
        store = Store(root, group=here.group)
        choose(store, release)
        was_held = read_hold(root) is not None
    except (NotHereError, NoReleaseError, BadHoldError) as error:
        raise complain(str(error)) from None
    if hold_s:
        typer.echo(set_hold(root, hold_s, reason).text(time.time()), err=True)
    is_served = False
    refused = (NotCarriedError, BusyError, UnknownReleaseError, DamagedObjectError, NoSpaceError)
    try:
        result = roll_back(here.applier(root), store, release, exact=exact)
        is_served = isinstance(result, Applied)
        return result
    except (*refused, OSError) as error:
        raise complain(str(error)) from None
    finally:
        if hold_s and not is_served and not was_held:
            release_hold(root)


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command()(rollback)
