"""Parses single values: each function returns the canonical form of its text
or raises `Invalid`.
"""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from headgate.kernel.errors import Invalid

MAX_COUNT: Final = 4_294_967_295
HOST_ALLOWED: Final = 'write "a.example", "*.example", "*", or an address such as "[::1]"'
HOST_NAME_ALLOWED: Final = 'write a name such as "a.example", or an address such as "[::1]"'
SERVER_NAME_ALLOWED: Final = 'write "a.example", "*.example" or "*"'
ALPN_ALLOWED: Final = 'write the name of a protocol such as "h2" or "postgresql"'
HEADER_NAME_ALLOWED: Final = 'write letters, digits and hyphens, such as "x-tenant" (RFC 9110 §5.1)'
COOKIE_NAME_ALLOWED: Final = "write letters, digits and !#$%&'*+-.^_`|~ (RFC 6265 §4.1.1)"
METHOD_ALLOWED: Final = 'write an upper-case method such as "GET"'
CIDR_ALLOWED: Final = 'write a network or an address: "10.0.0.0/8", "2001:db8::/32", "192.0.2.7"'
LISTEN_ALLOWED: Final = 'write an IP address and a port: "127.0.0.1:8000", "0.0.0.0:80", "[::]:443"'
ENDPOINT_ALLOWED: Final = 'write "host:port", "192.0.2.7:80", "[::1]:80" or "unix:/path"'
PATH_ALLOWED: Final = 'write a normalised path such as "/v1/items"'
REGEX_ALLOWED: Final = 'write an expression for the whole text, such as "/items/[0-9]+"'

_REFUSED_PATH: Final = "write another path: requests with such a path are answered with 400"

_LABELS = re.compile(
    r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
)
_ALPN = re.compile(r"[!-~]{1,255}")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_PATH = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-F]{2})*")
_SIMPLE_PATH = re.compile(r"(?:/[A-Za-z0-9_-]+)+")
_DOTTED_OR_DOUBLED = re.compile(r"//|/\.\.?(?:/|$)")
_DOTTED = re.compile(r"/\.\.?(?:/|$)")
_PATTERN = re.compile(r"[\\\[\]{}^|]")
_UNRESERVED_ENCODED = re.compile(r"%(?:2D|2E|5F|7E|3[0-9]|[46][1-9A-F]|[57][0-9A])")
_MANY_DIGITS = 10
_HOST_PORT = re.compile(r"(.+):([0-9]{1,5})")
_COMMON_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_MAX_HOST: Final = 253


def described(value: object) -> str:
    """Returns a wrong value as a message names it, without showing more than its beginning."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value[:40]}…"' if len(value) > 40 else f'"{value}"'  # noqa: PLR2004
    if isinstance(value, int | float):
        return str(value)
    if value is None:
        return "nothing (null)"
    return "a table" if isinstance(value, dict) else "a list"


def host_name(text: str, allowed: str = HOST_NAME_ALLOWED) -> str:
    """Returns a host in lower case without trailing dot; IPv6 in brackets, in its shortest form."""
    name = text.lower().removesuffix(".")
    if _LABELS.fullmatch(name) and len(name) <= _MAX_HOST:
        return name
    if name.startswith("[") and name.endswith("]"):
        try:
            return f"[{_ipv6(name[1:-1])}]"
        except AddressValueError:
            raise Invalid(f'"{text}" is not an IPv6 address', allowed) from None
    if not name.isascii():
        raise Invalid(f'"{text}" is not ASCII', _ascii_form(name))
    if name.count(":") > 1 and not name.startswith("["):
        raise Invalid(f'"{text}" is not a host', _bracketed(name, allowed))
    if _HOST_PORT.fullmatch(name):
        alone = "write the host alone: the port is that of the listener"
        raise Invalid(f'"{text}" has a port', alone)
    if "/" in name:
        raise Invalid(f'"{text}" is not a host', f"{allowed}; scheme and path belong elsewhere")
    raise Invalid(f'"{text}" is not a host', allowed)


def _bracketed(name: str, allowed: str) -> str:
    """Returns what to write for an IPv6 address without brackets."""
    try:
        return f'write an IPv6 address in brackets: "[{_ipv6(name)}]"'
    except AddressValueError:
        return allowed


def _ascii_form(name: str) -> str:
    try:
        return f'write it in its ASCII form, "{name.encode("idna").decode()}"'
    except UnicodeError:
        return "write it in its ASCII form (xn--…)"


def authority(text: str) -> str:
    """Returns a host with or without port, canonical."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        return host_name(text)
    if not port.isdecimal():
        raise Invalid(f'"{text}" is not a host', f'{HOST_NAME_ALLOWED}, with or without ":port"')
    return f"{host_name(host)}:{_port(text, port)}"


def host_pattern(text: str) -> str:
    """Returns `*`, `*.a.example` or a host, canonical."""
    if text == "*" or (len(text) <= _MAX_HOST and _LABELS.fullmatch(text)):
        return text
    if text.startswith("*.") and "*" not in text[1:]:
        return f"*.{host_name(text[2:], HOST_ALLOWED)}"
    if "*" in text:
        raise Invalid(f'"{text}" has a `*` that is not its first label alone', HOST_ALLOWED)
    return host_name(text, HOST_ALLOWED)


def server_name(text: str) -> str:
    """Returns `*`, `*.a.example` or a name as TLS clients send it: no address (RFC 6066 §3)."""
    try:
        ip_address(text.strip("[]"))
    except ValueError:
        return host_pattern(text)
    raise Invalid(f'"{text}" is an address, which TLS clients do not send', SERVER_NAME_ALLOWED)


def alpn(text: str) -> str:
    """Returns the name of a protocol that TLS clients offer, of 1 to 255 bytes (RFC 7301)."""
    if not _ALPN.fullmatch(text):
        raise Invalid(f'"{text}" is not the name of a protocol', ALPN_ALLOWED)
    return text


def header_name(text: str) -> str:
    """Returns a header name in lower case."""
    if not _TOKEN.fullmatch(text):
        raise Invalid(f'"{text}" is not a header name', HEADER_NAME_ALLOWED)
    return text.lower()


def cookie_name(text: str) -> str:
    """Returns the name of a cookie as it is: unlike that of a header, it is case-sensitive."""
    if not _TOKEN.fullmatch(text):
        raise Invalid(f'"{text}" is not the name of a cookie', COOKIE_NAME_ALLOWED)
    return text


def method(text: str) -> str:
    """Returns a method; CONNECT and TRACE are never forwarded and cannot match."""
    if text in _COMMON_METHODS:
        return text
    if not _TOKEN.fullmatch(text) or text != text.upper():
        raise Invalid(f'"{text}" is not a method', f"{METHOD_ALLOWED} (methods are case-sensitive)")
    if text in ("CONNECT", "TRACE"):
        raise Invalid(f"{text} is always answered with 405", "write a method that is forwarded")
    return text


def cidr(text: str) -> str:
    """Returns a network in CIDR notation; a bare address is a network of one. Zones are refused."""
    if "%" in text:
        raise Invalid(f'"{text}" names a zone', CIDR_ALLOWED)
    try:
        return str(ip_network(text))
    except ValueError:
        pass
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        raise Invalid(f'"{text}" is not a network', CIDR_ALLOWED) from None
    raise Invalid(f'"{text}" has bits beyond its mask', f'write "{meant}"')


def _ipv6(text: str) -> IPv6Address:
    """Returns an address without a zone. Raises `AddressValueError`."""
    if "%" in text:
        raise AddressValueError(text)
    return IPv6Address(text)


def listen_address(text: str) -> str:
    """Returns `1.2.3.4:80` or `[::1]:80`."""
    found = _HOST_PORT.fullmatch(text)
    if not found:
        bare = text.removeprefix("*").removeprefix(":")
        meant = f'; for every address write "0.0.0.0:{bare}" or "[::]:{bare}"'
        raise Invalid(
            f'"{text}" is not an address to listen on',
            LISTEN_ALLOWED + (meant if bare.isdecimal() else ""),
        )
    host, port = found[1], _port(text, found[2])
    try:
        if host.startswith("[") and host.endswith("]"):
            return f"[{_ipv6(host[1:-1])}]:{port}"
        return f"{IPv4Address(host)}:{port}"
    except AddressValueError:
        raise Invalid(
            f'"{text}" is not an address to listen on', _listen_meant(host, port)
        ) from None


def _listen_meant(host: str, port: int) -> str:
    """Returns what to write for a host that is not an address,
    or an IPv6 address without brackets.
    """
    if host == "localhost":
        return f'write "127.0.0.1:{port}" or "[::1]:{port}"'
    if host == "*":
        return f'write "0.0.0.0:{port}" or "[::]:{port}" for every address'
    try:
        return f'write an IPv6 address in brackets: "[{_ipv6(host)}]:{port}"'
    except AddressValueError:
        return LISTEN_ALLOWED


def is_address(host: str) -> bool:
    """Reports whether a host is an address: clients send no server name for one (RFC 6066 §3)."""
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def is_loopback(address: str) -> bool:
    """Reports whether an address that `listen_address` gave can be reached from this host only."""
    return ip_address(address.rpartition(":")[0].strip("[]")).is_loopback


def endpoint_address(text: str) -> str:
    """Returns `host:port`, `1.2.3.4:80`, `[::1]:80` or `unix:/path`; hosts in lower case."""
    if text.startswith("unix:"):
        if not text.startswith("unix:/") or "\0" in text:
            raise Invalid(f'"{text}" has no absolute path', ENDPOINT_ALLOWED)
        return text
    if "://" in text:
        rest = text.partition("://")[2]
        alone = rest.partition("/")[0]
        if not _HOST_PORT.fullmatch(alone):
            alone += ":443" if text.startswith("https") else ":80"
        tls = "; TLS is the upstream's `tls = {}`" if text.startswith("https") else ""
        raise Invalid(f'"{text}" is a URL', f'write the address alone, "{alone}"{tls}')
    found = _HOST_PORT.fullmatch(text)
    if not found:
        raise Invalid(f'"{text}" has no port', ENDPOINT_ALLOWED)
    port = _port(text, found[2])
    try:
        return f"{host_name(found[1])}:{port}"
    except Invalid:
        raise Invalid(f'"{text}" is not an address', ENDPOINT_ALLOWED) from None


def _port(text: str, digits: str) -> int:
    port = int(digits) if len(digits) < _MANY_DIGITS else 0
    if not 0 < port <= 65_535:  # noqa: PLR2004 - the range of a port
        raise Invalid(f'"{text}" has port {port}', "write a port from 1 to 65535")
    return port


def routed_path(text: str) -> str:
    """Returns a path as the router sees it: normalised, without query."""
    if _SIMPLE_PATH.fullmatch(text):
        return text
    if not text.startswith("/"):
        raise Invalid(f'"{text}" does not begin with a slash', PATH_ALLOWED)
    if _PATH.fullmatch(text) and not _DOTTED_OR_DOUBLED.search(text):
        if "%" in text:
            _check_encoded(text)
        return text
    if "?" in text or "#" in text:
        raise Invalid(
            f'"{text}" has a query or fragment',
            "write the path alone; the query is matched by `query`",
        )
    if _PATTERN.search(text):
        allowed = "write a path as it is, or an expression where `regex` is possible"
        raise Invalid(f'"{text}" has characters of a pattern', allowed)
    if _DOTTED_OR_DOUBLED.search(text):
        raise Invalid(f'"{text}" has empty or dot segments', f"{PATH_ALLOWED}, without them")
    raise Invalid(
        f'"{text}" has characters that paths carry percent-encoded',
        f"{PATH_ALLOWED}, other characters as %XX in upper-case hex",
    )


def _check_encoded(text: str) -> None:
    """Raises `Invalid` for encodings that a normalised path cannot contain."""
    if _UNRESERVED_ENCODED.search(text):
        raise Invalid(f'"{text}" encodes a character that needs none', PATH_ALLOWED)
    if "%00" in text or "%5C" in text:
        raise Invalid(f'"{text}" has a NUL or a backslash', _REFUSED_PATH)
    if _DOTTED.search(text.replace("%2F", "/")):
        raise Invalid(f'"{text}" hides dot segments', _REFUSED_PATH)


def regex(text: str) -> str:
    """Returns a pattern, not empty; the core, which compiles it, checks its syntax."""
    if not text:
        raise Invalid("the expression is empty", REGEX_ALLOWED)
    return text
