"""`headgate nginx`: a verb a file, each with `register(app)`; add yours to `VERBS`."""

from collections.abc import Callable
from typing import Final

import typer

from headgate.cli.nginx import adopt, diff, guard, hold, import_, render, rollback, status, upgrade

VERBS: Final[tuple[Callable[[typer.Typer], None], ...]] = (
    adopt.register,
    import_.register,
    render.register,
    diff.register,
    status.register,
    rollback.register,
    hold.register,
    guard.register,
    upgrade.register,
)
"""`register` of each module, in the order of the help."""

app = typer.Typer(
    name="nginx",
    help="Manage an nginx: import its config, render for it, watch it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

for _register in VERBS:
    _register(app)

COMMANDS = (hold.hold,)
APPS = (app,)
