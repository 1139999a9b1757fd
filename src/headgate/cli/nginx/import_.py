"""`headgate nginx import`: turns an nginx config into a headgate config, with every directive."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from headgate.cli.output import BAD_CONFIG, USAGE, Format, Output, complain, show


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
    output: Output = Format.TEXT,
) -> None:
    """Turn an nginx config into a headgate config; directives without counterpart stay verbatim.

    The report lists what was converted, what was kept and why, what behaves differently, and what
    is risky. Without --into nothing is written, and nginx's own files never change. A config that
    cannot be imported as a whole is refused with file, line and directive.

    \b
    Examples:
      headgate nginx import /etc/nginx --into imported
      headgate nginx import --running --output json
    """
    from headgate.engines.nginx.importing.bundle import to_files
    from headgate.engines.nginx.importing.imported import ImportRefusedError
    from headgate.engines.nginx.importing.recognise import import_tree
    from headgate.engines.nginx.importing.report import report, to_text
    from headgate.engines.nginx.importing.source import (
        NoSourceError,
        tree_at,
        tree_of_running,
        write_bundle,
    )
    from headgate.engines.nginx.linting.lint import lint
    from headgate.engines.nginx.types import RightMissingError
    from headgate.kernel.collector import paused

    if (path is None) == (not running):
        raise complain("there is no config to import; give a PATH or --running, not both", USAGE)
    try:
        tree = tree_at(path) if path is not None else tree_of_running(pid)
        with paused():
            imported = import_tree(tree)
    except (NoSourceError, RightMissingError, LookupError) as error:
        raise complain(str(error)) from None
    except ImportRefusedError as error:
        for problem in error.problems:
            sys.stderr.write(f"{problem}\n")
        raise complain("refused; nothing was changed", BAD_CONFIG) from None
    if into is not None:
        try:
            write_bundle(to_files(imported, str(into.absolute())), into)
        except OSError as error:
            raise complain(f"{into}: {error.strerror}") from None
    show(report(imported, lint(tree)), output, to_text)


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("import")(import_)
