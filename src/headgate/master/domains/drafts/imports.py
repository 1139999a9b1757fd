"""The effects of an import on the engines of a fleet: what nginx would run of it, and what the
native engine leaves out. Pure."""

from collections.abc import Sequence
from typing import Final

from headgate.compile.lints import not_imported
from headgate.compile.loaded import Loaded
from headgate.engines.nginx.common.types import CannotExpress, Rendered, Target
from headgate.engines.nginx.drive.imported import files_of_nodes, render_files
from headgate.engines.nginx.render import render
from headgate.master.domains.drafts.types import Inability
from headgate.master.domains.resources.validation import SentImport

_NAMED: Final = 5
_ELSEWHERE: Final = "choose another fleet for the import by `fleets`, or change these nodes"
_REFUSED: Final = (
    ("imported", "the node has an imported config of its own (node.nginx.imported)"),
    ("mode=guest", "an import is a whole nginx.conf, and the node is a guest in another one"),
    ("endpoints=lua", "an import has its endpoints in its own text, not in Lua"),
)
"""The reasons why a node takes no import, by the words that it says of itself."""


def refusal(capabilities: Sequence[str]) -> str:
    """Returns why an nginx with these words takes no import; empty if it takes one, or it has not
    said how it is driven."""
    if not any(word.startswith("mode=") for word in capabilities):
        return ""
    for word, why in _REFUSED:
        if word in capabilities:
            return why
    if "takes-imports" not in capabilities:
        return "the node has a version of headgate that takes no imports; upgrade it"
    return ""


def refused(imported: SentImport, why: str) -> Inability:
    """Returns what is said of an import that an engine refuses."""
    return Inability(object=imported.path, path="$", detail=why, allowed=_ELSEWHERE)


def rendered(
    loaded: Loaded, imported: SentImport | None, target: Target
) -> Rendered | list[CannotExpress] | None:
    """Returns the files of a release; None for a config with errors."""
    if loaded.plan is None:
        return None
    if imported is not None:
        return render_files(loaded.plan, imported.files, target, imported.path)
    return render(loaded.plan, loaded.blobs, target)


def notes_of_native(loaded: Loaded, imported: SentImport | None) -> list[str]:
    """Returns what the native engine leaves out of an import."""
    if imported is None or loaded.plan is None:
        return []
    count = len(not_imported(loaded.plan))
    note = f"{imported.path} runs on nginx alone: its kept text does nothing here"
    return [f"{note}, and {count} routes answer 503 (not-imported)" if count else note]


def notes_of_nginx(imported: SentImport | None) -> list[str]:
    """Returns which files nginx reads on each node itself."""
    if imported is None or not (found := files_of_nodes(imported.files)):
        return []
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return [f"each node must have these files itself: {', '.join(found[:_NAMED])}{more}"]
