"""Imports public nginx configs and proves that nothing of them is lost.

    python -m import_corpus DIRECTORY [--table FILE] [--only TEXT]

DIRECTORY holds a folder for each project with its nginx files at their own paths. Each file that
is a config by itself, or a part of `http`, is one unit: it is put into a root of its own, where
what it names and nobody published (certificates, includes, modules' hosts, users) is made up until
the real nginx has no more to ask for; then it is imported, re-rendered and tested again. nginx runs
in a private mount and network namespace below that root, so nothing of the machine changes. Needs
root, unshare, mount and nginx.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from corpus_root import STANDARD, Root, Stubs
from corpus_table import Row, markdown

from headgate.engines.nginx.imports import proof
from headgate.engines.nginx.imports.bundle import from_files, to_files
from headgate.engines.nginx.imports.imported import Imported, ImportRefusedError
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.engines.nginx.imports.rerender import rerender
from headgate.engines.nginx.instance.rooted import RootedFiles
from headgate.nginxtext.includes import Tree, load
from headgate.nginxtext.parse import NginxSyntaxError, parse
from headgate.nginxtext.tree import walk

UNITS_EACH = 4
"""Units of one project at most; those with the most directives first."""

_WHOLE = frozenset({b"http", b"stream", b"mail", b"events"})
_PART = frozenset({b"server", b"upstream"})
_GUESSES = 40
_CONFIG_FOLDERS = frozenset({"conf.d", "sites-available", "sites-enabled", "templates", "vhosts"})


class Unit(NamedTuple):
    """One config: the file it begins with, and the folder that is `/etc/nginx` for it."""

    project: str
    path: Path
    base: Path
    is_whole: bool
    directives: int


def units(directory: Path) -> Iterator[Unit]:
    """The units of every project, some of each."""
    for project in sorted(p for p in directory.iterdir() if p.is_dir()):
        found = [unit for file in sorted(project.rglob("*")) if (unit := _unit(project, file))]
        found.sort(key=lambda one: (-one.is_whole, -one.directives, str(one.path)))
        yield from found[:UNITS_EACH]


def _unit(project: Path, file: Path) -> Unit | None:
    if not file.is_file():
        return None
    try:
        document = parse(file.read_bytes(), str(file))
    except NginxSyntaxError:
        return None
    names = [one.name for one in document.directives() if one.children is not None]
    whole = not _WHOLE.isdisjoint(names)
    if not whole and _PART.isdisjoint(names):
        return None
    count = sum(1 for _ in walk(document.nodes))
    return Unit(project.name, file, _base(project, file), whole, count)


def _base(project: Path, file: Path) -> Path:
    """The folder that stands for `/etc/nginx`: the last called nginx, or the file's own, or the
    one that holds its `conf.d`."""
    for parent in file.parents:
        if parent == project:
            break
        if parent.name == "nginx" and parent.parent.name == "etc":
            return parent
    return file.parent.parent if file.parent.name in _CONFIG_FOLDERS else file.parent


def tried(unit: Unit, scratch: Path, stubs: Stubs) -> Row:
    """Everything that is to be shown of a unit."""
    root = Root(scratch, stubs)
    root.fill(unit.base)
    name = unit.path.relative_to(unit.base)
    entry = root.entry(str(name), is_whole=unit.is_whole)
    original = root.tested(entry, _GUESSES)
    tree = _whole_tree(root, entry)
    lossless = all(
        document.to_bytes() == root.read(path) for path, document in tree.documents.items()
    )
    row = Row(unit.project, str(unit.path.name), "whole" if unit.is_whole else "part of http")
    row = row._replace(files=len(tree.documents), lossless=lossless, original=original.accepted)
    try:
        imported = import_tree(tree)
    except ImportRefusedError as error:
        return row._replace(why=str(error).splitlines()[0], refused=True)
    own = [fate for fate in imported.fates if Path(fate.file).name not in STANDARD]
    model = sum(1 for fate in own if fate.object)
    row = row._replace(directives=len(own), modelled=model)
    return _proved(row, root, tree, imported, original.said)


def _proved(row: Row, root: Root, tree: Tree, imported: Imported, said: str) -> Row:
    again = from_files(to_files(imported))
    rendered = rerender(again)
    root.write(rendered)
    verdict = root.tested(tree.entry, _GUESSES if row.original else 0)
    second = import_tree(load(tree.entry, RootedFiles(root.path)))
    lost = proof.lost(tree, again)
    equal = not lost and proof.same_model(imported, second)
    why = "" if row.original and verdict.accepted else said if not row.original else verdict.said
    if not equal:
        why = str(lost[0]) if lost else "the model of the re-rendered config differs"
    return row._replace(rerendered=verdict.accepted, equal=equal, why=why)


def _whole_tree(root: Root, entry: str) -> Tree:
    """The unit with all its includes; those that nobody published are empty."""
    for _ in range(_GUESSES):
        tree = load(entry, RootedFiles(root.path))
        missing = [one.message for one in tree.problems if one.message.startswith("cannot read ")]
        if not missing:
            return tree
        for message in missing:
            root.stub_file(message.removeprefix("cannot read ").rpartition(": ")[0])
    return tree


def main(arguments: Sequence[str] | None = None) -> int:
    """Tries every unit; 1 if one fails: not lossless, lost, or accepted before and not after."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--table", type=Path, help="where the table goes, as Markdown")
    parser.add_argument("--only", default="", help="projects with this text in their name")
    options = parser.parse_args(arguments)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        stubs = Stubs.made()
        for number, unit in enumerate(units(options.directory)):
            if options.only not in unit.project:
                continue
            row = tried(unit, Path(folder) / str(number), stubs)
            rows.append(row)
            sys.stdout.write(row.line() + "\n")
            sys.stdout.flush()
    if options.table:
        options.table.write_text(markdown(rows))
    failed = [row for row in rows if not row.is_good]
    sys.stdout.write(f"{len(rows)} units, {len(failed)} failed\n")
    return 1 if failed else 0


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("root is needed: nginx runs below a root of its own")
    sys.exit(main())
