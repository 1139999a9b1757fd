"""`headgate nginx rollback`: applies and verifies a release that served before."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli.output import FAILED, Format, Output, complain, show
from headgate.cli.places import InstanceName, NodeName, StateDir, node_dir

if TYPE_CHECKING:
    from headgate.engines.nginx.apply.hold import Hold
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
    release is tested and verified like any other, and undone if it does not serve. A hold that
    ends later stays as it is.

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
    """Returns how it ended; held before a node could object, and as before without success."""
    from headgate.engines.nginx.apply.carry import NotCarriedError
    from headgate.engines.nginx.apply.here import NotHereError, recall
    from headgate.engines.nginx.apply.hold import BadHoldError, read_hold
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
        held = before = read_hold(root)
    except (NotHereError, NoReleaseError, BadHoldError) as error:
        raise complain(str(error)) from None
    is_served = False
    refused = (NotCarriedError, BusyError, UnknownReleaseError, DamagedObjectError, NoSpaceError)
    try:
        if hold_s:
            held = _held(root, before, hold_s, reason)
            typer.echo(held.text(time.time()), err=True)
        result = roll_back(here.applier(root), store, release, exact=exact)
        is_served = isinstance(result, Applied)
        return result
    except (*refused, OSError) as error:
        raise complain(str(error)) from None
    finally:
        if held is not before and not is_served:
            _as_before(root, before)


def _held(root: Path, before: "Hold | None", hold_s: float, reason: str) -> "Hold":
    """Returns the hold that there is now: the one before, if it ends later."""
    from headgate.engines.nginx.apply.hold import set_hold

    if before is not None and before.until > time.time() + hold_s:
        return before
    return set_hold(root, hold_s, reason)


def _as_before(root: Path, before: "Hold | None") -> None:
    from headgate.engines.nginx.apply.hold import release_hold, restore_hold

    if before is None:
        release_hold(root)
    else:
        restore_hold(root, before)


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command()(rollback)
