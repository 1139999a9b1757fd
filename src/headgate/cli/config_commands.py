"""The commands about a config: nothing runs, nothing is changed."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli.output import Format, Output
from headgate.cli.places import Configs, Engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from headgate.compile.loaded import Loaded
    from headgate.kernel.diagnostics import Diagnostic

ConfigOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--config", "-c", help="A config file or directory.", metavar="CONFIG", parser=Path
    ),
]

ComparedSet = Annotated[
    str,
    typer.Option(
        "--set", metavar="NAME", help="With -f: compare only with the objects of this set."
    ),
]
ComparedFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--file",
        "-f",
        metavar="PATH",
        parser=Path,
        help="Documents to compare with what a master has.",
    ),
]
MasterContext = Annotated[
    str,
    typer.Option(
        "--context", envvar="HEADGATE_CONTEXT", metavar="NAME", help="The master's context."
    ),
]


def check(
    configs: Configs = None,
    engine: Annotated[
        Engine | None, typer.Option(help="The engine to check for, instead of `node.engine`.")
    ] = None,
    quarantine: Annotated[
        bool,
        typer.Option(
            "--quarantine",
            help="Check the files like those of a provider, such as a master: an object with an "
            "error is quarantined alone.",
        ),
    ] = False,
    output: Output = Format.TEXT,
) -> None:
    """List every error in a config, and warn about probable mistakes.

    The exit code is 78 if a node would refuse the config. If the engine is nginx, the command asks
    the nginx of this host what it accepts. Without CONFIG, it checks the environment variables.

    \b
    Examples:
      headgate check headgate.toml --output json
      headgate check headgate.toml --engine nginx
    """
    from headgate.cli.check import check as judge
    from headgate.compile.routing import shadows
    from headgate.compile.sources import Given, Trust
    from headgate.model.environment import for_engine

    if quarantine and not configs:
        raise typer.BadParameter("name the files", param_hint="CONFIG")

    given: list[Path | Given] = [*(configs or [])]
    if quarantine:
        given = [Given(path, Trust.QUARANTINE) for path in configs or []]
    raise typer.Exit(
        judge(
            given,
            output.value,
            shadows=shadows,
            objections=_objections(engine),
            env=for_engine(os.environ, "" if engine is None else engine.value),
            stream=sys.stdout,
        )
    )


def _objections(engine: Engine | None) -> "Callable[[Loaded], tuple[Diagnostic, ...]]":
    """Returns a function that lists what the chosen engine,
    or else the config's engine, refuses.
    """

    def found(loaded: "Loaded") -> "tuple[Diagnostic, ...]":
        chosen = engine or (loaded.node.engine if loaded.node is not None else Engine.NATIVE)
        if chosen == Engine.NGINX:
            from headgate.cli.nginx.rendering import refused

            return refused(loaded)
        from headgate.compile.located import located
        from headgate.engines.native.sizes import too_large

        if loaded.plan is None:
            return ()
        found = too_large(loaded.plan, loaded.blobs)
        return located(loaded, [(one.kind, one.name, one.path, one.message) for one in found])

    return found


def test(
    file: Annotated[Path, typer.Argument(help="Test cases in TOML, YAML or JSON.")],
    config: ConfigOption = None,
    output: Output = Format.TEXT,
) -> None:
    """Check that requests take the routes that a file of test cases expects, for your own CI.

    The file names its config, or --config does. The exit code is 1 if a case fails.

    \b
    Example:
      headgate test routes.test.toml --config headgate.toml
    """
    from headgate.cli.test import test as tried

    raise typer.Exit(tried(file, config or (), output.value, stream=sys.stdout, errors=sys.stderr))


def diff(
    old: Annotated[
        Path | None,
        typer.Argument(help="A config file or directory.", metavar="OLD", parser=Path),
    ] = None,
    new: Annotated[
        Path | None,
        typer.Argument(help="Another config file or directory.", metavar="NEW", parser=Path),
    ] = None,
    requests: Annotated[
        Path | None,
        typer.Option(help="An access log; show which of its requests would take another route."),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The scheme and host for log lines that have none."),
    ] = None,
    file: ComparedFiles = None,
    set_name: ComparedSet = "",
    fleet: Annotated[
        str, typer.Option(metavar="NAME", help="Compare with a revision of this fleet.")
    ] = "",
    revision: Annotated[
        str, typer.Option(metavar="NUMBER", help="The revision: a number, `served` or `newest`.")
    ] = "served",
    node: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Compare what this agent got with what it would get now."
        ),
    ] = "",
    context: MasterContext = "",
    output: Output = Format.TEXT,
) -> None:
    """Show which objects differ between two configs, and which logged requests change route.

    With -f or --fleet one side is what a master has: documents are compared with the resources of
    the workspace, or with a revision of a fleet; --fleet alone compares the workspace's resources
    with that revision. Objects that only the master has are shown as removed. With --node both
    sides use the values of that node.

    \b
    Examples:
      headgate diff old.toml new.toml --requests access.log
      headgate diff -f config/
      headgate diff -f shop/ --set shop
      headgate diff -f config/ --fleet edge --revision newest
      headgate diff --fleet edge --node edge-1
    """
    _require_sides(bool(file), bool(fleet), node, set_name)
    if file or fleet:
        if old is not None or requests is not None:
            raise typer.BadParameter("name files, or use -f and --fleet; not both")
        from headgate.cli.remote import comparing
        from headgate.cli.remote_commands import opened

        asked = comparing.Asked(file or [], fleet, revision, node, set_name)
        raise typer.Exit(comparing.diff(opened(context), asked, output.value))
    if old is None or new is None:
        raise typer.BadParameter("name two configs, or compare with a master: -f PATH, --fleet")
    from headgate.cli.diff import Log
    from headgate.cli.diff import diff as differ

    log = Log(requests, base) if requests is not None else None
    raise typer.Exit(differ(old, new, log, output.value, stream=sys.stdout, errors=sys.stderr))


def _require_sides(has_files: bool, has_fleet: bool, node: str, set_name: str) -> None:
    """Raises BadParameter for options that go with others."""
    if node and (has_files or not has_fleet):
        raise typer.BadParameter("--node needs --fleet, and no files")
    if set_name and (has_fleet or not has_files):
        raise typer.BadParameter("--set needs -f, and no --fleet")


def schema() -> None:
    """Print the JSON Schema of the config, for editors and CI.

    \b
    Example:
      headgate schema > headgate.schema.json
    """
    from headgate.cli.schema import schema as text

    sys.stdout.write(text())


COMMANDS = (check, test, diff, schema)
