"""`headgate nginx diff`: shows how applying a config would change nginx's files."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli.nginx.options import Binary, Configs
from headgate.cli.output import BAD_CONFIG, Format, Output, complain, show
from headgate.cli.places import InstanceName, NodeName, StateDir, node_dir

if TYPE_CHECKING:
    from headgate.cli.nginx.show_files import FileDiff


def diff(
    configs: Configs,
    root: Annotated[
        Path | None,
        typer.Option(
            help="The nginx folder of the node. [default: STATE_DIR/nginx]", metavar="DIR"
        ),
    ] = None,
    binary: Binary = None,
    state: StateDir = None,
    node: NodeName = None,
    instance: InstanceName = None,
    output: Output = Format.TEXT,
) -> None:
    """Show what applying a config would change in nginx's files, file by file.

    The current release is the base. Keys, passwords and values from secret files are not shown.

    \b
    Example:
      headgate nginx diff headgate.toml
    """
    from headgate.cli.nginx.rendering import BadConfigError, written
    from headgate.cli.nginx.show_files import differences
    from headgate.engines.nginx.capabilities import NotProbedError
    from headgate.engines.nginx.common.types import RightMissingError
    from headgate.engines.nginx.releases.objects import DamagedObjectError
    from headgate.engines.nginx.releases.store import Store, UnknownReleaseError
    from headgate.engines.nginx.upkeep.standing import standing
    from headgate.kernel.diagnostics import render_text

    folder = root or node_dir(state, node, instance) / "nginx"
    store = Store(folder)
    current = store.linked("current")
    try:
        before = store.read(current).files if current is not None else ()
        # The generation is the only text that differs between two renders of one plan.
        made = written(configs, folder, binary, current.generation if current else 1, standing)
    except BadConfigError as error:
        sys.stderr.write(render_text(error.diagnostics))
        raise typer.Exit(BAD_CONFIG) from None
    except (UnknownReleaseError, DamagedObjectError) as error:
        raise complain(str(error)) from None
    except (NotProbedError, RightMissingError, OSError) as error:
        raise complain(str(error)) from None
    now = {file.path: file for file in made.rendered.files}
    found = list(differences({file.path: file for file in before}, now, made.loaded.secrets))
    show(found, output, lambda all_: _text(all_) or "nothing would change\n")


def _text(found: "list[FileDiff]") -> str:
    return "".join("\n".join(one.lines or (f"{one.path}: {one.change}",)) + "\n" for one in found)


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command()(diff)
