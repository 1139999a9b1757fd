"""Checks clients' data that ends up where nginx or an upstream obeys it."""

import re
from collections.abc import Iterator
from typing import Final

from headgate.engines.nginx.lint.check import Found
from headgate.engines.nginx.lint.config import Config, Seen

_DECODED = re.compile(r"\$\{?(uri|document_uri)\b")
_URL = re.compile(r"(?:https?|\$\{?scheme\}?)://([^/]*)|(\$\{?\w+\}?)")
_FROM_CLIENT = re.compile(
    r"\$\{?(arg_\w+|args|http_\w+|cookie_\w+|query_string|request_uri|uri|host|[1-9])\b"
)
_ABSOLUTE = re.compile(r"https?://|\$\{?scheme")
_REDIRECTS: Final = frozenset({"redirect", "permanent"})
_WITH_URL: Final = 2


def http_splitting(config: Config) -> Iterator[Found]:
    """Finds the decoded path in a header: `%0d%0a` in a request becomes a line of its own."""
    for seen in config.named("return", "rewrite", "add_header", "proxy_set_header", "proxy_pass"):
        for word in _header_words(seen):
            found = _DECODED.search(word)
            if found:
                yield seen.located, f"${found[1]} is decoded: a line end in a path ends the header"
                break


def _header_words(seen: Seen) -> tuple[str, ...]:
    """Returns the arguments that end up in a header or a request line."""
    words = seen.words
    if seen.name == "return":
        if len(words) == _WITH_URL:
            return words[1:] if words[0].startswith("3") else ()
        return words
    if seen.name == "rewrite":
        redirects = _REDIRECTS.intersection(words[2:]) or _ABSOLUTE.match("".join(words[1:2]))
        return words[1:2] if redirects else ()
    return words if seen.name == "proxy_pass" else words[1:]


def ssrf(config: Config) -> Iterator[Found]:
    """Finds targets where a client chooses the host that nginx connects to."""
    for seen in config.named("proxy_pass"):
        found = _URL.match(seen.words[0]) if seen.words else None
        chosen = _FROM_CLIENT.search(found[1] or found[2] or "") if found else None
        if chosen is None or not seen.is_in("location", "if", "limit_except"):
            continue
        if not config.own(seen.parents[-1], "internal"):
            yield seen.located, f"${chosen[1]} comes from the client and names the host"


def host_spoofing(config: Config) -> Iterator[Found]:
    """Finds the Host header as sent, where `$host` is what was matched."""
    for seen in config.named("proxy_set_header"):
        if [word.lower() for word in seen.words] == ["host", "$http_host"]:
            yield (
                seen.located,
                "$http_host is what the client wrote, even where the request line says otherwise",
            )


def valid_referers(config: Config) -> Iterator[Found]:
    """Finds `none`, which lets requests without Referer pass."""
    for seen in config.named("valid_referers"):
        if "none" in seen.words:
            yield seen.located, "a page may keep browsers from sending a Referer, and so pass"
