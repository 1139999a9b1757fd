"""Renders an imported config as a release:
what is unchanged in the model runs as its original text.
"""

import re
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Final

from headgate.compile.load import load as compiled
from headgate.engines.nginx.common.types import CannotExpress, Rendered, RenderedFile, Target
from headgate.engines.nginx.imports.bundle import BrokenBundleError, as_imported, from_files
from headgate.engines.nginx.imports.document import NAME, ImportedDocument
from headgate.engines.nginx.imports.originals import ChangedLineError, restored
from headgate.engines.nginx.imports.released import Frame, addresses, released
from headgate.engines.nginx.imports.source import read_bundle
from headgate.engines.nginx.render import faults, main_file, render
from headgate.engines.nginx.render.context import context_of
from headgate.kernel.ids import BlobId
from headgate.nginxtext import writer
from headgate.nginxtext.dump import DumpedFiles
from headgate.nginxtext.includes import load
from headgate.nginxtext.parse import NginxSyntaxError
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import Plain, directive
from headgate.plan.kinds import ObjectKey
from headgate.plan.plan import Plan

_PREFIX = re.compile(r"--prefix=(\S+)")
_DEFAULT_PREFIX: Final = "/usr/local/nginx"
_CHANGED: Final = (
    "is not what the import made of it, and this engine runs the imported text as it is; "
    "change nginx's own directives in verbatim/ instead, or serve the config natively"
)


def render_config(
    plan: Plan, blobs: Mapping[BlobId, bytes], target: Target, imported: str | None
) -> Rendered | list[CannotExpress]:
    """Renders the imported config in that folder, if any, else the plan."""
    if imported is not None:
        return render_import(plan, Path(imported), target)
    return render(plan, blobs, target)


def render_import(plan: Plan, folder: Path, target: Target) -> Rendered | list[CannotExpress]:
    """Returns the imported config in a folder as the files of a release,
    or why it cannot be one.

    It names what the plan adds or changes: nginx would not serve that.
    """
    try:
        files = read_bundle(folder)
        one = from_files(files)
        changed = _changed(plan, as_imported(files))
        texts = restored(one.verbatim, one.originals)
    except OSError as error:
        return [_cannot(f"{error.filename}: {error.strerror}")]
    except (BrokenBundleError, ChangedLineError, NginxSyntaxError) as error:
        return [_cannot(f"{folder}: {error}")]
    if changed:
        return changed
    tree = load(one.entry, DumpedFiles(texts))
    if tree.problems:
        return [_cannot(str(problem)) for problem in tree.problems]
    ctx = context_of(plan, {}, target)
    found = _PREFIX.search(target.capabilities.build)
    frame = Frame(
        prefix=found[1] if found else _DEFAULT_PREFIX,
        root=target.root,
        pid_path=target.pid_path,
        error_log=target.error_log,
        user=target.user,
        kinds=main_file.temporary_kinds(ctx),
        http=[*faults.maps(tells_limits=False), *_includes()],
    )
    nodes = released(tree, frame)
    texts_of = {
        "nginx.conf": nodes,
        "generation.conf": main_file.generation(ctx),
        "status.conf": main_file.status(ctx),
    }
    rendered = tuple(
        RenderedFile(path, writer.render(each)) for path, each in sorted(texts_of.items())
    )
    note = f"the imported config of {one.entry} runs as it is: {len(one.kept)} directives are kept"
    return Rendered(files=rendered, listeners=addresses(tree), notes=(note,))


def _includes() -> list[Node]:
    return [directive("include", Plain(file)) for file in ("generation.conf", "status.conf")]


def _changed(plan: Plan, text: str) -> list[CannotExpress]:
    """Returns the objects that differ from what was imported."""
    before = compiled([PurePath(NAME)], ImportedDocument(text), {}).plan or Plan()
    keys = {key for key in (*plan.objects, *before.objects) if key.kind != "settings"}
    return [
        CannotExpress(key.kind, key.name, "", _CHANGED)
        for key in sorted(keys)
        if _digest(plan, key) != _digest(before, key)
    ]


def _digest(plan: Plan, key: ObjectKey) -> bytes:
    found = plan.objects.get(key)
    return b"" if found is None else bytes(found.digest)


def _cannot(message: str) -> CannotExpress:
    return CannotExpress("settings", "node", "nginx.imported", message)
