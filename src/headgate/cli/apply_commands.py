"""The commands that bring documents to a master and back."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli import rollout_options as options
from headgate.cli.output import BAD_CONFIG, printable, printable_text
from headgate.cli.remote.output import Output, Shape
from headgate.cli.remote_commands import ContextName, FleetArgument, opened

if TYPE_CHECKING:
    from headgate.cli.remote.client import Master
    from headgate.cli.remote.documents import Gathered
    from headgate.cli.remote.publishing import Published
    from headgate.cli.remote.templating import Plan
    from headgate.cli.remote.waiting import Patience

Files = Annotated[
    list[Path],
    typer.Option(
        "--file", "-f", metavar="PATH", parser=Path, help="A document, or a directory of them."
    ),
]
SetName = Annotated[
    str,
    typer.Option("--set", metavar="NAME", help="The set that the objects of the documents are of."),
]
TakeOver = Annotated[
    bool,
    typer.Option(
        "--take-over", help="Also write objects that belong to another set; then to this one."
    ),
]
FleetOption = Annotated[
    str, typer.Option("--fleet", metavar="NAME", help="Also publish to this fleet, in waves.")
]
Seen = Annotated[
    bool,
    typer.Option(
        "--seen",
        help="With --preview: try recent requests of the fleet's nodes instead of generated ones.",
    ),
]
Message = Annotated[
    str, typer.Option("--message", "-m", metavar="TEXT", help="The reason, shown in the history.")
]


def apply(
    file: Files,
    preview: Annotated[
        bool, typer.Option("--preview", help="Show what would change, and change nothing.")
    ] = False,
    seen: Seen = False,
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Remove objects of the set that the documents lack."),
    ] = False,
    set_name: SetName = "default",
    take_over: TakeOver = False,
    fleet: FleetOption = "",
    message: Message = "",
    waves: options.Waves = options.DEFAULT_WAVES,
    soak: options.Soak = options.DEFAULT_SOAK_S,
    min_requests: options.MinRequests = options.DEFAULT_MIN_REQUESTS,
    gate: options.Gates = None,
    wait: options.Wait = False,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_S,
    hold_timeout: options.HoldTimeout = options.DEFAULT_HOLD_S,
    context: ContextName = "",
    output: Output = Shape.TABLE,
) -> None:
    """Change the resources of a workspace to what documents say, and with --fleet publish them.

    Applying the same documents again changes nothing. If the whole config would be invalid, nothing
    changes, and the exit code is 78.

    Each object belongs to a set: that of --set, or the set "default". An object that belongs to
    another set is refused, and nothing changes, unless --take-over is given. With --prune, objects
    of the set that the documents lack are removed; of the set "default" only those that you wrote
    last.

    An object may have `fleets = { NAME = "VALUE" }`: it goes only to fleets with all of these
    labels. Without `fleets`, that stays as it was, and a new object goes to every fleet.

    Documents may hold templates, as `templates.NAME`, and virtual hosts that are made from them, as
    `virtual_hosts.NAME`; --prune removes virtual hosts, but never templates.

    The folder that `headgate nginx import` wrote is a document, too: its kept text becomes the
    object `nginx_imports.FOLDER`, which needs the permission `resources.verbatim`.

    With --fleet the resources become a revision and a rollout begins, unless the fleet has them.
    With --wait the command follows it to its end; the exit codes are those of `headgate publish`.
    --wait without --fleet uses the workspace's only fleet.

    A preview shows for each fleet what its engines would do, and which requests would go elsewhere.

    \b
    Examples:
      headgate apply -f config/ --preview
      headgate apply -f config/ --preview --seen --fleet edge
      headgate apply -f config/ --prune --fleet edge --wait
      headgate apply -f shop/ --set shop --prune
    """
    from headgate.cli.remote import applying, publishing, templating

    _require_preview(seen, preview)
    terms = publishing.Terms(waves, soak, min_requests, gates=options.limits(gate))
    gathered = _gathered(file)
    master = opened(context)
    if _lacks_secrets(master, gathered):
        raise typer.Exit(BAD_CONFIG)
    target = publishing.chosen_fleet(master, fleet) if fleet or wait or seen else None
    asked = str(target["name"]) if target is not None and seen else None
    owner = applying.Owner(str(master.get("/auth/me")["id"]), set_name, take_over)
    plan = templating.planned(master, gathered, owner, prune=prune, seen=asked)
    _tell(plan.said.get("warnings"), "warning")
    if _tell(plan.said.get("errors"), "error"):
        raise typer.Exit(BAD_CONFIG)
    if not preview:
        _carry_out(master, plan)
    shown = _shown(plan, is_preview=preview)
    if output is Shape.TABLE:
        sys.stdout.writelines(f"{printable(line)}\n" for line in _lines(plan, is_preview=preview))
    if target is None or preview:
        _show(shown, output)
        return
    published = publishing.publish(master, target, message, terms)
    patience = options.patience(timeout, hold_timeout) if wait else None
    _bring(master, published, patience, shown, output)


def _require_preview(seen: bool, preview: bool) -> None:
    if seen and not preview:
        raise typer.BadParameter("it needs --preview", param_hint="--seen")


def publish(
    fleet: FleetArgument,
    message: Message = "",
    draft: Annotated[
        str | None, typer.Option(metavar="NAME", help="Also publish the changes of this draft.")
    ] = None,
    draft_tag: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION-ID",
            help="The draft as you looked at it, which `headgate get draft NAME -o yaml` shows: "
            "another one is refused. A draft of text that nginx runs needs it.",
        ),
    ] = None,
    only: Annotated[
        bool,
        typer.Option(
            "--no-rollout", help="Make the revision, but start no rollout; no agent serves it yet."
        ),
    ] = False,
    waves: options.Waves = options.DEFAULT_WAVES,
    soak: options.Soak = options.DEFAULT_SOAK_S,
    min_requests: options.MinRequests = options.DEFAULT_MIN_REQUESTS,
    gate: options.Gates = None,
    wait: options.Wait = False,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_S,
    hold_timeout: options.HoldTimeout = options.DEFAULT_HOLD_S,
    context: ContextName = "",
    output: Output = Shape.TABLE,
) -> None:
    """Make a revision of the workspace's resources, and roll it out to a fleet in waves.

    With --wait the exit code is 0 if every agent serves the revision, 3 if the rollout was undone,
    aborted or superseded, 4 if it holds and waits for a person, 5 if the time is over, and 6 if it
    succeeded but an agent, such as one that is offline, does not serve the revision.

    \b
    Examples:
      headgate publish edge -m "new upstream" --wait
      headgate publish edge --waves label:tier=canary,rest --soak 60
    """
    from headgate.cli.remote import publishing

    terms = publishing.Terms(waves, soak, min_requests, gates=options.limits(gate))
    master = opened(context)
    target = publishing.chosen_fleet(master, fleet)
    number = publishing.new_revision(master, target, message, draft, draft_tag)
    rollout = ""
    if not only:
        rollout = publishing.begin(master, str(target["id"]), number, terms)
    published = publishing.Published(target, number, rollout, is_new=True)
    patience = options.patience(timeout, hold_timeout) if wait and not only else None
    _bring(master, published, patience, {}, output)


def _bring(
    master: "Master",
    published: "Published",
    patience: "Patience | None",
    shown: dict[str, object],
    output: Shape,
) -> None:
    """Says which revision goes to the fleet; with patience, follows it to its end."""
    from headgate.cli.remote import publishing, rollout_view

    name, number, rollout = published.fleet["name"], published.revision, published.rollout
    shown |= {"fleet": name, "revision": number, "rollout": rollout or None}
    if output is Shape.TABLE:
        word = "is made" if published.is_new else "is there already"
        brings = f"; rollout {rollout} brings it" if rollout else ""
        sys.stdout.write(f"revision {number} of fleet {name} {word}{brings}\n")
    if patience is None:
        _show(shown, output)
        return
    if not rollout:
        end = publishing.await_serving(master, published, patience)
    elif output is Shape.TABLE:
        end = rollout_view.watch(master, rollout, patience)
    else:
        end = rollout_view.followed(master, rollout, patience)
    _show(shown | {"end": end.code.name.lower(), "text": end.text}, output)
    if output is Shape.TABLE or end.code:
        raise options.leave(end)


def _carry_out(master: "Master", plan: "Plan") -> None:
    """Writes everything; objects that virtual hosts name come before these."""
    from headgate.cli.remote import applying, templating

    owner = plan.owner
    applying.carry_out(master, [one for one in plan.resources if one.spec is not None], owner)
    for draft in templating.carry_out(master, plan.both, plan.steps, owner):
        sys.stderr.write(
            f"the draft {draft} has what other virtual hosts of a changed template become; publish"
            f" or remove it\n"
        )
    applying.carry_out(master, [one for one in plan.resources if one.spec is None], owner)


def _shown(plan: "Plan", *, is_preview: bool) -> dict[str, object]:
    """Returns what programs get."""
    from headgate.cli.remote import previewed

    done = [{"change": one.word, "kind": one.kind, "name": one.name} for one in plan.changes]
    shown: dict[str, object] = {"changes": done, "is_preview": is_preview}
    if is_preview and (nodes := previewed.nodes(plan.said)):
        shown["nodes"] = nodes
    if is_preview and (effects := previewed.effects(plan.said)):
        shown["fleets"] = effects
    return shown


def _lines(plan: "Plan", *, is_preview: bool) -> Iterator[str]:
    """Yields what people read."""
    from headgate.cli.remote import previewed

    for one in plan.changes:
        yield f"{one.word:8} {one.kind}/{one.name}"
    if not plan.changes:
        yield "everything is as the documents say"
    if is_preview:
        yield from previewed.text(plan.said)


def _show(shown: Mapping[str, object], output: Shape) -> None:
    """Prints the whole answer where a program reads it."""
    from headgate.cli.remote.output import show_object

    if output is not Shape.TABLE:
        show_object(shown, output)


def export(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", parser=Path, help="Where to write the documents.")
    ],
    set_name: Annotated[
        str, typer.Option("--set", metavar="NAME", help="Write only the objects of this set.")
    ] = "",
    context: ContextName = "",
) -> None:
    """Write the resources of a workspace as documents, one for each resource.

    Templates and virtual hosts are written instead of the resources that are made from them.

    \b
    Example:
      headgate export config/ && headgate apply -f config/ --preview
    """
    from headgate.cli.output import complain
    from headgate.cli.remote import applying, templating

    try:
        count = applying.write_out(templating.exported(opened(context), set_name), folder)
    except OSError as error:
        raise complain(f"{error.filename} cannot be written: {error.strerror}") from error
    sys.stdout.write(f"{count} documents are in {folder}\n")


def _gathered(files: Sequence[Path]) -> "Gathered":
    from headgate.cli.output import complain
    from headgate.cli.remote.documents import gather
    from headgate.kernel.diagnostics import render_text

    try:
        found = gather(files)
    except OSError as error:
        raise complain(f"{error.filename} cannot be read: {error.strerror}", BAD_CONFIG) from error
    if found.wrong:
        sys.stderr.write(render_text(found.wrong))
        raise typer.Exit(BAD_CONFIG)
    return found


def _lacks_secrets(master: "Master", gathered: "Gathered") -> bool:
    """Prints which secret files of an import the workspace lacks; returns whether it lacks any."""
    from headgate.cli.remote import imported
    from headgate.cli.remote.kinds import items, kind_named

    if not gathered.secrets:
        return False
    known = (str(one["name"]) for one in items(kind_named("secrets"), master))
    lines = [f"error: {what}\n" for what in imported.lacking(gathered.secrets, known)]
    sys.stderr.writelines(lines)
    return bool(lines)


def _tell(faults: object, word: str) -> bool:
    """Prints what a preview found; returns whether there was anything."""
    listed = faults if isinstance(faults, list) else []
    for fault in listed:
        if isinstance(fault, Mapping):
            allowed = f"; {fault['allowed']}" if fault.get("allowed") else ""
            text = f"{word}: {fault.get('path')}: {fault.get('detail')}{allowed}\n"
            sys.stderr.write(printable_text(text))
    return bool(listed)


COMMANDS = (apply, publish, export)
