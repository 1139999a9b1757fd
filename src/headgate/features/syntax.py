"""Parsers of single values: each returns the canonical form of its text or raises `Invalid`."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from headgate.kernel.errors import Invalid

MAX_COUNT: Final = 4_294_967_295
HOST_ALLOWED: Final = '"a.example", "*.example", "*", or an address such as "[::1]"'
HEADER_NAME_ALLOWED: Final = 'letters, digits and hyphens, such as "x-tenant" (RFC 9110 §5.1)'
METHOD_ALLOWED: Final = 'an upper-case method such as "GET"'
CIDR_ALLOWED: Final = 'a network or an address: "10.0.0.0/8", "2001:db8::/32", "192.0.2.7"'
LISTEN_ALLOWED: Final = 'an IP address and a port: "127.0.0.1:8000", "0.0.0.0:80", "[::]:443"'
ENDPOINT_ALLOWED: Final = '"host:port", "192.0.2.7:80", "[::1]:80" or "unix:/path"'
PATH_ALLOWED: Final = 'a normalised path such as "/v1/items"'
REGEX_ALLOWED: Final = 'an expression for the whole text, such as "/items/[0-9]+"'

_LABELS = re.compile(
    r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
)
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_PATH = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-F]{2})*")
_SIMPLE_PATH = re.compile(r"(?:/[A-Za-z0-9_-]+)+")
_DOTTED_OR_DOUBLED = re.compile(r"//|/\.\.?(?:/|$)")
_DOTTED = re.compile(r"/\.\.?(?:/|$)")
_UNRESERVED_ENCODED = re.compile(r"%(?:2D|2E|5F|7E|3[0-9]|[46][1-9A-F]|[57][0-9A])")
_HOST_PORT = re.compile(r"(.+):([0-9]{1,5})")
_COMMON_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_MAX_HOST: Final = 253


def described(value: object) -> str:
    """A wrong value as a message names it, without showing more than its beginning."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value[:40]}…"' if len(value) > 40 else f'"{value}"'  # noqa: PLR2004
    if isinstance(value, int | float):
        return str(value)
    if value is None:
        return "nothing (null)"
    return "a table" if isinstance(value, dict) else "a list"


def host_name(text: str) -> str:
    """A host in lower case without trailing dot; IPv6 in brackets, in its shortest form."""
    name = text.lower().removesuffix(".")
    if _LABELS.fullmatch(name) and len(name) <= _MAX_HOST:
        return name
    if name.startswith("[") and name.endswith("]"):
        try:
            return f"[{_ipv6(name[1:-1])}]"
        except AddressValueError:
            raise Invalid(f'"{text}" is not an IPv6 address', HOST_ALLOWED) from None
    if not name.isascii():
        raise Invalid(f'"{text}" is not ASCII', _ascii_form(name))
    if _HOST_PORT.fullmatch(name):
        raise Invalid(f'"{text}" has a port', "the host alone; the listener chooses the port")
    raise Invalid(f'"{text}" is not a host', HOST_ALLOWED)


def _ascii_form(name: str) -> str:
    try:
        return f'write it in its ASCII form, "{name.encode("idna").decode()}"'
    except UnicodeError:
        return "write it in its ASCII form (xn--…)"


def authority(text: str) -> str:
    """A host with or without port, canonical."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        return host_name(text)
    if not port.isdecimal():
        raise Invalid(f'"{text}" is not a host', f'{HOST_ALLOWED}, with or without ":port"')
    return f"{host_name(host)}:{_port(text, port)}"


def host_pattern(text: str) -> str:
    """`*`, `*.a.example` or a host, canonical."""
    if text == "*" or (len(text) <= _MAX_HOST and _LABELS.fullmatch(text)):
        return text
    if text.startswith("*.") and "*" not in text[1:]:
        return f"*.{host_name(text[2:])}"
    if "*" in text:
        raise Invalid(f'"{text}" has a `*` that is not its first label alone', HOST_ALLOWED)
    return host_name(text)


def header_name(text: str) -> str:
    """A header name in lower case."""
    if not _TOKEN.fullmatch(text):
        raise Invalid(f'"{text}" is not a header name', HEADER_NAME_ALLOWED)
    return text.lower()


def method(text: str) -> str:
    """A method; CONNECT and TRACE are never forwarded and cannot match."""
    if text in _COMMON_METHODS:
        return text
    if not _TOKEN.fullmatch(text) or text != text.upper():
        raise Invalid(f'"{text}" is not a method', f"{METHOD_ALLOWED} (methods are case-sensitive)")
    if text in ("CONNECT", "TRACE"):
        raise Invalid(f"{text} is always answered 405", "a method that is forwarded")
    return text


def cidr(text: str) -> str:
    """A network in CIDR notation; a bare address is a network of one. Zones are refused."""
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
    raise Invalid(f'"{text}" has bits beyond its mask', f'the network is "{meant}"')


def _ipv6(text: str) -> IPv6Address:
    """An address without a zone. Raises `AddressValueError`."""
    if "%" in text:
        raise AddressValueError(text)
    return IPv6Address(text)


def listen_address(text: str) -> str:
    """`1.2.3.4:80` or `[::1]:80`."""
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
        why = "IPv6 is written in brackets: " if ":" in host else ""
        raise Invalid(f'"{text}" is not an address to listen on', why + LISTEN_ALLOWED) from None


def is_loopback(address: str) -> bool:
    """Whether an address that `listen_address` gave can be reached from this host only."""
    return ip_address(address.rpartition(":")[0].strip("[]")).is_loopback


def endpoint_address(text: str) -> str:
    """`host:port`, `1.2.3.4:80`, `[::1]:80` or `unix:/path`; hosts in lower case."""
    if text.startswith("unix:"):
        if not text.startswith("unix:/") or "\0" in text:
            raise Invalid(f'"{text}" has no absolute path', ENDPOINT_ALLOWED)
        return text
    if "://" in text:
        rest = text.partition("://")[2]
        raise Invalid(f'"{text}" is a URL', f'the address alone, "{rest.partition("/")[0]}"')
    found = _HOST_PORT.fullmatch(text)
    if not found:
        raise Invalid(f'"{text}" has no port', ENDPOINT_ALLOWED)
    port = _port(text, found[2])
    try:
        return f"{host_name(found[1])}:{port}"
    except Invalid:
        raise Invalid(f'"{text}" is not an address', ENDPOINT_ALLOWED) from None


def _port(text: str, digits: str) -> int:
    port = int(digits)
    if not 0 < port <= 65_535:  # noqa: PLR2004 - the range of a port
        raise Invalid(f'"{text}" has port {port}', "a port from 1 to 65535")
    return port


def routed_path(text: str) -> str:
    """A path as the router sees paths: normalised, without query (DESIGN §6)."""
    if _SIMPLE_PATH.fullmatch(text):
        return text
    if not text.startswith("/"):
        raise Invalid(f'"{text}" does not begin with a slash', PATH_ALLOWED)
    if _PATH.fullmatch(text) and not _DOTTED_OR_DOUBLED.search(text):
        if "%" in text:
            _check_encoded(text)
        return text
    if "?" in text or "#" in text:
        raise Invalid(f'"{text}" has a query or fragment', "the path alone; see `query`")
    if _DOTTED_OR_DOUBLED.search(text):
        raise Invalid(f'"{text}" has empty or dot segments', f"{PATH_ALLOWED}, without them")
    raise Invalid(
        f'"{text}" has characters that paths carry percent-encoded',
        f"{PATH_ALLOWED}, others as %XX in upper-case hex",
    )


def _check_encoded(text: str) -> None:
    """Raises `Invalid` for encodings that no path has once it is normalised (DESIGN §6)."""
    if _UNRESERVED_ENCODED.search(text):
        raise Invalid(f'"{text}" encodes a character that needs none', PATH_ALLOWED)
    if "%00" in text or "%5C" in text:
        raise Invalid(f'"{text}" has a NUL or a backslash', "requests with such a path get 400")
    if _DOTTED.search(text.replace("%2F", "/")):
        raise Invalid(f'"{text}" hides dot segments', "requests with such a path get 400")


def regex(text: str) -> str:
    """A pattern, not empty; its syntax is judged by the core, which compiles it."""
    if not text:
        raise Invalid("the expression is empty", REGEX_ALLOWED)
    return text
