"""Finds what `nginx -t` of a config needs: places to write in, names to resolve."""

import ipaddress
import posixpath
import re
import socket
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headgate.engines.nginx.instance.modules import built_with
from headgate.engines.nginx.instance.rooted import RootedFiles
from headgate.nginxtext.includes import load

_BUILT_IN: Final = (
    "error-log-path",
    "http-log-path",
    "pid-path",
    "lock-path",
    "http-client-body-temp-path",
    "http-proxy-temp-path",
    "http-fastcgi-temp-path",
    "http-uwsgi-temp-path",
    "http-scgi-temp-path",
)
_TEXT: Final = "*.conf"
_SAID: Final = re.compile(
    rb"(?:^|[;{}])[ \t]*"
    rb"(pid|lock_file|error_log|access_log|listen|server|upstream|resolver"
    rb"|\w+_(?:temp_path|cache_path|pass))"
    rb"[ \t]+([^;{}#]*)",
    re.MULTILINE,
)
_WRITTEN: Final = ("pid", "lock_file", "error_log", "access_log")
_NO_FILE: Final = ("syslog:", "memory:", "stderr", "off", "unix:")
_NAME: Final = re.compile(r"(?:[a-z]+://)?([A-Za-z0-9_][A-Za-z0-9_.-]*+)(?::\d+)?(?:/.*)?")
_RESOLVE_S: Final = 5.0
_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class Needs:
    """`writes`: files that a test opens for writing, and folders that it writes in freely.

    `names`: host names that it asks the resolver for.
    """

    writes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def folders(self) -> tuple[str, ...]:
        """Returns the folders that it writes in."""
        return tuple(
            dict.fromkeys(
                path if Path(path).is_dir() else posixpath.dirname(path) for path in self.writes
            )
        )


def needs_of(conf: str, prefix: str | None, build: str, own: Sequence[str], root: Path) -> Needs:
    """Returns the needs by a config's text and its binary's `-V`.

    `own` are the folders of a release of ours (`Place.redirected`), empty for a foreign config,
    whose includes it follows. It leaves unreadable files for nginx to report. `root` is where the
    instance's root is for us.
    """
    base = prefix or built_with(build, "prefix") or "/usr/local/nginx"
    built_in = [built_with(build, one) for one in _BUILT_IN]
    writes = dict.fromkeys([*own, *(path for path in built_in if path and not own)])
    names: dict[str, None] = {}
    groups: set[str] = set()
    for text in _texts(conf, bool(own), root):
        for found in _SAID.finditer(text):
            directive = found[1].decode()
            words = found[2].decode(errors="surrogateescape").split()
            for path in _paths(directive, words):
                writes[posixpath.join(base, path)] = None
            names |= dict.fromkeys(_names(directive, words))
            groups.update(words if directive == "upstream" else ())
    return Needs(tuple(writes), tuple(name for name in names if name not in groups))


def resolved(names: Iterable[str]) -> str:
    """Returns lines for /etc/hosts with the addresses of these names, without unresolved ones."""
    wanted = tuple(names)
    if not wanted:
        return ""
    pool = ThreadPoolExecutor(min(_AT_ONCE, len(wanted)))
    asked = {pool.submit(_addresses, name): name for name in wanted}
    done, _ = wait(asked, _RESOLVE_S)
    pool.shutdown(wait=False, cancel_futures=True)
    return "".join(
        f"{address} {asked[one]}\n"
        for one in asked
        if one in done and one.exception() is None
        for address in one.result()
    )


def _texts(conf: str, is_ours: bool, root: Path) -> Iterator[bytes]:
    if not is_ours:
        for document in load(conf, RootedFiles(root)).documents.values():
            yield document.to_bytes()
        return
    for file in Path(conf).parent.rglob(_TEXT):  # at the same path for us and for nginx
        try:
            yield file.read_bytes()
        except OSError:
            continue


def _paths(directive: str, words: list[str]) -> Iterator[str]:
    """Yields the files and folders, known at the start, that a directive makes nginx write."""
    if not words:
        return
    first = words[0].strip("\"'")
    if directive == "listen" and first.startswith("unix:"):
        yield first.removeprefix("unix:")
    is_path = directive in _WRITTEN or directive.endswith(("_temp_path", "_cache_path"))
    if is_path and "$" not in first and not first.startswith(_NO_FILE):
        yield first


def _names(directive: str, words: list[str]) -> Iterator[str]:
    if directive == "resolver":
        candidates = words
    elif directive == "server" or directive.endswith("_pass") or directive == "listen":
        candidates = words[:1]
    else:
        candidates = [word.removeprefix("syslog:server=").split(",")[0] for word in words[:1]]
        candidates = candidates if words and words[0].startswith("syslog:") else []
    for word in candidates:
        found = _NAME.fullmatch(word.strip("\"'"))
        if found and "$" not in word and not _is_address(found[1]) and not found[1].isdigit():
            yield found[1]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _addresses(name: str) -> list[str]:
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))
