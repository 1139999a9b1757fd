"""The commands that rotate a master's key and the fleet's certificate authority."""

import sys
from enum import StrEnum
from typing import Annotated, cast

import typer

from headgate.cli.remote.output import Output, Shape
from headgate.cli.remote_commands import ContextName, opened

rotate_app = typer.Typer(
    name="rotate",
    help="Rotate the master's key, or the fleet's certificate authority.",
    no_args_is_help=True,
)
APPS = (rotate_app,)


class Step(StrEnum):
    """The steps of a rotation, in their order."""

    ANNOUNCE = "announce"
    SWITCH = "switch"
    FINISH = "finish"


@rotate_app.command("status")
def status(context: ContextName = "", output: Output = Shape.YAML) -> None:
    """Show the keys and the authorities, and where a rotation stands.

    \b
    Example:
      headgate rotate status --output json
    """
    from headgate.cli.remote.output import show_object

    master = opened(context)
    found = {"authority": master.get("/master/authority"), "key": master.get("/master/key")}
    show_object(found, output)


@rotate_app.command("key")
def key(context: ContextName = "") -> None:
    """Seal every secret of the master with a new key.

    On SQLite the master makes the key and forgets the old one. On PostgreSQL put a new key first in
    the key file of every master, then run this once. If the command was interrupted, run it again:
    it continues where it stopped.

    \b
    Example:
      headgate rotate key
    """
    found = opened(context).ask("POST", "/master/key/rotation")
    keys = cast("list[dict[str, object]]", found["keys"])
    sys.stdout.write(f"the key {keys[0]['name']} seals all {keys[0]['secrets']} secrets\n")


@rotate_app.command("authority")
def authority(
    step: Annotated[
        Step, typer.Argument(metavar="STEP", help="The step: announce, switch or finish.")
    ],
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Continue even if agents are not ready; they must enrol again."
        ),
    ] = False,
    context: ContextName = "",
) -> None:
    """Take a step from the fleet's certificate authority to a new one.

    `announce` makes a second authority, and every connected agent learns to trust both. `switch`
    lets the new one issue, and every agent gets a certificate from it. `finish` removes the old
    one.
    A step is refused while an agent is not ready; `headgate rotate status` shows which.

    \b
    Example:
      headgate rotate authority announce
    """
    body = {"step": step.value, "is_forced": force}
    found = opened(context).ask("POST", "/master/authority/rotation", body)
    waiting = found["waiting"]
    sys.stdout.write(
        f"the rotation is {found['stage']}; {waiting} of {found['agents']} agents are not ready"
        " for the next step\n"
        if waiting
        else f"the rotation is {found['stage']}\n"
    )
