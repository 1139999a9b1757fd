"""Converts single values between nginx's words and ours."""

import re
from collections.abc import Mapping
from typing import Final

from headgate.engines.nginx.imports.objects import NotExpressibleError
from headgate.features.templates import pieces
from headgate.kernel.units import ByteSize, Duration
from headgate.nginxtext.writer import Template, Var

VARIABLES: Final = {
    "remote_addr": "client_ip",
    "request_id": "request_id",
    "request_method": "method",
    "scheme": "scheme",
    "server_protocol": "protocol",
    "host": "host",
    "args": "query",
    "query_string": "query",
}
"""nginx's variables that mean what ours mean. `$uri` is decoded and `$request_uri` is not
normalised, so that neither is our `path` or `target`."""

_OURS: Final = {ours: theirs for theirs, ours in reversed(VARIABLES.items())}
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z0-9_]+)\}|([0-9]|[A-Za-z_][A-Za-z0-9_]*))")
_BYTES_VARIABLE = re.compile(_VARIABLE.pattern.encode())
_TIME = re.compile(
    r"(?:(\d+)y)?(?:(\d+)M)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s?)?"
)
_MS = re.compile(r"(\d+)ms")
_TIME_MS: Final = (31_536_000_000, 2_592_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1000)
_SIZE = re.compile(r"(\d+)([kKmMgG]?)")
_SIZE_BYTES: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def text(value: bytes) -> str:
    """Returns a value as text; raises `NotExpressibleError` if it is not UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise NotExpressibleError("a value is not UTF-8") from None


def duration(value: bytes) -> str:
    """Converts nginx's time (`30`, `1m30s`, `500ms`) to ours; 0 is `off`."""
    written = text(value)
    if found := _MS.fullmatch(written):
        return str(Duration(int(found[1])))
    found = _TIME.fullmatch(written) if written else None
    if found is None:
        raise NotExpressibleError(f'"{written}" is not a time')
    amounts = zip(found.groups(default="0"), _TIME_MS, strict=True)
    return str(Duration(sum(int(amount) * ms for amount, ms in amounts)))


def nginx_time(ours: str) -> str:
    """Converts our duration to nginx's time."""
    ms = 0 if ours == "off" else Duration.parse(ours).ms
    return f"{ms}ms" if ms % 1000 else f"{ms // 1000}s"


def size(value: bytes) -> str:
    """Converts nginx's size (`8k`, `1m`) to ours; 0 is `off`."""
    written = text(value)
    found = _SIZE.fullmatch(written)
    if found is None:
        raise NotExpressibleError(f'"{written}" is not a size')
    return str(ByteSize(int(found[1]) * _SIZE_BYTES[found[2].lower()]))


def nginx_size(ours: str) -> str:
    """Converts our size to nginx's, in bytes or a whole unit."""
    amount = 0 if ours == "off" else ByteSize.parse(ours).bytes
    for unit, factor in (("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)):
        if amount and amount % factor == 0:
            return f"{amount // factor}{unit}"
    return str(amount)


def template(value: bytes) -> str:
    """Returns a value with variables as our template;
    raises `NotExpressibleError` for an unknown one.
    """
    written = text(value)
    out: list[str] = []
    at = 0
    for found in _VARIABLE.finditer(written):
        out += [written[at : found.start()].replace("$", "$$"), _ours(found[1] or found[2])]
        at = found.end()
    return "".join(out) + written[at:].replace("$", "$$")


def folded(value: bytes, constants: Mapping[bytes, bytes]) -> bytes:
    """Returns the value with constants in place of their variables."""
    return _BYTES_VARIABLE.sub(lambda found: constants.get(found[1] or found[2], found[0]), value)


def names(value: bytes) -> list[bytes]:
    """Returns the names of the variables in a value, as written."""
    return [found[1] or found[2] for found in _BYTES_VARIABLE.finditer(value)]


def has_variables(value: bytes) -> bool:
    """Reports whether nginx would evaluate something in it."""
    return b"$" in value


def nginx_template(ours: str) -> Template:
    """Converts our template to nginx's words: the inverse of `template`."""
    parts: list[str | Var] = []
    for kind, piece in pieces(ours):
        if kind == "name":
            header = piece.removeprefix("header:")
            is_header = header != piece
            name = f"http_{header.lower().replace('-', '_')}" if is_header else _OURS[piece]
            parts.append(Var(name))
        else:
            parts.append("$" if kind == "dollar" else piece)
    return Template(tuple(parts))


def _ours(name: str) -> str:
    if name in VARIABLES:
        return f"${{{VARIABLES[name]}}}"
    if name.startswith("http_") and name != "http_":
        return f"${{header:{name.removeprefix('http_').replace('_', '-')}}}"
    raise NotExpressibleError(f"the variable ${name} has no counterpart")
