"""Makes changes of resources of the edit that somebody made by hand in an agent's nginx. Pure.

Only the text of an imported config can be adopted: all else in a release is headgate's own text,
which its renderer makes of objects, and no edit of it says which object it is about.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final, NamedTuple, cast

from headgate._core import Document
from headgate.engines.nginx.common.types import Rendered, Target
from headgate.engines.nginx.drive.adopting import adopted, require_written
from headgate.engines.nginx.drive.imported import NGINX_CONF
from headgate.engines.nginx.imports.adopting import CannotAdoptError
from headgate.engines.nginx.imports.changes import Hunk, NoDifferenceError, hunks_of
from headgate.engines.nginx.imports.published import SECTION
from headgate.fleet.manifest import resource_bytes, resource_of, resource_path
from headgate.master.domains.drafts import imports
from headgate.master.domains.drafts.effects import Kind, target_of
from headgate.master.domains.drift.types import Drift, DriftedFile
from headgate.master.domains.resources.types import Change
from headgate.master.domains.resources.validation import (
    Contents,
    SentImport,
    import_of,
    judged,
    loaded_from,
)
from headgate.model.text import read_document

_IN_A_RELEASE: Final = 2
_NO_IMPORT: Final = (
    "the fleet has no imported nginx config, and headgate writes all else from the objects: change"
    " these, and see `next` for what it would write"
)


class Seen(NamedTuple):
    """The report of an agent: its drift with the files that differ, and what its nginx can do."""

    drift: Drift
    files: Sequence[DriftedFile]
    kind: Kind


def proposed(contents: Contents, seen: Seen) -> list[Change]:
    """Returns the changes that make what was published what the agent has on disk; raises
    CannotAdoptError. `contents` are those of the revision that it serves. Costs two compilations.
    """
    sent = import_of(contents)
    if sent is None:
        raise CannotAdoptError(_NO_IMPORT)
    target = target_of(seen.kind)
    if target is None or imports.refusal(seen.kind.capabilities):
        raise CannotAdoptError("the agent has not said that its nginx runs imported configs")
    loaded = loaded_from(contents)
    if loaded.plan is None:
        raise CannotAdoptError("what was published does not compile with this version of headgate")
    new = adopted(loaded.plan, sent.files, target, _edit(seen))
    changes = list(_changes(contents, sent, new.spec))
    if not changes:
        raise CannotAdoptError("nginx reads the same of the edited file as of what was published")
    require_written(new, _written(after(contents, changes), target))
    return changes


def after(contents: Contents, changes: Sequence[Change]) -> dict[str, bytes]:
    """Returns contents with changes."""
    found = dict(contents)
    for one in changes:
        path = resource_path(one.kind, one.name)
        if one.spec is None:
            found.pop(path, None)
        else:
            found[path] = resource_bytes(one.spec)
    return found


def _written(contents: Contents, target: Target) -> Rendered:
    loaded, sent = loaded_from(contents), import_of(contents)
    wrong = judged(loaded, contents).errors
    found = None if wrong or sent is None else imports.rendered(loaded, sent, target)
    if not isinstance(found, Rendered):
        said = [one.detail for one in wrong] or [one.message for one in found or ()]
        raise CannotAdoptError(f"the edited config cannot be published: {'; '.join(said[:3])}")
    return found


def _edit(seen: Seen) -> list[Hunk]:
    """Returns what differs in the nginx.conf of a release, if that is all that differs."""
    for file in seen.files:
        if str(PurePosixPath(*PurePosixPath(file.path).parts[_IN_A_RELEASE:])) != NGINX_CONF:
            raise CannotAdoptError(
                f"{file.path} is not a part of the imported config; undo its change first"
            )
    if len(seen.files) != 1 or seen.drift.count != 1:
        raise CannotAdoptError("no file on disk differs")
    (file,) = seen.files
    if file.how != "edited" or file.next != "same":
        raise CannotAdoptError(
            f"{file.path} is `{file.how}`, and what headgate would write now is `{file.next}`;"
            " only an edit of what it would write again can be adopted"
        )
    try:
        return hunks_of(file.diff)
    except NoDifferenceError as error:
        raise CannotAdoptError(str(error)) from error


def _changes(contents: Contents, sent: SentImport, spec: Mapping[str, object]) -> list[Change]:
    """Returns the objects that a new import adds, changes and removes, and the import."""
    old, new = (_objects(each) for each in (json.loads(contents[sent.path]), spec))
    _, name = resource_of(sent.path) or (SECTION, "")
    new[SECTION, name] = dict(spec)
    found = [
        Change(kind=kind, name=each, spec=new.get((kind, each)))  # type: ignore[arg-type]
        for kind, each in sorted({*old, *new})
    ]
    return [one for one in found if _differs(contents, one)]


def _objects(spec: Mapping[str, object]) -> dict[tuple[str, str], dict[str, object]]:
    document = read_document("imported.toml", str(spec["objects"]).encode())
    if not isinstance(document, Document):
        raise CannotAdoptError(f"the imported config is broken: {document.message}")
    return {
        (kind, name): cast("dict[str, object]", document.entry(kind, name))
        for kind, name, _ in document.entries()
    }


def _differs(contents: Contents, one: Change) -> bool:
    before = contents.get(resource_path(one.kind, one.name))
    return before != (None if one.spec is None else resource_bytes(one.spec))
