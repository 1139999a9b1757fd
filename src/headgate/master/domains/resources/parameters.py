"""Parameters of templates in specs: what depends on values that are not known yet. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from headgate.master.api.problems import Fault

PARAMETER: Final = re.compile(r"\{\{\s*([a-z][a-z0-9_]{0,62})\s*\}\}")
"""The form in which a text names a parameter of a template."""

Path = tuple[str | int, ...]


class Located(NamedTuple):
    """A fault, and where in the object it is, by keys and indices."""

    path: Path
    fault: Fault


def certain(faults: Iterable[Located], spec: Mapping[str, object]) -> list[Fault]:
    """Returns the faults that do not depend on values of nodes, which are known when they are
    published: then the whole config is looked at for each node."""
    names: set[Path] = set()
    around: set[Path] = set()
    root: Path = ("spec",)
    _find(spec, root, names, around)
    around.discard(root)

    def depends(path: Path) -> bool:
        return path in around or any(path[:end] in names for end in range(1, len(path) + 1))

    return [one.fault for one in faults if not depends(one.path)]


def _find(node: object, path: Path, names: set[Path], around: set[Path]) -> bool:
    """Adds the paths of texts that name a parameter to `names`, and of what they are part of to
    `around`; reports whether there are any here."""
    if isinstance(node, str):
        is_here = PARAMETER.search(node) is not None
        if is_here:
            names.add(path)
        return is_here
    is_around = False
    if isinstance(node, dict):
        for key, one in node.items():
            is_around |= _find(one, (*path, key), names, around)
    elif isinstance(node, list):
        for index, one in enumerate(node):
            is_around |= _find(one, (*path, index), names, around)
    if is_around:
        around.add(path)
    return is_around
