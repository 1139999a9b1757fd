"""Random configs of routes that answer with their name, and random requests near them."""

from random import Random
from typing import NamedTuple

HOSTS = ("a.example", "b.a.example", "*.a.example", "*.example", "*", "[::1]")
ASKED = ("a.example", "A.Example", "b.a.example", "x.b.a.example", "c.example", "other", "[::1]")
SEGMENTS = (
    "a",
    "b",
    "v1",
    "~u",
    "caf%C3%A9",
    "x%20y",
    "a;b",
    "a%3Bb",
    "a%2Fb",
    "%5B1%5D",
    "$1",
    "-",
)
EXPRESSIONS = (
    "/a/.*",
    "/[a-z]+",
    "/v1/(?P<uri>[0-9]+)/?",
    ".*%20.*",
    "/(?:a|b)(?:/.*)?",
    "/a;b",
    "(?i)/A/B",
    "/.*\\$.*",
    "/[^/]+/[^/]+",
)
VALUES = ("1", "one", "One", "x y", "a+b", "50%", "é", "$host", "a;b{c}", "")
PATTERNS = ("[0-9]+", "o.e", "[^a]*", "(?:x|one)\\s?.*", "5\\d%", "a\\+b")
NETWORKS = ("192.0.2.0/24", "192.0.2.7/32", "2001:db8::/32", "0.0.0.0/0")
CLIENTS = ("192.0.2.7", "192.0.2.9", "198.51.100.1", "2001:db8::5", "2001:db9::1")
METHODS = ("GET", "POST", "PUT", "PURGE")
ODD_METHODS = ("TRACE", "get", "A_B", "M-SEARCH")
PARAMETERS = ("q", "x y", "Q", "a[]")
HEADERS = ("x-a", "x-tenant")
COOKIES = ("sid", "SID", "a.b", "$host")
ODD = 0.04
"""The share of requests with an odd method, and of those with odd bytes in the target."""
FORWARDED = 0.4
"""The share of routes that forward, where there is an upstream."""


class Asked(NamedTuple):
    """A request as it is sent."""

    method: str
    target: str
    host: str
    headers: tuple[tuple[str, str], ...]
    client: str
    invented: str = ""
    """What the client itself claims as its address, in a line before that of the trusted peer."""

    def fields(self) -> dict[str, str | list[str]]:
        """Its headers as a trusted peer sends them, by name."""
        found: dict[str, str | list[str]] = {}
        for name in dict.fromkeys(name for name, _ in self.headers):
            found[name] = [value.strip(" \t") for other, value in self.headers if other == name]
        return {**found, "x-forwarded-for": [*self._claims(), self.client]}

    def bytes(self) -> bytes:
        """Its head; the connection is kept."""
        lines = [f"{self.method} {self.target} HTTP/1.1", f"Host: {self.host}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines += [f"X-Forwarded-For: {one}" for one in (*self._claims(), self.client)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def _claims(self) -> list[str]:
        return [self.invented] if self.invented else []


def path(random: Random) -> str:
    """A path in normal form."""
    return "".join("/" + random.choice(SEGMENTS) for _ in range(random.randint(0, 3))) or "/"


def config(random: Random, address: str, routes: int, echo: str = "") -> str:
    """A config with so many routes on one listener that believes loopback peers.

    With the address of an echoing upstream some routes forward to it, half of them the raw path;
    these name themselves in `x-route`.
    """
    found = [
        f'[listeners.web]\naddress = "{address}"\ndefault = true\n'
        'client_ip = { trusted = ["127.0.0.0/8"] }\n'
    ]
    for number in range(routes):
        name = f"r{number}"
        hosts = random.sample(HOSTS, random.choice((1, 1, 2)))
        action = f'respond = {{ body = "{name}" }}'
        if echo and random.random() < FORWARDED:
            how = random.choice(("raw", "normalised"))
            edits = f'{{ request_headers = {{ set = {{ x-route = "{name}" }} }} }}'
            action = f'upstream = "echo"\nforward_path = "{how}"\nmiddlewares = [{edits}]'
        matches = ", ".join(_match(random) for _ in range(random.choice((0, 1, 1, 1, 2, 3))))
        found.append(
            f"[routes.{name}]\nhosts = {_list(hosts)}\nmatch = [{matches}]\n"
            f"priority = {random.choice((0, 0, 0, 0, 0, 1, -1))}\n"
            f"{action}\n"
        )
    if echo:
        found.append(f'[upstreams.echo]\nendpoints = ["{echo}"]\n')
    return "\n".join(found)


def _list(texts: list[str]) -> str:
    return "[" + ", ".join(_text(text) for text in texts) + "]"


def _text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _match(random: Random) -> str:
    parts = []
    kind = random.choice(("exact", "prefix", "prefix", "prefix", "regex", "none"))
    if kind == "regex":
        parts.append(f"path = {{ regex = {_text(random.choice(EXPRESSIONS))} }}")
    elif kind != "none":
        parts.append(f"path = {{ {kind} = {_text(path(random))} }}")
    if random.random() < 0.25:
        parts.append(f"methods = {_list(random.sample(METHODS, 2))}")
    if random.random() < 0.3:
        rule = _rule(random, is_header=True)
        parts.append(f"headers = {{ {random.choice(HEADERS)} = {rule} }}")
    if random.random() < 0.3:
        rule = _rule(random, is_header=False)
        parts.append(f"cookies = {{ {_text(random.choice(COOKIES))} = {rule} }}")
    if random.random() < 0.3:
        rule = _rule(random, is_header=False)
        parts.append(f"query = {{ {_text(random.choice(PARAMETERS))} = {rule} }}")
    if random.random() < 0.2:
        parts.append(f"client = {_list(random.sample(NETWORKS, 2))}")
    return "{ " + ", ".join(parts) + " }"


def _rule(random: Random, *, is_header: bool) -> str:
    kind = random.choice(("exact", "exact", "prefix", "regex", "present", "absent"))
    if kind in ("present", "absent"):
        return f"{{ {kind} = true }}"
    if kind == "regex":
        return f"{{ regex = {_text(random.choice(PATTERNS))} }}"
    value = random.choice(VALUES)
    if is_header and not value:
        value = "1"  # nginx cannot tell an empty header from none: refused
    return f"{{ {kind} = {_text(value)} }}"


def request(random: Random) -> Asked:
    """A request that may be near the routes; its path is often not in normal form."""
    # An empty header counts as absent in nginx.
    headers = [
        (name, _blank(random) + random.choice(VALUES[:-1]) + _blank(random))
        for name in HEADERS
        if random.random() < 0.5
    ]
    headers += [("cookie", _cookies(random)) for _ in range(random.choice((0, 0, 1, 1, 2)))]
    target = _mutated(random, path(random))
    while not target.startswith("/"):  # what is no path at all is not what is asked about here
        target = _mutated(random, path(random))
    target += _query(random)
    if random.random() < ODD:
        target += random.choice(("?é", "&é=1", "#", "?x#y", "?[", "?|"))
    return Asked(
        method=random.choice(ODD_METHODS if random.random() < ODD else METHODS),
        target=target,
        host=random.choice(ASKED) + random.choice(("", "", ".", ":80", ":8080")),
        headers=tuple(headers),
        client=random.choice(CLIENTS),
        invented=random.choice(("", "", *CLIENTS)),
    )


def _mutated(random: Random, normal: str) -> str:
    """The path in another form, which may mean another path or none."""
    out = []
    at = 0
    odds = random.choice((0.0, 0.0, 0.05, 0.3))
    while at < len(normal):
        char = normal[at]
        if char == "%":
            piece = normal[at : at + 3]
            out.append(piece.lower() if random.random() < odds else piece)
            at += 3
            continue
        at += 1
        if random.random() >= odds:
            out.append(char)
        elif char == "/":
            out.append(random.choice(("//", "/./", "/x/../", "/%2e/", "/", "/..", "%2F", "/../")))
        else:
            escape = f"%{ord(char):02x}"
            out.append(random.choice((escape, escape.upper(), char, char + "|", "[" + char + "]")))
    if random.random() < odds:
        out.append(random.choice(("/", "/.", "/..", "%", "%00", "%5c", "\\", "#a", "%2F..", "%zz")))
    return "".join(out)


def _blank(random: Random) -> str:
    return random.choice(("", "", "", "", "\t", " \t "))


def _cookies(random: Random) -> str:
    """A line of cookies, and of pieces that only look like some."""
    pieces = []
    for _ in range(random.randint(1, 4)):
        name, value = random.choice(COOKIES), random.choice(VALUES)
        plain, quoted = f"{name}={value}", f'{name}="{value}"'
        loose = f"\t{name} = {value} \t"
        pieces.append(random.choice((plain, plain, plain, quoted, loose, f"x{name}={value}", name)))
    return random.choice((";", "; ", ", ")).join(pieces)


def _query(random: Random) -> str:
    if random.random() < 0.4:
        return ""
    pairs = []
    for _ in range(random.randint(0, 3)):
        name = _encoded(random, random.choice(PARAMETERS))
        value = _encoded(random, random.choice(VALUES))
        pairs.append(random.choice((f"{name}={value}", f"{name}={value}", name, "")))
    return "?" + "&".join(pairs)


def _encoded(random: Random, text: str) -> str:
    out = []
    for byte in text.encode():
        char = chr(byte)
        plain = char.isascii() and (char.isalnum() or char in "[]$;{}")
        if char == " ":
            out.append(random.choice(("+", "%20")))
        elif char == "%":
            out.append(random.choice(("%25", "%")))
        elif plain and random.random() < 0.7:
            out.append(char)
        else:
            out.append(random.choice((f"%{byte:02x}", f"%{byte:02X}")))
    return "".join(out)
