"""Renders an imported config as a release:
what is unchanged in the model runs as its original text.
"""

import re
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Final

from headgate.compile.load import load as compiled
from headgate.engines.nginx.common.types import CannotExpress, Rendered, RenderedFile, Target
from headgate.engines.nginx.imports.bundle import (
    BrokenBundleError,
    as_imported,
    from_files,
    secrets_of,
)
from headgate.engines.nginx.imports.document import NAME, ImportedDocument
from headgate.engines.nginx.imports.originals import ChangedLineError, restored
from headgate.engines.nginx.imports.released import Frame, addresses, host_files, released
from headgate.engines.nginx.imports.source import read_bundle
from headgate.engines.nginx.render import faults, main_file, render
from headgate.engines.nginx.render.context import context_of
from headgate.kernel.ids import BlobId
from headgate.nginxtext import writer
from headgate.nginxtext.dump import DumpedFiles
from headgate.nginxtext.includes import Tree, load
from headgate.nginxtext.parse import NginxSyntaxError
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import Plain, directive
from headgate.plan.kinds import SETTINGS_NAME, ObjectKey
from headgate.plan.plan import Plan
from headgate.plan.settings import AccessLog, Settings

_PREFIX = re.compile(r"--prefix=(\S+)")
_DEFAULT_PREFIX: Final = "/usr/local/nginx"
_CHANGED: Final = (
    "is not what the import made of it, and this engine runs the imported text as it is; "
    "change nginx's own directives in verbatim/ instead, or serve the config natively"
)

NGINX_CONF: Final = "nginx.conf"
"""The file of a release that has the whole imported text."""
_SECRETS: Final = "imported/"
"""The folder of the release for the files that a master sent. Its paths are the same in each
release, so that workers that are about to end read the newest files."""
_USERS: Final = "auth_basic_user_file"
_NOT_WRITTEN: Final = (
    "node.access_log: the imported text says what nginx logs, and nothing writes this log"
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
    """
    try:
        files = read_bundle(folder)
    except OSError as error:
        return [_cannot(f"{error.filename}: {error.strerror}")]
    return render_files(plan, files, target, str(folder))


def render_files(
    plan: Plan, files: Mapping[str, bytes], target: Target, name: str
) -> Rendered | list[CannotExpress]:
    """Returns an import's files as the files of a release, or why they cannot be one; `name` is
    what messages call the import.

    It names what the plan adds or changes: nginx would not serve that.
    """
    try:
        before = _plan_of(files)
        changed = _changed(plan, before)
        tree = tree_of(files)
        secrets = secrets_of(files) or {}
    except OSError as error:
        return [_cannot(f"{error.filename}: {error.strerror}")]
    except (BrokenBundleError, ChangedLineError, NginxSyntaxError) as error:
        return [_cannot(f"{name}: {error}")]
    if changed:
        return changed
    if tree.problems:
        return [_cannot(str(problem)) for problem in tree.problems]
    ctx = context_of(plan, {}, target)
    release = released(tree, frame_of(plan, secrets, target))
    texts_of = {
        NGINX_CONF: release.nodes,
        "generation.conf": main_file.generation(ctx),
        "status.conf": main_file.status(ctx),
    }
    rendered = [RenderedFile(path, writer.render(each)) for path, each in sorted(texts_of.items())]
    rendered += _secret_files(tree, files, secrets)
    note = f"the imported config of {tree.entry} runs as it is"
    if kept := len(from_files(files).kept):
        note += f": {kept} directives are kept"
    unwritten = () if _log_of(plan) == _log_of(before) else (_NOT_WRITTEN,)
    notes = (note, *release.notes, *unwritten)
    return Rendered(files=tuple(rendered), listeners=addresses(tree), notes=notes)


def frame_of(plan: Plan, secrets: Mapping[str, str], target: Target) -> Frame:
    """Returns what a release has beside the imported text; `secrets` are the files of the import
    that stand for files of the imported host."""
    found = _PREFIX.search(target.capabilities.build)
    return Frame(
        prefix=found[1] if found else _DEFAULT_PREFIX,
        root=target.root,
        pid_path=target.pid_path,
        error_log=target.error_log,
        user=target.user,
        kinds=main_file.temporary_kinds(context_of(plan, {}, target)),
        http=[*faults.maps(tells_limits=False), *_includes()],
        secrets={path: _SECRETS + PurePath(place).name for path, place in secrets.items()},
    )


def files_of_nodes(files: Mapping[str, bytes]) -> list[str]:
    """Returns the files of certificates, keys and users that nginx reads on each node itself,
    because they are not part of an import's files; raises what `render_files` answers with."""
    secrets = secrets_of(files) or {}
    return sorted({path for _, path in host_files(tree_of(files))} - secrets.keys())


def tree_of(files: Mapping[str, bytes]) -> Tree:
    """Returns the config as it was, with the edits of the kept text."""
    one = from_files(files)
    return load(one.entry, DumpedFiles(restored(one.verbatim, one.originals)))


def _secret_files(
    tree: Tree, files: Mapping[str, bytes], secrets: Mapping[str, str]
) -> list[RenderedFile]:
    """Returns the files that a master sent; workers read those of users."""
    users = {path for name, path in host_files(tree) if name == _USERS}
    return [
        RenderedFile(
            _SECRETS + PurePath(place).name, files[place], 0o640 if path in users else 0o600
        )
        for path, place in sorted(secrets.items())
    ]


def _includes() -> list[Node]:
    return [directive("include", Plain(file)) for file in ("generation.conf", "status.conf")]


def _plan_of(files: Mapping[str, bytes]) -> Plan:
    """Returns the plan of a model as it was imported."""
    is_sent = secrets_of(files) is not None
    document = ImportedDocument(as_imported(files), files, reads_host=not is_sent)
    return compiled([PurePath(NAME)], document, {}).plan or Plan()


def _changed(plan: Plan, before: Plan) -> list[CannotExpress]:
    """Returns what differs from what was imported: objects, and the access log if that was."""
    keys = {key for key in (*plan.objects, *before.objects) if key.kind != "settings"}
    found = [
        CannotExpress(key.kind, key.name, "", _CHANGED)
        for key in sorted(keys)
        if _digest(plan, key) != _digest(before, key)
    ]
    log = _log_of(before)
    if log is not None and _log_of(plan) != log:
        found.append(CannotExpress("settings", SETTINGS_NAME, "access_log", _CHANGED))
    return found


def _log_of(plan: Plan) -> AccessLog | None:
    """Returns the access log of a plan's node."""
    found = plan.objects.get(ObjectKey("settings", SETTINGS_NAME))
    return found.value.access_log if found and isinstance(found.value, Settings) else None


def _digest(plan: Plan, key: ObjectKey) -> bytes:
    found = plan.objects.get(key)
    return b"" if found is None else bytes(found.digest)


def _cannot(message: str) -> CannotExpress:
    return CannotExpress("settings", "node", "nginx.imported", message)
