"""nginx configs in memory, for tests."""

from headgate.nginxtext.dump import DumpedFiles
from headgate.nginxtext.includes import Tree, load

ENTRY = "/etc/nginx/nginx.conf"


def tree_of(text: str, **others: str) -> Tree:
    """The tree of an entry file; `others` are files beside it by their name."""
    files = {f"/etc/nginx/{name}": content.encode() for name, content in others.items()}
    return load(ENTRY, DumpedFiles({ENTRY: text.encode(), **files}))


def tree_of_http(inside: str, **others: str) -> Tree:
    """The tree of a config with this inside `http`, from line 2 on."""
    return tree_of(f"events {{ }} http {{\n{inside}\n}}\n", **others)
