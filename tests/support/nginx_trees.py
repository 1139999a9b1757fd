"""nginx configs in memory, for tests."""

from headgate.engines.nginx.imports import proof
from headgate.engines.nginx.imports.bundle import from_files, to_files
from headgate.engines.nginx.imports.imported import Imported
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.engines.nginx.imports.rerender import rerender
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


def imported(inside: str, **others: str) -> Imported:
    """The import of a config with this inside `http`, proved."""
    return proved(tree_of_http(inside, **others))


def proved(tree: Tree) -> Imported:
    """The import of a tree, after it was seen to keep everything."""
    one = import_tree(tree)
    again = from_files(to_files(one))
    assert again == one
    assert proof.lost(tree, again) == ()
    second = import_tree(load(tree.entry, DumpedFiles(rerender(again))))
    assert proof.same_model(one, second)
    return one
