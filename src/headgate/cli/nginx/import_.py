"""`headgate nginx import`: turns an nginx config into a headgate config, with every directive."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli.output import BAD_CONFIG, USAGE, Format, Output, complain, show

if TYPE_CHECKING:
    from headgate.compile.routing import Question
    from headgate.engines.nginx.imports.imported import Imported
    from headgate.nginxtext.includes import Tree


def import_(
    path: Annotated[
        Path | None,
        typer.Argument(help="nginx.conf, its directory, or the output of `nginx -T`."),
    ] = None,
    running: Annotated[
        bool, typer.Option("--running", help="Import the config of the running nginx.")
    ] = False,
    pid: Annotated[
        int | None, typer.Option(min=1, help="The master's pid, if several run.")
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(help="Write headgate.toml, verbatim/ and import.json into this new folder."),
    ] = None,
    access_log: Annotated[
        Path | None,
        typer.Option(
            help="Try the requests of this log (JSON or combined) instead of generated ones."
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            help="The scheme and host of the requests of a combined log: https://a.example."
        ),
    ] = None,
    output: Output = Format.TEXT,
) -> None:
    """Turn an nginx config into a headgate config; directives without a counterpart stay verbatim.

    The report lists what was converted, what was kept and why, what behaves differently, what is
    risky, and which requests an engine would answer differently. Without --into nothing is written,
    and nginx's own files never change. A config that cannot be imported as a whole is refused; the
    error names the file, line and directive.

    \b
    Examples:
      headgate nginx import /etc/nginx --into imported
      headgate nginx import --running --output json
    """
    from headgate.engines.nginx.imports.bundle import to_files
    from headgate.engines.nginx.imports.report import report, to_text
    from headgate.engines.nginx.imports.samples import made, tried
    from headgate.engines.nginx.imports.source import write_bundle
    from headgate.engines.nginx.lint.lint import lint

    if (path is None) == (not running):
        raise complain("there is no config to import; give a PATH or --running, not both", USAGE)
    tree, imported = _import(path, pid)
    if into is not None:
        try:
            write_bundle(to_files(imported, str(into.absolute())), into)
        except OSError as error:
            raise complain(f"{into}: {error.strerror}") from None
    asked = made(tree) if access_log is None else _logged(access_log, base)
    found = tried(tree, imported, asked, is_made=access_log is None)
    show(report(imported, lint(tree), found), output, to_text)


def _import(path: Path | None, pid: int | None) -> "tuple[Tree, Imported]":
    """Returns the config at a path, else of the running nginx;
    ends the command where it is refused.
    """
    from headgate.engines.nginx.common.types import RightMissingError
    from headgate.engines.nginx.imports.imported import ImportRefusedError
    from headgate.engines.nginx.imports.recognise import import_tree
    from headgate.engines.nginx.imports.source import (
        NoSourceError,
        tree_at,
        tree_of_running,
        users_at,
    )
    from headgate.kernel.collector import paused

    try:
        tree = tree_at(path) if path is not None else tree_of_running(pid)
    except (NoSourceError, RightMissingError, LookupError) as error:
        raise complain(str(error)) from None
    try:
        with paused():
            return tree, import_tree(tree, users_at)
    except ImportRefusedError as error:
        for problem in error.problems:
            sys.stderr.write(f"{problem}\n")
        raise complain("refused; nothing was changed", BAD_CONFIG) from None


def _logged(log: Path, base: str | None) -> "list[tuple[Question, int]]":
    """Returns the requests of an access log;
    ends the command where it cannot be read or holds none.
    """
    from headgate.cli import accesslog
    from headgate.compile.logged import NEEDED

    try:
        found = accesslog.read_file(log, base)
    except OSError as error:
        raise complain(f"{log}: {error.strerror}", USAGE) from None
    if not found.questions:
        what = (
            "name another" if base else "name what its requests were sent to: --base https://HOST"
        )
        raise complain(f"{log} has no request that is read here; {what} ({NEEDED})", USAGE)
    return found.questions


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("import")(import_)
