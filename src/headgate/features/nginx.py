"""Holds what the `nginx.py` files of features share: maps, findings, templates, expressions.

A feature's `nginx.py` translates its plan node to nginx's words. It never builds text: it returns
nodes of `headgate.nginxtext.writer`, and what must stand in `http` goes into `Shared`.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Literal, NamedTuple

from headgate._core import is_client_claim
from headgate.features.templates import pieces
from headgate.nginxtext import writer
from headgate.nginxtext.tree import Argument, Node
from headgate.nginxtext.writer import Arg, Regex, Template, Var, Word

Parts = tuple[str | Var, ...]
"""Text and variables, as `writer.Template` takes them."""

Verdict = Literal["same", "differs", "no"]


class Parity(NamedTuple):
    """One line of the parity page: a key of the config, how far nginx supports it, and why."""

    key: str
    nginx: Verdict
    why: str = ""


class Problem(NamedTuple):
    """A field that nginx cannot do."""

    kind: str
    name: str
    path: str
    message: str


class Findings:
    """The settings that nginx cannot express, and those that it treats differently: each once, in
    the order in which they were found."""

    def __init__(self) -> None:
        self.problems: dict[Problem, None] = {}
        self.notes: dict[str, None] = {}

    def of(self, kind: str, name: str, within: str = "") -> "About":
        """Returns findings about one object, at a path of keys in it."""
        return About(self, kind, name, within)


@dataclass(frozen=True, slots=True)
class About:
    """Findings about one object, or a part of it."""

    findings: Findings
    kind: str
    name: str
    within: str = ""

    def guarded(self, key: str) -> "Guard":
        """Returns a guard that turns a value which nginx text cannot hold into a refusal."""
        return Guard(self, key)

    def at(self, key: str) -> "About":
        """Returns findings about a part of it."""
        return About(self.findings, self.kind, self.name, self._path(key))

    def refuse(self, key: str, message: str) -> None:
        """Records that nginx cannot express the field."""
        self.findings.problems[Problem(self.kind, self.name, self._path(key), message)] = None

    def note(self, key: str, message: str) -> None:
        """Records that the field works differently."""
        path = self._path(key)
        where = f"{self.kind} {self.name}: {path}" if path else f"{self.kind} {self.name}"
        self.findings.notes[f"{where}: {message}"] = None

    def _path(self, key: str) -> str:
        dot = "." if self.within and key and not key.startswith("[") else ""
        return f"{self.within}{dot}{key}"


@dataclass(frozen=True, slots=True)
class Guard:
    """See `About.guarded`."""

    about: About
    key: str

    def __enter__(self) -> None:
        """Does nothing."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> bool:
        if not isinstance(error, writer.UnsafeValueError):
            return False
        self.about.refuse(self.key, str(error))
        return True


NO_OBJECT: Final = "of no single object"
"""The comment above a block that no single object needs."""

Entry = tuple[Arg, Arg | Argument]
_HOSTNAMES: Final = (writer.directive("hostnames"),)
DEFAULT: Final = Word("default")

UNDECIDED: Final = Word("e")
"""The value of a condition on whose expression nginx gave up: neither `1` nor `0`."""

GIVES_UP: Final = "PCRE backtracks: a request on which it takes too long gets 500"
JOINED: Final = (
    "several lines of one name are one with commas, before nginx 1.23 the first one alone"
)

_HEADER: Final = re.compile(r"[a-z0-9-]+")
HEADER_ALLOWED: Final = (
    "nginx drops request headers with other characters in their name than letters, digits and "
    "hyphens"
)

NAME: Final = r"(?:[a-z0-9_-]++\.?)++"
"""An expression for the names that clients ask for in TLS. OpenSSL takes any bytes but NUL there,
and nginx hands them on as they are: line ends too.
"""

_TRIMMED: Final = Regex(r"~\A[ \t]*+(?<hg_part>(?:[^ \t]++|[ \t]++(?!\z))*+)")

_HALVES: Final = {"0.0.0.0/0": ("0.0.0.0/1", "128.0.0.0/1"), "::/0": ("::/1", "8000::/1")}
"""The networks that `default` of a `geo` stands for; nginx warns about repeated entries."""


class Shared:
    """Blocks of `http` that several servers use: each content once, under a name made of it.

    A comment above each names the object that it was made for first, to whom nginx's words about
    it then lead.
    """

    def __init__(self) -> None:
        self._names: dict[bytes, Var] = {}
        self._owner = NO_OBJECT
        self.nodes: list[Node] = []
        self.claims: set[str] = set()
        self.plain = ""
        """The beginning of an expression that nginx does not compile to machine code."""
        self.zones: dict[str, str] = {}
        """Zones of shared memory by name, and what must not change under that name."""

    @contextlib.contextmanager
    def owned(self, by: str) -> Iterator[None]:
        """Has new blocks belong to an object: `route shop`."""
        before, self._owner = self._owner, by
        try:
            yield
        finally:
            self._owner = before

    def request_header(self, name: str) -> Var | None:
        """Returns the variable of a request's header;
        None for a name that nginx never passes on.

        A header that tells who the client is has a variable of ours, which is empty unless the peer
        is trusted; `claims` holds the names that need one.
        """
        lower = name.lower()
        if not _HEADER.fullmatch(lower):
            return None
        if is_client_claim(lower):
            self.claims.add(lower)
            return claim_variable(lower)
        return Var("http_" + lower.replace("-", "_"))

    def header_value(self, name: str) -> Var | None:
        """Returns the same without the blanks around the value.

        nginx takes spaces away there but no tabs, and nothing over HTTP/2.
        """
        sent = self.request_header(name)
        if sent is None:
            return None
        return self.map(f"header_{name}", sent, ((_TRIMMED, Var("hg_part")),), writer.Literal(""))

    def map(self, hint: str, source: Arg, entries: Sequence[Entry], default: Arg) -> Var:
        """Returns the variable of a `map` with these entries;
        the first expression that fits counts.
        """
        return self._block("map", hint, (source,), (*entries, (DEFAULT, default)), first=False)

    def judged(
        self,
        hint: str,
        source: Arg,
        entries: Sequence[Entry],
        otherwise: Arg,
        gave_up: Arg = UNDECIDED,
    ) -> Var:
        """Returns the same for expressions that people wrote.

        PCRE gives up on one that takes too many steps or too much stack (pcre2api(3)). A `map` then
        takes its default, as if no expression fitted, and what is closed would be open. Here the
        default, `gave_up`, is for that alone.
        """
        # nginx tries no expression on an empty text.
        keys = [key for key, _ in entries if isinstance(key, writer.Literal)]
        empty = () if writer.Literal("") in keys else ((writer.Literal(""), otherwise),)
        fits = Regex(f"~{self.plain}^")
        return self.map(hint, source, (*entries, *empty, (fits, otherwise)), gave_up)

    def hosts(self, hint: str, source: Arg, entries: Sequence[Entry], default: Arg) -> Var:
        """Returns the same of hosts: `*.x` is every name below it, the longest one counts."""
        lines = (*entries, (DEFAULT, default))
        return self._block("map", hint, (source,), lines, first=False, lead=_HOSTNAMES)

    def geo(self, hint: str, source: Arg, networks: Sequence[str]) -> Var:
        """Returns the variable of a `geo`: `1` for an address in one
        of these networks, else `0`.
        """
        entries = [(network, Word("1")) for network in networks]
        return self.networks(hint, source, entries, Word("0"))

    def networks(
        self, hint: str, source: Arg, entries: Sequence[tuple[str, Arg]], default: Arg
    ) -> Var:
        """Returns the variable of a `geo`: the value of the narrowest network around an address."""
        given = {network for network, _ in entries}
        every = tuple(
            (Word(part), value)
            for network, value in entries
            for part in _HALVES.get(network, (network,))
            if part == network or part not in given
        )
        return self._block("geo", hint, (source,), ((DEFAULT, default), *every), first=True)

    def split(self, hint: str, source: Arg, shares: Sequence[tuple[str, Arg]]) -> Var:
        """Returns the variable of a `split_clients`; shares are `12.34%`, the last one `*`."""
        entries = tuple((Word(share), value) for share, value in shares)
        return self._block("split_clients", hint, (source,), entries, first=True)

    def zone(self, kind: str, key: Arg, owner: str, size: str, more: Sequence[Word]) -> str:
        """Returns the zone of an owner that counts by this key, such as that of a `limit_req`.

        Its name changes with all that makes its counts mean something else.
        """
        raw = writer.argument(key).raw
        what = (kind, owner, raw, tuple(word.text for word in more))
        name = f"hg_{kind}_{sha256(repr(what).encode()).hexdigest()[:10]}"
        if name not in self.zones:
            self.zones[name] = f"{kind} {sha256(raw).hexdigest()[:10]} {size}"
            words = (key, Word(f"zone={name}:{size}"), *more)
            self.nodes += (writer.comment(owner), writer.directive(kind, *words))
        return name

    def _block(
        self,
        kind: str,
        hint: str,
        source: tuple[Arg],
        entries: tuple[Entry, ...],
        *,
        first: bool,
        lead: tuple[Node, ...] = (),
    ) -> Var:
        lines: list[Node] = [*lead]
        ordered = entries if first else (entries[-1], *entries[:-1])
        lines += [writer.entry(key, value) for key, value in ordered]
        head = writer.directive(kind, *source, children=lines)
        content = writer.render((head,))
        variable = self._names.get(content)
        if variable is None:
            digest = sha256(content).hexdigest()[:10]
            variable = self._names[content] = Var(f"hg_{_slug(hint)}_{digest}")
            block = writer.directive(kind, *source, variable, children=lines)
            self.nodes += (writer.comment(self._owner), block)
        return variable


def _slug(hint: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", hint.lower()).strip("_")[:32] or "x"


@dataclass(frozen=True, slots=True)
class Scope:
    """The values of the variables of templates at one place.

    `endpoint` is None where it is not yet known.
    """

    route: str
    upstream: str
    endpoint: str | Var | None
    shared: Shared
    request_id: Var = field(default_factory=lambda: Var("request_id"))


_PLAIN: Final[dict[str, Parts]] = {
    "client_ip": (Var("remote_addr"),),
    "client_subject": (Var("hg_client_subject"),),
    "tls_version": (Var("ssl_protocol"),),
    "method": (Var("request_method"),),
    "scheme": (Var("scheme"),),
    "protocol": (Var("server_protocol"),),
    "host": (Var("host"),),
    "port": (Var("hg_port"),),
    "path": (Var("hg_path"),),
    "query": (Var("args"),),
    "target": (Var("hg_path"), Var("hg_query")),
    "listener": (Var("hg_listener"),),
}

_MISSING: Final = {
    "client_fingerprint": "nginx has the sha1 of a certificate alone",
    "client_san": "nginx has no variable of alternative names",
    "client_spiffe": "nginx has no variable of alternative names",
}
"""The properties of a request that nginx does not know, and why."""


def answer_header(name: str) -> Var | None:
    """Returns the variable of a header of an upstream's answer; None for a name without one."""
    lower = name.lower()
    return Var("upstream_http_" + lower.replace("-", "_")) if _HEADER.fullmatch(lower) else None


def claim_variable(name: str) -> Var:
    """Returns the variable of a header that tells who the client is;
    empty unless the peer is trusted.
    """
    return Var("hg_kept_" + name.lower().replace("-", "_"))


def template(text: str, scope: Scope, about: About, key: str, *, lines: bool = False) -> Parts:
    """Returns a template of the plan as parts;
    refuses what nginx has no value for, or cannot hold.

    `lines` allows line ends.
    """
    found: list[str | Var] = []
    for kind, value in pieces(text):
        if kind == "text":
            found.append(value)
        elif kind == "dollar":
            found.append("$")
        else:
            found += _variable(value, scope, about, key)
    parts = merged(found)
    try:
        writer.argument(Template(parts, lines=lines))
    except writer.UnsafeValueError as error:
        about.refuse(key, str(error))
        return ()
    return parts


def _sni(shared: Shared) -> Var:
    """Returns the variable of the name that was asked for in TLS; empty for what is no name."""
    asked = Var("ssl_server_name")
    return shared.map("sni", asked, ((Regex(rf"~*\A{NAME}\z"), asked),), writer.Literal(""))


def _variable(name: str, scope: Scope, about: About, key: str) -> Parts:
    own: dict[str, Parts] = {
        **_PLAIN,
        "request_id": (scope.request_id,),
        "route": (scope.route,),
        "upstream": (scope.upstream,),
    }
    if name in own:
        return own[name]
    if name.startswith("jwt:"):
        about.refuse(key, f"nginx verifies no tokens, so ${{{name}}} has no value there")
        return ()
    if name in _MISSING:
        about.refuse(key, f"{_MISSING[name]}, so ${{{name}}} has no value there")
        return ()
    if name == "endpoint":
        if scope.endpoint is not None:
            return (scope.endpoint,)
        about.refuse(
            key,
            "nginx writes the request before it chooses among several endpoints, so ${endpoint} "
            "has no value there",
        )
        return ()
    shared = scope.shared
    is_sni = name == "sni"
    variable = _sni(shared) if is_sni else shared.header_value(name.removeprefix("header:"))
    if variable is None:
        about.refuse(key, f"${{{name}}}: {HEADER_ALLOWED}")
    return () if variable is None else (variable,)


def merged(found: Sequence[str | Var]) -> Parts:
    """Returns parts with adjacent texts joined, without empty ones."""
    out: list[str | Var] = []
    for part in found:
        if isinstance(part, str) and out and isinstance(out[-1], str):
            out[-1] += part
        elif part != "":
            out.append(part)
    return tuple(out)


def as_arg(parts: Parts, *, lines: bool = False) -> Arg:
    """Returns parts as one word of nginx's."""
    if len(parts) == 1 and isinstance(parts[0], Var):
        return parts[0]
    return Template(parts, lines=lines)


def quoted(text: str) -> str:
    """Returns an expression that matches this text and nothing else."""
    return re.sub(r"([^A-Za-z0-9_/%:=@,;!~'\"<>` -])", r"\\\1", text)


def whole(expression: str) -> Regex:
    """Returns a key of a `map`: the whole value matches."""
    return Regex(rf"~\A(?:{expression})\z")


GROUP_VARIABLE: Final = "hg_group"


def unnamed(expression: str, wanted: frozenset[int] = frozenset()) -> tuple[str, dict[str, int]]:
    """Returns an expression whose named groups are plain ones, and the number of each name.

    nginx makes a variable of every named group, which could be one of its own. Groups in `wanted`
    are given names of ours (`hg_group1`), since nginx knows `$1` to `$9` only.
    """
    out: list[str] = []
    names: dict[str, int] = {}
    at = groups = 0
    in_class = False
    while at < len(expression):
        char = expression[at]
        if char == "\\":
            out.append(expression[at : at + 2])
            at += 2
            continue
        if in_class:
            in_class = not (char == "]" and not _is_first_in_class(expression, at))
        elif char == "[":
            in_class = True
        elif char == "(":
            named = re.compile(r"\(\?P?<([A-Za-z_][A-Za-z0-9_.\[\]]*)>").match(expression, at)
            if named or expression[at + 1 : at + 2] != "?":
                groups += 1
                if named:
                    names[named[1]] = groups
                out.append(f"(?<{GROUP_VARIABLE}{groups}>" if groups in wanted else "(")
                at = named.end() if named else at + 1
                continue
        out.append(char)
        at += 1
    return "".join(out), names


def _is_first_in_class(expression: str, at: int) -> bool:
    """Reports whether a `]` stands where it is a member of its class: right after `[` or `[^`."""
    before = expression[:at]
    return before.endswith(("[", "[^")) and not before.endswith(("\\[", "\\[^"))
