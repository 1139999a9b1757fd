"""The `headgate` command: its options and subcommands."""

import sys
from typing import Annotated

import typer

from headgate.cli import (
    agent_commands,
    apply_commands,
    calls,
    completion_commands,
    config_commands,
    create_commands,
    drift_commands,
    explain_commands,
    log_commands,
    master_commands,
    metrics_commands,
    node_commands,
    password_commands,
    plane_commands,
    remote_commands,
    rollout_commands,
    rotate_commands,
    tap_commands,
    token_commands,
    up_commands,
)
from headgate.cli.dev.app import app as dev
from headgate.cli.nginx.app import app as nginx
from headgate.cli.nginx.hold import hold
from headgate.cli.output import FAILED, Format, Output, show
from headgate.cli.remote.errors import ContextError, MasterError
from headgate.cli.unanswered import UnansweredError
from headgate.kernel import collector

app = typer.Typer(
    name="headgate",
    help="A reverse proxy: one declarative config, a Rust data plane.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        version()
        raise typer.Exit


@app.callback()
def root(
    show_version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", is_eager=True, callback=_print_version),
    ] = False,
) -> None:
    """A reverse proxy: one declarative config, a Rust data plane."""


def version(output: Output = Format.TEXT) -> None:
    """Show the version.

    \b
    Example:
      headgate version --output json
    """
    from headgate.node.about import version as installed

    show({"version": installed()}, output, lambda value: f"headgate {value['version']}\n")


def main() -> None:
    """Runs the command line. Exit codes: 0 success, 1 failure, 2 usage error, 78 bad config; 3 to 6
    are the ends of a rollout that was waited for."""
    collector.relax()  # before commands import what they need
    try:
        app()
    except (calls.NoNodeError, UnansweredError, ContextError, MasterError) as error:
        sys.stderr.write(f"headgate: {error}\n")
        sys.exit(FAILED)
    except BrokenPipeError:
        sys.exit(FAILED)


for command in (
    *node_commands.COMMANDS,
    *agent_commands.COMMANDS,
    *plane_commands.COMMANDS,
    *up_commands.COMMANDS,
    *config_commands.COMMANDS,
    *explain_commands.COMMANDS,
    *remote_commands.COMMANDS,
    *metrics_commands.COMMANDS,
    *log_commands.COMMANDS,
    *tap_commands.COMMANDS,
    *apply_commands.COMMANDS,
    *completion_commands.COMMANDS,
    *password_commands.COMMANDS,
    hold,
    version,
):
    app.command()(command)
app.add_typer(nginx)
app.add_typer(dev)
for group in (
    *master_commands.APPS,
    *remote_commands.APPS,
    *create_commands.APPS,
    *token_commands.APPS,
    *drift_commands.APPS,
    *rollout_commands.APPS,
    *rotate_commands.APPS,
):
    app.add_typer(group)
