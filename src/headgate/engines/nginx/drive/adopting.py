"""Makes a new import of an edit that somebody made by hand in a release of an imported config.

Nothing is taken that headgate would not write back: the release of the new import must be the
edited one, word for word.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from headgate.engines.nginx.common.types import Rendered, Target
from headgate.engines.nginx.drive.imported import NGINX_CONF, frame_of, tree_of
from headgate.engines.nginx.imports.adopting import (
    CannotAdoptError,
    edited,
    is_same,
    numbered,
    release_of,
)
from headgate.engines.nginx.imports.bundle import BrokenBundleError, secrets_of, to_files
from headgate.engines.nginx.imports.changes import Hunk
from headgate.engines.nginx.imports.imported import ImportRefusedError
from headgate.engines.nginx.imports.originals import ChangedLineError
from headgate.engines.nginx.imports.published import CannotTravelError, spec_of
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.engines.nginx.imports.released import released
from headgate.fleet.manifest import SECRETS
from headgate.nginxtext.dump import DumpedFiles
from headgate.nginxtext.includes import load
from headgate.nginxtext.parse import NginxSyntaxError, parse
from headgate.plan.plan import Plan

_ELSEWHERE: Final = "the edit means something else elsewhere in the config: a file is there twice"


class Adopted(NamedTuple):
    """A new import, as a master publishes it, and the nginx.conf that its release must have."""

    spec: dict[str, object]
    release: bytes


def adopted(
    plan: Plan, files: Mapping[str, bytes], target: Target, hunks: Sequence[Hunk]
) -> Adopted:
    """Returns the import of these files with an edit of its release's nginx.conf; raises
    CannotAdoptError. Whoever takes it asks `require_written` about its release.
    """
    try:
        sent = secrets_of(files) or {}
        tree = numbered(tree_of(files))
        release = release_of(tree, released(tree, frame_of(plan, sent, target)).nodes)
        found = edited(release, hunks)
        again = import_tree(
            load(tree.entry, DumpedFiles(found.files)), lambda path: _users(files, sent, path)
        )
        names = {path: place.removeprefix(SECRETS) for path, place in sent.items()}
        return Adopted(spec_of(to_files(again), names), found.release)
    except (BrokenBundleError, ChangedLineError, NginxSyntaxError) as error:
        raise CannotAdoptError(f"the imported config is broken: {error}") from error
    except (ImportRefusedError, CannotTravelError) as error:
        raise CannotAdoptError(f"the edited config cannot be imported: {error}") from error


def _users(files: Mapping[str, bytes], sent: Mapping[str, str], path: str) -> bytes:
    if path not in sent:
        raise FileNotFoundError(2, "the master does not have this file", path)
    return files[sent[path]]


def require_written(one: Adopted, written: Rendered) -> None:
    """Raises CannotAdoptError unless a release has the words of the edited one."""
    texts = [file.content for file in written.files if file.path == NGINX_CONF]
    nodes = [parse(text, NGINX_CONF).nodes for text in (*texts, one.release)]
    if len(nodes) != 2 or not is_same(*nodes):  # noqa: PLR2004 - the one and the other
        raise CannotAdoptError(_ELSEWHERE)
