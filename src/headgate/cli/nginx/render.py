"""`headgate nginx render`: renders a config as nginx files."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from headgate.cli.nginx.options import Binary, Configs
from headgate.cli.output import BAD_CONFIG, Format, Output, complain
from headgate.cli.places import InstanceName, NodeName, StateDir, node_dir


def render(
    configs: Configs,
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "--output-dir", "-d", metavar="DIR", help="Write the files there; it must be empty."
        ),
    ] = None,
    binary: Binary = None,
    state: StateDir = None,
    node: NodeName = None,
    instance: InstanceName = None,
    output: Output = Format.TEXT,
) -> None:
    """Render a config for the nginx of this host, and print or write the files.

    If the config needs something that this nginx cannot do, the command names the place in the
    config and exits with 78. Keys are only written to --output-dir and never printed.

    \b
    Examples:
      headgate nginx render headgate.toml
      headgate nginx render headgate.toml --output-dir out --binary /usr/sbin/nginx
    """
    from headgate.cli.nginx.rendering import BadConfigError, written
    from headgate.cli.nginx.show_files import printed, write
    from headgate.engines.nginx.capabilities import NotProbedError
    from headgate.engines.nginx.common.types import RightMissingError
    from headgate.kernel.diagnostics import render_json, render_text

    root = node_dir(state, node, instance) / "nginx"
    try:
        made = written(configs, root, binary, 1)
    except BadConfigError as error:
        is_json = output is Format.JSON
        found = error.diagnostics
        sys.stderr.write(render_json(found).decode() + "\n" if is_json else render_text(found))
        raise typer.Exit(BAD_CONFIG) from None
    except (NotProbedError, RightMissingError, OSError) as error:
        raise complain(str(error)) from None
    for note in made.rendered.notes:
        sys.stderr.write(f"note: {note}\n")
    if output_dir is None:
        sys.stdout.write(
            printed(made.rendered, is_json=output is Format.JSON, secrets=made.loaded.secrets)
        )
        return
    try:
        write(made.rendered, output_dir)
    except OSError as error:
        raise complain(f"{error.filename or output_dir}: {error.strerror}") from None
    sys.stdout.write(f"{len(made.rendered.files)} files in {output_dir}\n")


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command()(render)
