"""Converts TLS to endpoints (`proxy_pass https://`) to the `tls` of an upstream, and back.

nginx verifies no certificate and sends no server name unless it is told to. Where it verifies, its
location is kept: the chains that it accepts are shorter than ours.
"""

import re
from typing import Final

from headgate.engines.nginx.imports import values
from headgate.engines.nginx.imports.around import Around
from headgate.engines.nginx.imports.objects import NotExpressibleError, Table, Toml
from headgate.features import syntax
from headgate.nginxtext.tree import Directive
from headgate.nginxtext.writer import Plain, Word, directive

_OFF: Final = b"off"
_ON: Final = b"on"
_CLIENT: Final = (b"proxy_ssl_certificate", b"proxy_ssl_certificate_key", b"proxy_ssl_conf_command")
_VERSIONS: Final = frozenset({b"TLSv1.2", b"TLSv1.3"})
_OURS: Final = (b"proxy_ssl_ciphers", b"proxy_ssl_protocols", b"proxy_ssl_session_reuse")
_PORT: Final = re.compile(r":\d+$")
_HTTPS_PORT: Final = 443


def target_of(host: str, *, is_known: bool) -> str:
    """Returns the upstream that `https://HOST` leads to: a known one has its ports itself."""
    return host if is_known or _PORT.search(host) else f"{host}:{_HTTPS_PORT}"


def tls_of(around: Around, host: str) -> Table:
    """Returns the `tls` of the upstream of `https://HOST`; raises `NotExpressibleError`."""
    for line in _CLIENT:
        if around.nearest(line):
            raise NotExpressibleError(f"`{values.text(line)}` has no counterpart")
    if around.value(b"proxy_ssl_verify", _OFF) != _OFF:
        raise NotExpressibleError("`proxy_ssl_verify on` has no counterpart")
    found: dict[str, Toml] = {"verify": False}
    versions = {word for line in _protocols(around) for word in line.values}
    if versions and not versions & _VERSIONS:
        raise NotExpressibleError("`proxy_ssl_protocols` has neither TLSv1.2 nor TLSv1.3")
    if versions and b"TLSv1.2" not in versions:
        found["min_version"] = "1.3"
    name = _sent(around, host)
    return {**found, "verify_name": name} if name else {**found, "sni": False}


def _protocols(around: Around) -> list[Directive]:
    return [one.directive for one in around.nearest(b"proxy_ssl_protocols")]


def _sent(around: Around, host: str) -> str:
    """Returns the server name that nginx sends; empty for none."""
    if around.value(b"proxy_ssl_server_name", _OFF) != _ON:
        return ""
    written = around.value(b"proxy_ssl_name", b"$proxy_host")
    name = _PORT.sub("", host) if written == b"$proxy_host" else values.text(written)
    if values.has_variables(name.encode()):
        raise NotExpressibleError(f"`proxy_ssl_name {name}` has no counterpart")
    return "" if syntax.is_address(name) else name.lower()


def notes_of(around: Around) -> list[str]:
    """Returns how TLS to endpoints differs."""
    kept = [values.text(name) for name in _OURS if around.nearest(name)]
    also = f"; {', '.join(kept)}: kept for nginx" if kept else ""
    return [f"TLS to the endpoint: the native engine offers its own ciphers{also}"]


def to_nginx(tls: Table) -> list[Directive]:
    """Returns the lines of a location for the `tls` of its upstream; the inverse of `tls_of`."""
    if not tls:
        return []
    lines = [directive("proxy_ssl_verify", Word("off"))]
    if "verify_name" in tls:
        lines.append(directive("proxy_ssl_server_name", Word("on")))
        return [*lines, directive("proxy_ssl_name", Plain(str(tls["verify_name"])))]
    return [*lines, directive("proxy_ssl_server_name", Word("off"))]
