"""Builds a chain of middlewares for one nginx location, to which each `nginx.py` adds.

The order of nginx's phases is not that of a chain, so maps compute paths and hosts, early answers
are locations of their own, and header edits form one list, as in `hg-middleware`.
"""

from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Final, NamedTuple

from headgate._core import normalise_path
from headgate.features.nginx import About, Entry, Parts, Scope, Shared, as_arg, template
from headgate.features.nginx_headers import FRESHNESS, WITHOUT_ERRORS, Edits, Headers
from headgate.features.nginx_limits import Limit
from headgate.features.nginx_pages import Pages
from headgate.nginxtext import writer
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import Arg, Literal, MapKey, Op, Regex, Template, Var, Word
from headgate.plan.middleware import HeaderEdits

PLAIN_TEXT: Final = "text/plain; charset=utf-8"

_HEAD: Final = Var("hg_head")
_TAIL: Final = Var("hg_tail")
_MAX_JOINS: Final = 6


class Refusal(NamedTuple):
    """The refusal of a request: status, token of RFC 9209, our reason, a sentence for people."""

    status: int
    token: str
    reason: str
    detail: str


def collecting() -> list[Node]:
    """Returns the lines with which nginx collects answers, in memory alone."""
    return [
        writer.directive("proxy_buffering", Word("on")),
        writer.directive("proxy_max_temp_file_size", Word("0")),
    ]


BAD_PATH: Final = Refusal(
    400, "http_request_error", "rewrite-path", "the rewritten path is not valid"
)
BAD_HOST: Final = Refusal(
    400, "http_request_error", "rewrite-host", "the rewritten host is not valid"
)
"""The native engine's words."""


@dataclass(slots=True)
class Answer:
    """An answer of our own: status, header lines, what `return` says.

    A refusal has the page of its status, if the chain has one, and a reason for the log.
    """

    status: int
    lines: list[tuple[str, Parts]]
    content_type: str = ""
    body: Parts = ()
    location: Parts | None = None
    is_refusal: bool = False
    reason: Arg | None = None
    expires: Word | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A check of passwords: the challenge's realm as nginx writes it, a file of users, and the
    answer to clients that do not pass.
    """

    about: About
    realm: str
    users: bytes
    answer: Answer


@dataclass(frozen=True, slots=True)
class Consulted:
    """A service that is asked about each request: where it is, the request to it, what is kept of
    its answer, and what those get who do not pass.

    `looped` is empty for a request that must not be asked about. `verdict` says in a word what the
    answer means: a status of `statuses`, `passed`, or anything else, which gets 503. With
    `passes_all` the client's headers go along, but those in `lines` and those that are not its own.
    """

    about: About
    upstream: str
    target: str
    method: str
    timeout_ms: int
    head_bytes: int
    lines: list[tuple[str, Parts]]
    looped: Var
    kept: list[tuple[Var, Arg]]
    verdict: Var
    passed: str
    statuses: tuple[tuple[int, Parts], ...]
    reason: Var
    answer: Answer
    passes_all: bool = False


@dataclass(slots=True)
class Chain:
    """The request so far.

    `path` is the path as it is now; `matched` how many of its bytes the route's match took, None
    when that differs between requests; `request_matched` the same of the original path; `place` the
    location of the chain.
    """

    shared: Shared
    scope: Scope
    place: str
    matched: int | None
    matched_text: str | None
    request_matched: int | None = None
    path: str | Var = field(default_factory=lambda: Var("hg_path"))
    host: Parts | None = None
    steps: list[Node] = field(default_factory=list)
    request: Headers = field(default_factory=Headers)
    response: list[Edits] = field(default_factory=list)
    detours: list[tuple[str, Answer]] = field(default_factory=list)
    refusals: dict[str, Answer] = field(default_factory=dict)
    """Answers to requests that are refused, by their location."""
    pages: Pages = field(default_factory=Pages)
    """The pages of the whole chain, which are known before any other middleware is added."""
    answer: Answer | None = None
    body: list[Node] = field(default_factory=list)
    """The lines of the location about the bodies of answers; the last middleware counts."""
    rate: list[Node] = field(default_factory=list)
    """The lines of the location about the speed at which it sends an answer."""
    limits: list[tuple[Limit, int]] = field(default_factory=list)
    """Limits, each with the number of early answers before it."""
    asked: list[tuple[Asked | Consulted, int]] = field(default_factory=list)
    """The checks of passwords, and the services that are asked, likewise."""

    def limit(self, limit: Limit) -> None:
        """Adds a limit of the requests that come this far."""
        self.limits.append((limit, len(self.detours)))

    def checked_limits(self) -> list[Limit]:
        """Returns the limits; refuses those of requests that are answered before nginx counts."""
        for one, answers_before in self.limits:
            if self.answer is not None or len(self.detours) > answers_before:
                one.about.refuse("", "nginx counts no request that it answers by itself")
        return [one for one, _ in self.limits]

    def ask(self, asked: Asked | Consulted) -> None:
        """Has the requests that come this far asked for a password, or a service about them."""
        fresh = self.response_headers().freshness
        if fresh is not None and isinstance(asked, Consulted):
            fresh.about.refuse(
                "", "nginx sets it on no redirect of a service; write it behind `forward_auth`"
            )
        self.asked.append((asked, len(self.detours)))

    def checked_asked(self) -> Asked | Consulted | None:
        """Returns who asks for a password, or which service is asked;
        refuses it where requests are answered before nginx asks, and a second one.
        """
        for one, answers_before in self.asked:
            if self.answer is not None or len(self.detours) > answers_before:
                one.about.refuse("", "nginx asks no request that it answers by itself")
        for one, _ in self.asked[1:]:
            one.about.refuse("", "nginx asks once: for one password, or one service")
        return self.asked[0][0] if self.asked else None

    def edits(self, node: HeaderEdits, about: About) -> Edits:
        """Returns the edits of a plan node, their values as parts."""

        def values(pairs: dict[str, str], key: str) -> tuple[tuple[str, Parts], ...]:
            return tuple(
                (name, template(text, self.scope, about, f"{key}.{name}"))
                for name, text in pairs.items()
            )

        return Edits(node.remove, values(node.set, "set"), values(node.add, "add"))

    def response_headers(self) -> Headers:
        """Returns the response edits so far: the last middleware's work first."""
        composed = Headers()
        for edits in reversed(self.response):
            composed.then(edits)
        return composed

    def checked_response(self) -> Headers:
        """Returns the edits of the whole chain; refuses an `expires` that nginx would apply to them
        in another order.
        """
        headers = self.response_headers()
        if headers.freshness is not None and not headers.is_in_order:
            headers.freshness.about.refuse(
                "",
                "nginx applies it before it adds lines of `cache-control` and `expires`, and after "
                "it removes them; leave other edits of these out, or write `add` before it",
            )
        return headers

    def filtered(self, lines: list[tuple[str, Parts]], status: int = 0) -> list[tuple[str, Parts]]:
        """Returns the lines of an own answer, after the response edits before it, of which some
        depend on the status.
        """
        headers = self.response_headers()
        dropped = {*headers.drops}
        if headers.freshness is not None and status in WITHOUT_ERRORS:
            dropped |= FRESHNESS
        return [line for line in lines if line[0] not in dropped] + headers.lines

    def end(self, answer: Answer) -> None:
        """Answers all requests that come this far."""
        self.answer = self._expiring(answer)

    def _expiring(self, answer: Answer) -> Answer:
        """Returns the answer with what the edits so far say about caches."""
        fresh = self.response_headers().freshness
        return replace(answer, expires=fresh.word) if fresh is not None else answer

    def unless(self, variable: Var, why: Refusal) -> None:
        """Refuses a request when the variable is empty."""
        self.steps.append(writer.if_(variable, "=", Literal(""), children=[self.refusal(why)]))

    def refusal(self, why: Refusal) -> Node:
        """Returns what answers a refused request: with the page of the status, or a text."""
        told = f'headgate; error={why.token}; details="{why.detail}"'
        answer = Answer(
            why.status,
            self.filtered([("proxy-status", (told,))]),
            "" if "content-type" in self.response_headers().drops else PLAIN_TEXT,
            (f"{why.status} {HTTPStatus(why.status).phrase}\n{why.detail}\n",),
            is_refusal=True,
            reason=Literal(why.reason),
        )
        known = (at for at, one in self.refusals.items() if one == answer)
        place = next(known, f"{self.place}:refused{len(self.refusals) + 1}")
        self.refusals[place] = answer
        return writer.directive("rewrite", Regex("^"), Literal(place), Word("last"))

    def detour(self, condition: Var, answer: Answer) -> None:
        """Answers the requests for which the variable is not empty."""
        place = f"{self.place}:answer{len(self.detours) + 1}"
        self.detours.append((place, self._expiring(answer)))
        jump = writer.directive("rewrite", Regex("^"), Literal(place), Word("last"))
        words = (Op("("), condition, Op(")"))
        self.steps.append(writer.directive("if", *words, children=[jump]))

    def replaced_prefix(self, path: str | Var, matched: int, prefix: str) -> Var:
        """Returns a path with `prefix` in place of its first `matched` bytes."""
        base = prefix.rstrip("/")
        skipped = f".{{{matched}}}" if matched else ""
        rest = Var("hg_rest")
        entries = (
            (Regex(rf"~\A{skipped}(?<hg_rest>/.*)\z"), Template((base, rest))),
            (Regex(rf"~\A{skipped}\z"), Literal(base or "/")),
            (Regex(rf"~\A{skipped}(?<hg_rest>.*)\z"), Template((base + "/", rest))),
        )
        return self.shared.map("path", as_arg((path,)), entries, Literal(""))

    def settled(self, parts: Parts, joins: int) -> str | Var:
        """Returns a path made of parts in normal form;
        empty where it has dot segments or odd escapes.

        `joins` is how many pairs of slashes may meet in it.
        """
        if all(isinstance(part, str) for part in parts):
            return normalise_path("".join(str(part) for part in parts))
        current: Parts = parts
        for _ in range(min(joins, _MAX_JOINS)):
            entry = (Regex(r"~\A(?<hg_head>.*?)//+(?<hg_tail>.*)\z"), Template((_HEAD, "/", _TAIL)))
            current = (self.shared.map("path", as_arg(current), (entry,), as_arg(current)),)
        odd = Regex(
            r"~(?:\A|/)(?:\.|%2[Ee]){1,2}(?:/|\z)|//|[?#\\]"
            r"|%(?![0-9A-F]{2})|%(?:00|5C|2[DE]|3[0-9]|[46][1-9A-F]|5[0-9AF]|7[0-9AE])"
        )
        # nginx tries no expression on an empty text.
        entries: tuple[Entry, ...] = ((odd, Literal("")), (MapKey(""), Literal("/")))
        return self.shared.map("path", as_arg(current), entries, as_arg(current))
