"""Checks how nginx finds upstreams and passes requests to them."""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from headgate.engines.nginx.lint.check import Found
from headgate.engines.nginx.lint.config import Config

_PASSES: Final = ("proxy_pass", "fastcgi_pass", "uwsgi_pass", "grpc_pass")
_HOST = re.compile(r"(?:\w+://)?([^/]*)")
_URI = re.compile(r"https?://[^/$]+(/.*)")
_VARIABLE = re.compile(r"\$\{?(\w+)")


def missing_resolver(config: Config) -> Iterator[Found]:
    """Finds a name that is only known at run time, without a resolver."""
    groups = {seen.words[0] for seen in config.named("upstream") if seen.words}
    fixed = {
        seen.words[0].lstrip("$")
        for seen in config.named("set")
        if len(seen.words) > 1 and (seen.words[1] in groups or _is_address(seen.words[1]))
    }
    mapped = {
        seen.words[1].lstrip("$")
        for seen in config.named("map", "geo", "split_clients")
        if len(seen.words) > 1
    }
    for seen in config.named(*_PASSES):
        host = _HOST.match(seen.words[0]) if seen.words else None
        names = set(_VARIABLE.findall(host[1])) if host else set()
        if names - fixed - mapped - {"scheme"} and not config.nearest(seen, "resolver"):
            yield seen.located, "the host is a variable, and there is no `resolver` to look it up"


def _is_address(text: str) -> bool:
    try:
        ip_address(text.removeprefix("http://").rpartition(":")[0] or text)
    except ValueError:
        return text.startswith("unix:")
    return True


def resolver_external(config: Config) -> Iterator[Found]:
    """Finds a resolver over the Internet, whose answers can be forged."""
    for seen in config.named("resolver"):
        for word in seen.words:
            host = word.rpartition(":")[0] if word.count(":") == 1 else word.strip("[]")
            try:
                public = ip_address(host).is_global
            except ValueError:
                continue
            if public:
                yield seen.located, f"{word} is asked over the Internet; its answers can be forged"
                break


def proxy_pass_normalized(config: Config) -> Iterator[Found]:
    """Finds a path in `proxy_pass`, which makes nginx decode the request's."""
    for seen in config.named("proxy_pass"):
        found = _URI.match(seen.words[0]) if seen.words else None
        if found and found[1] != "/" and seen.is_in("location"):
            yield seen.located, f"with `{found[1]}` the path is decoded (%2F becomes a slash)"


def hash_without_default(config: Config) -> Iterator[Found]:
    """Finds `map` without `default`: what is not listed becomes empty."""
    for seen in config.named("map"):
        keys = {one.directive.name for one in config.inside(seen.located)}
        if b"default" not in keys and b"volatile" not in keys:
            name = seen.words[1] if len(seen.words) > 1 else "the variable"
            yield seen.located, f"{name} is empty for values that are not listed"
