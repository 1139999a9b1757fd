"""Checks who may do what."""

from collections.abc import Iterator
from typing import Final

from headgate.engines.nginx.lint.check import Found
from headgate.engines.nginx.lint.config import Config, Seen

_SAFE_IN_IF: Final = frozenset({b"return", b"rewrite", b"set", b"break", b"access_log"})
_GUARDS: Final = ("allow", "deny", "internal", "auth_basic", "auth_request", "satisfy")
_STATUS_PAGES: Final = ("stub_status", "vhost_traffic_status_display", "php-fpm_status")
_LOCAL: Final = ("unix:", "127.", "localhost", "[::1]")


def allow_without_deny(config: Config) -> Iterator[Found]:
    """Finds `allow` without `deny`, which allows everybody."""
    for seen in config.named("allow"):
        if seen.words == ("all",) or not seen.parents:
            continue
        if not config.own(seen.parents[-1], "deny"):
            yield seen.located, "clients that match no line are let in: there is no `deny`"


def return_bypasses_allow_deny(config: Config) -> Iterator[Found]:
    """Finds `return` beside `allow` and `deny`, before which it answers."""
    for seen in config.named("return"):
        if not seen.is_in("location", "server"):
            continue
        denies = [one for one in config.nearest(seen, "deny") if one.values]
        own = config.own(seen.parents[-1], "deny")
        if own and denies and not (seen.words and seen.words[0] in ("403", "404", "444")):
            yield seen.located, "it answers before `deny` is looked at"


def if_is_evil(config: Config) -> Iterator[Found]:
    """Finds `if` in a location, which surprises with most directives."""
    for seen in config.named("if"):
        if not seen.is_in("location"):
            continue
        for located in config.inside(seen.located):
            if located.directive.name not in _SAFE_IN_IF:
                name = located.directive.name.decode(errors="replace")
                yield located, f"`{name}` in an `if` in a location: the rest of it may be skipped"
                break


def status_page_exposed(config: Config) -> Iterator[Found]:
    """Finds figures of the server that everybody can read."""
    for seen in config.named(*_STATUS_PAGES):
        if not any(config.nearest(seen, guard) for guard in _GUARDS) and not _is_local(
            config, seen
        ):
            yield seen.located, "everybody may read the server's figures"


def _is_local(config: Config, seen: Seen) -> bool:
    servers = [one for one in seen.parents if one.directive.name == b"server"]
    if not servers:
        return False
    listens = config.own(servers[-1], "listen")
    return bool(listens) and all(
        one.values[0].decode(errors="replace").startswith(_LOCAL) for one in listens if one.args
    )


def error_log_off(config: Config) -> Iterator[Found]:
    """Finds `error_log off`: nginx writes a file called off."""
    for seen in config.named("error_log"):
        if seen.words[:1] == ("off",):
            yield seen.located, "errors go to a file named `off` beside the config"
