"""The commands of `headgate`, by the modules that have them."""

import importlib
import os
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import typer

MODULES: Final[Mapping[str, tuple[str, ...]]] = {
    "node_commands": (
        *("run", "reload", "drain", "endpoint", "upgrade", "status", "events", "top"),
    ),
    "agent_commands": ("agent",),
    "plane_commands": ("dataplane", "control"),
    "up_commands": ("up",),
    "config_commands": ("check", "test", "diff", "schema"),
    "explain_commands": ("explain",),
    "remote_commands": (
        *("login", "logout", "get", "describe", "delete", "agents", "audit", "context"),
    ),
    "metrics_commands": ("fleet-metrics",),
    "log_commands": ("logs",),
    "tap_commands": ("tap",),
    "apply_commands": ("apply", "publish", "export"),
    "completion_commands": ("completion",),
    "password_commands": ("hash-password",),
    "nginx.app": ("hold", "nginx"),
    "version_commands": ("version",),
    "dev.app": ("dev",),
    "master_commands": ("master",),
    "create_commands": ("create",),
    "token_commands": ("tokens",),
    "drift_commands": ("drift",),
    "rollout_commands": ("rollout", "freeze"),
    "rotate_commands": ("rotate",),
}
"""The modules under `headgate.cli`, in the order of the help, with the words after `headgate` that
they serve: those of their `COMMANDS` and `APPS`."""

_COMPLETES: Final = "_HEADGATE_COMPLETE"
"""A shell that completes what is typed sets it."""


def _print_version(asked: bool) -> None:
    if asked:
        from headgate.cli.version_commands import version

        version()
        raise typer.Exit


def root(
    show_version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", is_eager=True, callback=_print_version),
    ] = False,
) -> None:
    """A reverse proxy: one declarative config, a Rust data plane."""


def program(arguments: Sequence[str] = ()) -> typer.Typer:
    """Returns the app for a command line: with all commands or, where the first argument is one,
    with those of its module. To import the others takes longer than most commands do."""
    words = set(arguments[:1]) if _COMPLETES not in os.environ else set()
    named = [name for name, served in MODULES.items() if words.intersection(served)]
    modules = [importlib.import_module(f"headgate.cli.{name}") for name in named or MODULES]
    app = typer.Typer(
        name="headgate",
        help=root.__doc__,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(root)
    for module in modules:
        for command in getattr(module, "COMMANDS", ()):
            app.command()(command)
    for module in modules:
        for group in getattr(module, "APPS", ()):
            app.add_typer(group)
    return app
