"""`forward_auth` in nginx: `auth_request`, whose answers lead to a location of ours.

Of itself nginx passes 401 and 403 on and answers 500 where the service redirects. The location of
the subrequest gives redirects out as 401, and `auth_request_set` keeps what the service said.
"""

from typing import Final

from headgate.features import nginx_cookies
from headgate.features.middleware.forward_auth.spec import ForwardAuth, ForwardAuthNode
from headgate.features.nginx import (
    HEADER_ALLOWED,
    JOINED,
    About,
    Entry,
    Parity,
    Parts,
    Shared,
    answer_header,
)
from headgate.features.nginx_chain import Answer, Chain, Consulted
from headgate.features.nginx_headers import Edits
from headgate.nginxtext.writer import Arg, Literal, MapKey, Regex, Template, Var, Word

_KEY: Final = "middlewares.NAME.forward_auth"
_NAMES: Final = "header names of letters, digits and hyphens, others are refused"

PARITY: Final = (
    Parity(
        f"{_KEY}.upstream",
        "differs",
        "to clients go 401 and 403 with a text of ours, 301, 302, 303, 307 and 308, each with "
        "`Location`, `WWW-Authenticate`, `Cache-Control` and `Set-Cookie` "
        f"({nginx_cookies.MOST} at most, before nginx 1.23 the first) and without the service's "
        "body; any other answer is 503 (`auth-invalid`); a route that answers by itself after it "
        "is refused, and so are two in a chain, or one beside `basic_auth`; limits count before it "
        "asks, and `ip_access` always decides before it; no results are counted",
    ),
    Parity(f"{_KEY}.path", "same"),
    Parity(f"{_KEY}.method", "same"),
    Parity(
        f"{_KEY}.timeout",
        "differs",
        "to connect, and again between two reads of the head of the answer",
    ),
    Parity(
        f"{_KEY}.headers",
        "differs",
        f"{_NAMES}; {JOINED}; with `all` nginx passes what it would pass to an upstream: also "
        "headers that `Connection` names, none with an underscore, and headers that tell who a "
        "client is are known by their whole name; what the service gets has no limit of its own",
    ),
    Parity(f"{_KEY}.cookies", "no", "refused: all cookies go along, or none"),
    Parity(f"{_KEY}.copy", "differs", f"{_NAMES}; {JOINED}"),
    Parity(f"{_KEY}.copy_prefix", "no", "refused: nginx knows headers by their whole name"),
    Parity(f"{_KEY}.answer_headers", "differs", f"{_NAMES}; {JOINED}"),
    Parity(
        f"{_KEY}.answer_size",
        "differs",
        "for the head alone (`auth-unavailable` above it): nginx does not read the body, and "
        "closes the connection of an answer that has one",
    ),
    Parity(f"{_KEY}.in_flight", "no", "nginx counts no subrequests; anything but 1024 is refused"),
    Parity(f"{_KEY}.fail_open", "no", "refused: nobody passes about whom nobody could be asked"),
)

_DEFAULT_IN_FLIGHT: Final = ForwardAuth.model_fields["in_flight"].default
_MARK: Final = "x-headgate-auth"
_HOPS: Final = "x-headgate-auth-hops"
_STATUS: Final = Var("hg_auth_status")
_HEARD: Final = Var("hg_auth_heard")
_LOCATION: Final = Var("hg_auth_location")
_COOKIE: Final = Var("hg_auth_cookie")
_CACHE: Final = Var("hg_auth_cache")
_NONE: Final = Literal("")
_URL: Final = (Var("scheme"), "://", Var("http_host"), Var("hg_path"), Var("hg_query"))
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_FAILURES: Final = {
    "unavailable": "the authorisation service cannot be reached",
    "timeout": "the authorisation service did not answer in time",
    "invalid": "the authorisation service's answer cannot be used",
    "loop": "the authorisation service asks for its own permission",
}
"""The native engine's words."""
_PASSED: Final = "passed"
_DENIED: Final = {
    "401": "401 Unauthorized\nthe authorisation service wants to know who asks\n",
    "403": "403 Forbidden\nthe authorisation service lets this request not pass\n",
}


def apply(node: ForwardAuthNode, chain: Chain, about: About) -> None:
    """Has a service asked about each request, or says why nginx cannot."""
    _refuse(node, about)
    shared = chain.shared
    looped = _hops(shared)
    verdict = _verdict(shared, looped)
    cookies = nginx_cookies.lines(_COOKIE, shared, "auth")
    kept: list[tuple[Var, Arg]] = [
        (_STATUS, Var("upstream_status")),
        (_HEARD, Var("upstream_header_time")),
        (_LOCATION, Var("upstream_http_location")),
        (_CACHE, Var("upstream_http_cache_control")),
        (_COOKIE, Var("upstream_http_set_cookie")),
    ]
    copied = [(name, _kept(name, kept, about.at("copy"))) for name in _lower(node.copy)]
    given: list[tuple[str, Parts]] = []
    for name in _lower(node.answer_headers):
        if name == "set-cookie":
            given += [(name, (cookie,)) for cookie in cookies]
        else:
            given.append((name, (_kept(name, kept, about.at("answer_headers")),)))
    chain.ask(
        Consulted(
            about=about,
            upstream=node.upstream,
            target=node.path,
            method=node.method,
            timeout_ms=node.timeout_ms,
            head_bytes=node.answer_bytes,
            lines=_lines(node, chain, looped, about),
            looped=looped,
            kept=kept,
            verdict=verdict,
            passed=_PASSED,
            statuses=_statuses(),
            reason=_reason(shared, verdict),
            answer=_answer(chain, verdict, cookies),
            passes_all=node.headers == "all",
        )
    )
    chain.request.then(
        Edits(remove=(*_lower(node.copy), _MARK), set=tuple((name, (v,)) for name, v in copied))
    )
    chain.response.append(Edits(add=tuple(given)))


def _refuse(node: ForwardAuthNode, about: About) -> None:
    if node.cookies:
        about.refuse("cookies", "nginx sends all cookies along, or none: leave it out")
    if node.copy_prefix is not None:
        about.refuse("copy_prefix", "nginx knows headers by their whole name: write them in `copy`")
    if node.fail_open:
        about.refuse("fail_open", "with nginx nobody passes about whom nobody could be asked")
    if node.in_flight != _DEFAULT_IN_FLIGHT:
        about.refuse(
            "in_flight", "nginx counts no subrequests; `limits.connections` of the upstream can"
        )


def _lower(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.lower() for name in names))


def _kept(name: str, kept: list[tuple[Var, Arg]], about: About) -> Var:
    """Returns the variable that keeps a header of the answer, which `kept` then has."""
    told = answer_header(name)
    if told is None:
        about.refuse("", f'"{name}": {HEADER_ALLOWED}')
        return _STATUS
    one = Var("hg_auth_of_" + name.replace("-", "_"))
    if (one, told) not in kept:
        kept.append((one, told))
    return one


def _lines(node: ForwardAuthNode, chain: Chain, hops: Var, about: About) -> list[tuple[str, Parts]]:
    """Returns what the head of the request to the service has: what is asked of the client's, and
    what we say of the request.
    """
    found: list[tuple[str, Parts]] = []
    for name in _lower(() if node.headers == "all" else node.headers):
        sent = chain.shared.request_header(name)
        if sent is None:
            about.refuse("headers", f'"{name}": {HEADER_ALLOWED}')
        else:
            found.append((name, (sent,)))
    return [
        *found,
        ("x-forwarded-for", (Var("remote_addr"),)),
        ("x-forwarded-host", (Var("http_host"),)),
        ("x-forwarded-method", (Var("request_method"),)),
        ("x-forwarded-proto", (Var("scheme"),)),
        ("x-forwarded-uri", (Var("hg_path"), Var("hg_query"))),
        ("x-original-method", (Var("request_method"),)),
        ("x-original-url", _URL),
        ("x-request-id", (chain.scope.request_id,)),
        (_HOPS, (hops,)),
        *([(_MARK, ())] if node.headers == "all" else []),
    ]


def _hops(shared: Shared) -> Var:
    """Returns how many proxies ask on behalf of each other, this one among them; empty = loop."""
    entries: list[Entry] = [
        (MapKey(""), Word("1")),
        (MapKey("0"), Word("1")),
        (MapKey("1"), Word("2")),
        (MapKey("2"), Word("3")),
    ]
    return shared.map("auth_hops", Var("http_x_headgate_auth_hops"), entries, _NONE)


def _verdict(shared: Shared, looped: Var) -> Var:
    """Returns a word: the status that the client gets, why it gets 503, or `passed`.

    Tries of several endpoints are one list; the last one counts.
    """
    source = Template((looped, "|", _STATUS, "|", _HEARD, "|", _LOCATION))
    last, heard = r"~\A[0-9]\|(?:[^|]*[ ,:])?", r"\|(?:[^|]*[ ,:])?[0-9.]+\|"
    moved = "|".join(map(str, _REDIRECTS))
    entries: list[Entry] = [
        (Regex(r"~\A\|"), Word("loop")),
        (Regex(rf"{last}2[0-9][0-9]{heard}"), Word(_PASSED)),
        (Regex(rf"{last}(?<hg_raw>401|403){heard}"), Var("hg_raw")),
        (Regex(rf"{last}(?<hg_raw>{moved}){heard}."), Var("hg_raw")),
        (Regex(rf"{last}[0-9]+{heard}"), Word("invalid")),
        (Regex(rf"{last}504\|"), Word("timeout")),
    ]
    return shared.map("auth_verdict", source, entries, Word("unavailable"))


def _statuses() -> tuple[tuple[int, Parts], ...]:
    return ((401, ()), (403, ()), *((status, (_LOCATION,)) for status in _REDIRECTS))


def _reason(shared: Shared, verdict: Var) -> Var:
    entries: list[Entry] = [(MapKey(word), Literal(f"auth-{word}")) for word in _FAILURES]
    entries.append((MapKey(_PASSED), Literal("internal")))
    return shared.map("auth_reason", verdict, entries, Literal("auth-denied"))


def _answer(chain: Chain, verdict: Var, cookies: list[Var]) -> Answer:
    shared = chain.shared
    texts: list[Entry] = [(MapKey(key), Literal(text, True)) for key, text in _DENIED.items()]
    details: list[Entry] = []
    for word, why in _FAILURES.items():
        texts.append((MapKey(word), Literal(f"503 Service Unavailable\n{why}\n", True)))
        told = f'headgate; error=destination_unavailable; details="{why}"'
        details.append((MapKey(word), Literal(told)))
    details.append((MapKey(_PASSED), Literal("headgate; error=proxy_internal_error")))
    text = shared.map("auth_text", verdict, texts, Literal("503 Service Unavailable\n", True))
    lines: list[tuple[str, Parts]] = [
        ("proxy-status", (shared.map("auth_fault", verdict, details, _NONE),)),
        ("cache-control", (_CACHE,)),
        *(("set-cookie", (cookie,)) for cookie in cookies),
    ]
    return Answer(503, chain.filtered(lines), "text/plain; charset=utf-8", (text,))
