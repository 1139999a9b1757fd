"""Checks for LINT what `nginx -t` does not say about a release,
or cannot compare with what runs.

Each check is a function of the release's config and yields findings; errors stop the apply.
"""

import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLongError
from typing import Final

from headgate.engines.nginx.apply.causes import Finding, object_at
from headgate.engines.nginx.apply.conftree import Conf, Placed
from headgate.nginxtext.includes import Located

Resolve = Callable[[str], bool]
"""A test of whether a host name has an address now; may block."""

_ZONES: Final[Mapping[bytes, str]] = {
    b"limit_req_zone": "zone=",
    b"limit_conn_zone": "zone=",
    b"proxy_cache_path": "keys_zone=",
    b"fastcgi_cache_path": "keys_zone=",
    b"uwsgi_cache_path": "keys_zone=",
    b"scgi_cache_path": "keys_zone=",
}
_PASSES: Final = ("proxy_pass", "grpc_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass")
_RESOLVING_S: Final = 5.0
_RESOLVERS: Final = 8


def structure(conf: Conf) -> Iterator[Finding]:
    """Finds files that are missing or cannot be parsed."""
    for problem in conf.tree.problems:
        about = ""
        with contextlib.suppress(OSError):
            about = object_at(conf.text(problem.file), problem.line)
        yield Finding("syntax", problem.message, conf.relative(problem.file), problem.line, about)


def duplicate_names(conf: Conf) -> Iterator[Finding]:
    """Finds a server name twice on one address: nginx warns and never uses the second."""
    seen: dict[tuple[bytes, str, str], Placed] = {}
    for server in conf.all("server"):
        if server.directive.children is None:
            continue
        inside = list(conf.tree.inside(server.at))
        listens = [*_listened(inside)] or ["80"]
        names = _arguments(inside, b"server_name") or [""]
        for listen in set(listens):
            for name in set(names):
                key = (server.around[0] if server.around else b"", listen, name.lower())
                other = seen.setdefault(key, server)
                if other is not server:
                    yield conf.finding(
                        server,
                        "duplicate_name",
                        f'server name "{name}" on {listen} is taken by'
                        f" {conf.relative(other.at.file)}:{other.directive.line}",
                    )


def _listened(inside: list[Located]) -> Iterator[str]:
    """Yields the addresses of a server; one of UDP is not the same with TCP."""
    for one in inside:
        if one.directive.name == b"listen" and one.directive.values:
            address, *options = one.directive.values
            mark = "udp:" if b"udp" in options else ""
            yield mark + address.decode(errors="surrogateescape")


def zones(
    conf: Conf, running: Conf | None, told: Mapping[str, str], by: Mapping[str, str]
) -> Iterator[Finding]:
    """Finds shared zones that differ from the running release: nginx keeps the old ones.

    `told` are the release's zones as the renderer lists them, `by` those of the running one.
    """
    for name in sorted(told.keys() & by.keys()):
        if told[name] != by[name]:
            yield Finding(
                "zone_clash",
                f'zone "{name}" is {by[name]} in the running release, {told[name]} here',
            )
    if running is None:
        return
    before = {
        (one.directive.name, name): (one, what, size) for one, name, what, size in _zones(running)
    }
    for one, name, what, size in _zones(conf):
        known = before.get((one.directive.name, name))
        if known is None:
            continue
        if known[1] != what:
            yield conf.finding(
                one,
                "zone_clash",
                f'zone "{name}" is for {what}, but for {known[1]} in the running release:'
                " nginx would refuse the reload; give the zone another name",
            )
        elif known[2] != size:
            text = (
                f'zone "{name}" changes its size from {known[2]} to {size}: its counters are lost'
            )
            yield conf.finding(one, "zone_resized", text, is_error=False)


def hosts(conf: Conf, resolve: Resolve) -> Iterator[Finding]:
    """Finds unresolved names that nginx needs when it starts:
    without an answer it does not start.
    """
    asked: dict[str, Placed] = {}
    groups = {one.args[0] for one in conf.all("upstream") if one.args}
    for one in conf.all("server"):
        if one.around[-1:] == (b"upstream",) and one.args and "resolve" not in one.args:
            _ask(asked, one.args[0], one)
    for one in conf.all(*_PASSES):
        written = one.args[0] if one.args else ""
        target = written.partition("://")[2] or written  # a scheme stands before it or not
        host = target.partition("/")[0]
        if "$" not in target and host not in groups:
            _ask(asked, host, one)
    answers = _resolve_all(list(asked), resolve)
    for host, placed in asked.items():
        if answers[host]:
            text = f'"{host}" is resolved at start only: without DNS nginx would not start'
            yield conf.finding(placed, "resolved_at_start", text, is_error=False)
        else:
            text = f'"{host}" does not resolve: nginx would not start with this release'
            yield conf.finding(placed, "unresolvable", text)


def modules(conf: Conf, permits: Callable[[str], bool]) -> Iterator[Finding]:
    """Finds libraries that are not beside the binary: `nginx -t` would run their code."""
    for one in conf.all("load_module"):
        if one.args and not permits(one.args[0]):
            text = f"{one.args[0]} is not among the modules of this nginx: it is not even tested"
            yield conf.finding(one, "foreign_module", text)


def worker_start(conf: Conf) -> Iterator[Finding]:
    """Finds what kills a worker as it begins: nobody serves then (nginx does not restart it)."""
    for one in conf.all("working_directory"):
        folder = conf.path(one.args[0]) if one.args else conf.folder
        if not folder.is_dir():
            yield conf.finding(
                one,
                "worker_init",
                f"working_directory {folder} is not a directory: every worker would die",
            )


def resolves(host: str) -> bool:
    """Reports whether the system's resolver has an address."""
    try:
        return bool(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError):
        return False


def _arguments(inside: list[Located], name: bytes) -> list[str]:
    return [
        value.decode(errors="surrogateescape")
        for one in inside
        if one.directive.name == name
        for value in one.directive.values
    ]


def _zones(conf: Conf) -> Iterator[tuple[Placed, str, str, str]]:
    """Yields (directive, zone, what must stay the same, size)."""
    for directive, prefix in _ZONES.items():
        for one in conf.all(directive.decode()):
            zone = next((arg for arg in one.args if arg.startswith(prefix)), "")
            name, _, size = zone.removeprefix(prefix).partition(":")
            if name:
                levels = [arg for arg in one.args if arg.startswith("levels=")]
                yield one, name, " ".join([one.args[0], *levels]), size


def _ask(asked: dict[str, Placed], address: str, placed: Placed) -> None:
    host = address.rpartition(":")[0] if address.rpartition(":")[2].isdigit() else address
    if not host or host.startswith(("unix:", "[")) or _is_ipv4(host):
        return
    asked.setdefault(host, placed)


def _is_ipv4(host: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET, host)
    except OSError:
        return False
    return True


def _resolve_all(names: list[str], resolve: Resolve) -> dict[str, bool]:
    """Resolves all names at once, since a missing one costs the resolver's whole timeout."""
    threads = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="resolve")
    try:
        waiting = {name: threads.submit(resolve, name) for name in names}
        answers: dict[str, bool] = {}
        for name, one in waiting.items():
            try:
                answers[name] = one.result(_RESOLVING_S)
            except TookTooLongError:
                answers[name] = False
        return answers
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
