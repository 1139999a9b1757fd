"""Reads a foreign nginx.conf that includes our releases: what it says of its nginx, and of us."""

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headgate.engines.nginx.drive.unable import WrongConfError
from headgate.engines.nginx.instance.procfs import Procfs
from headgate.engines.nginx.instance.rooted import RootedFiles
from headgate.engines.nginx.observe.facts import BuiltIn
from headgate.engines.nginx.observe.masters import Running, built_in_of, running
from headgate.nginxtext.dump import DumpedFiles
from headgate.nginxtext.includes import Files, Located, Tree, is_include, load
from headgate.nginxtext.tree import Directive

_NO_FILE: Final = ("stderr", "syslog:", "memory:")


@dataclass(frozen=True, slots=True)
class Host:
    """A foreign nginx.conf and its nginx; paths are absolute.

    `error_log` is the master's own: a word such as `stderr` where it is not a file. `user` is who
    workers run as when the master is root. `prefix` and `dash_e` are the master's own arguments
    (`-p`, `-e`), None where unknown.
    """

    conf: str
    binary: str | None
    error_log: str
    pid_path: str | None
    user: str | None
    prefix: str | None = None
    dash_e: str | None = None


def host(conf: str | None, pid_path: str | None, binary: str | None) -> Host:
    """Returns the nginx to be a guest of, from its master, else from its binary and config.

    `conf` and `pid_path` are the user's, None = its own. Raises WrongConfError.
    """
    master = running_with(conf, pid_path)
    built_in = master.built_in if master is not None else _built_in(binary)
    path = conf or (master.conf if master is not None else built_in.conf_path)
    top = list(_read(path, RootedFiles()).top())
    return Host(
        conf=path,
        binary=(master.binary if master is not None else "") or binary,
        error_log=_error_log(top, built_in),
        pid_path=_named(top, "pid", built_in, "pid-path"),
        user=_first(top, "user") or _argument(built_in, "user"),
        prefix=built_in.prefix if master is not None else None,
        dash_e=_dash_e(master, built_in),
    )


def running_with(conf: str | None, pid_path: str | None) -> Running | None:
    """Returns the master with this config or pid file, if given; None without exactly one.

    Of two in a binary upgrade the younger one.
    """
    pid = _pid_in(pid_path)
    found = [one for one in running() if conf is None or one.conf == conf]
    named = [one for one in found if one.master.pid == pid]
    if named:
        return named[0]
    youngest = {one.conf: one for one in found}  # they come oldest first
    return next(iter(youngest.values())) if len(youngest) == 1 else None


def line_for(root: Path) -> str:
    """Returns the line for the http block.

    >>> line_for(Path("/s/nginx"))
    'include /s/nginx/current/http.conf;'
    """
    return f"include {target_of(root)};"


def target_of(root: Path) -> str:
    """Returns the file of the current release for the foreign config to include."""
    return f"{root}/current/http.conf"


def check_include(conf: str, root: Path, files: Files | None = None) -> None:
    """Raises WrongConfError, with the line to add and where, unless `conf` includes us.

    A pattern that matches the file counts too: nginx accepts one before the first release.
    """
    tree = _read(conf, files or RootedFiles())
    blocks = [one for one in tree.top() if one.directive.name == b"http"]
    if not blocks:
        raise WrongConfError(f"{conf} has no http block")
    wanted = target_of(root)
    folder = posixpath.dirname(conf)
    for block in blocks:
        for value in _includes(tree, block.file, block.directive.directives()):
            path = posixpath.join(folder, value)
            if path == wanted or DumpedFiles({wanted: b""}).glob(path):
                return
    first = blocks[0]
    raise WrongConfError(
        f"it does not include headgate's files; add `{line_for(root)}` inside the http block at "
        f"{first.file}:{first.directive.line}"
    )


def _read(conf: str, files: Files) -> Tree:
    tree = load(conf, files)
    if conf not in tree.documents:
        problem = tree.problems[0].message if tree.problems else "it cannot be read"
        raise WrongConfError(f"{conf}: {problem}")
    return tree


def _includes(tree: Tree, file: str, inside: Iterable[Directive]) -> Iterator[str]:
    """Yields the paths of `include` in a block, of included files too, as written."""
    stack, seen = [iter(inside)], {file}
    while stack:
        directive = next(stack[-1], None)
        if directive is None:
            stack.pop()
            continue
        if not is_include(directive):
            continue
        value = directive.args[0].value
        yield value.decode(errors="surrogateescape")
        for target in tree.targets.get(value, ()):
            document = tree.documents.get(target)
            if document is not None and target not in seen:
                seen.add(target)
                stack.append(iter(document.directives()))


def _error_log(top: list[Located], built_in: BuiltIn) -> str:
    """Returns where the master logs: the first top-level `error_log` that is a file,
    else the built-in.
    """
    paths = [
        one.directive.values[0].decode(errors="replace")
        for one in top
        if one.directive.name == b"error_log" and one.directive.values
    ]
    for path in paths:
        if not path.startswith(_NO_FILE):
            return posixpath.join(built_in.prefix, path)
    return paths[0] if paths else built_in.error_log


def _named(top: list[Located], name: str, built_in: BuiltIn, argument: str) -> str | None:
    path = _first(top, name) or _argument(built_in, argument)
    return None if path is None else posixpath.join(built_in.prefix, path)


def _first(top: list[Located], name: str) -> str | None:
    for one in top:
        if one.directive.name == name.encode() and one.directive.values:
            return one.directive.values[0].decode(errors="replace")
    return None


def _argument(built_in: BuiltIn, name: str) -> str | None:
    found = re.search(rf"(?:^|\s)--{name}=(\S+)", built_in.arguments)
    return found[1] if found else None


def _dash_e(master: Running | None, built_in: BuiltIn) -> str | None:
    if master is None:
        return None
    seen = Procfs().look(master.master.pid)
    given = seen is not None and re.search(r"\s-e\s*\S", seen.title)
    return built_in.error_log if given else None


def _built_in(binary: str | None) -> BuiltIn:
    try:
        return built_in_of(Path(binary).read_bytes()) if binary else BuiltIn()
    except OSError:
        return BuiltIn()


def _pid_in(path: str | None) -> int:
    try:
        text = Path(path).read_text(errors="replace").strip() if path else ""
    except OSError:
        return 0
    return int(text) if re.fullmatch(r"[0-9]{1,10}", text) else 0
