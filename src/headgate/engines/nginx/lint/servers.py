"""Checks for servers that conflict, and limits that do not fit together."""

from collections.abc import Iterator
from typing import Final

from headgate.engines.nginx.lint.check import Found
from headgate.engines.nginx.lint.config import Config, Seen
from headgate.nginxtext.includes import Located
from headgate.nginxtext.tree import Directive

_PLENTY: Final = 1000


def _http_servers(config: Config) -> Iterator[Seen]:
    return (seen for seen in config.named("server") if seen.is_in("http"))


def _addresses(config: Config, server: Located) -> dict[str, bool]:
    """Returns the addresses of a server, and whether it calls itself their default."""
    found: dict[str, bool] = {}
    for line in config.own(server, "listen"):
        words = [value.decode(errors="replace") for value in line.values]
        if words:
            address = words[0].removeprefix("*:").removeprefix("0.0.0.0:")
            found[address] = "default_server" in words or "default" in words
    return found or {"80": False}


def _names(config: Config, server: Located) -> list[str]:
    lines = config.own(server, "server_name")
    return [v.decode(errors="replace").lower() for line in lines for v in line.values] or [""]


def duplicate_server_name(config: Config) -> Iterator[Found]:
    """Finds two servers with one name on one address: nginx only warns and ignores the second."""
    seen_before: dict[tuple[str, str], Located] = {}
    for server in _http_servers(config):
        for address in _addresses(config, server.located):
            for name in _names(config, server.located):
                first = seen_before.setdefault((address, name), server.located)
                if first is not server.located and first != server.located:
                    place = f"{first.file}:{first.directive.line}"
                    shown = f'"{name}"' if name else "no name"
                    yield server.located, f"{shown} on {address} is {place}'s: it is never used"


def default_server_flag(config: Config) -> Iterator[Found]:
    """Finds addresses where the order of files decides which server takes unknown names."""
    servers = [(one, _addresses(config, one.located)) for one in _http_servers(config)]
    for address in dict.fromkeys(a for _, found in servers for a in found):
        on = [(one, found[address]) for one, found in servers if address in found]
        if len(on) > 1 and not any(flag for _, flag in on):
            yield on[0][0].located, f"the first server read on {address} takes unknown hosts"


def worker_rlimit_nofile_vs_connections(config: Config) -> Iterator[Found]:
    """Finds fewer files than connections need."""
    connections = _number(next(config.named("worker_connections"), None))
    for seen in config.named("worker_rlimit_nofile"):
        files = _number(seen)
        if files and connections and files < 2 * connections:
            yield seen.located, f"{connections} proxied connections take {2 * connections} files"


def low_keepalive_requests(config: Config) -> Iterator[Found]:
    """Finds connections that nginx closes early."""
    for seen in config.named("keepalive_requests"):
        if 0 < (_number(seen) or 0) < _PLENTY:
            yield seen.located, "clients lose their connections often, and HTTP/2 ones requests"


def _number(seen: Seen | None) -> int | None:
    word = seen.words[0] if seen and seen.words else ""
    return int(word) if word.isdigit() else None


def missing_include(config: Config) -> Iterator[Found]:
    """Finds files that cannot be read or include themselves."""
    for problem in config.tree.problems:
        place = Directive(b"include", line=problem.line, column=problem.column)
        yield Located(problem.file, place), problem.message
