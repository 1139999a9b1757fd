"""Renders the pages of a route (`error_pages`): what leads errors to them, and their location.

nginx looks for a page by the status alone, whether an endpoint said it or nginx itself. Therefore
a route with pages has two locations. The route's own one refuses, limits and asks; its errors are
ours, and have a page or the answer to faults. The other one forwards, and takes hold of those
answers of endpoints that have a page; all others pass as they are.

Pages are named locations, which no request can ask for, and end the request: there is no loop.
"""

from typing import Final

from headgate.engines.nginx.render import faults, lua, names
from headgate.engines.nginx.render.context import Context
from headgate.features import nginx_cookies
from headgate.features.nginx import About, Shared, answer_header, as_arg
from headgate.features.nginx_chain import Answer, Chain, Consulted
from headgate.features.nginx_pages import KEPT
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import Arg, Literal, Plain, Regex, Template, Var, Word, directive
from headgate.plan.objects import Upstream

OF_BODY: Final = frozenset(
    {
        *("accept-ranges", "content-digest", "content-disposition", "content-encoding"),
        *("content-language", "content-length", "content-location", "content-md5"),
        *("content-range", "content-type", "digest", "etag", "last-modified", "repr-digest"),
        "trailer",
    }
)
"""Headers that describe a body, and do not fit the page in its place; the data plane's list."""

FORWARDING: Final = (413, 500, 502, 504)
"""The faults of nginx while it forwards; without a page of theirs they have nginx's own."""

_OWN: Final = "405|408|413|429|500|502|503|504"
_CHALLENGED: Final = 401
_CHALLENGE: Final = "www-authenticate"
_CODES: Final = ("401", "403", "500")
"""The statuses that lead to the answer of a service that was asked."""
_NONE: Final = Literal("")
_REASON: Final = Var("hg_reason")
_STATUS: Final = Var("status")


def check(ctx: Context, chain: Chain, target: Upstream | None, about: About) -> None:
    """Refuses what nginx cannot do with the pages of a route; notes what it does otherwise."""
    statuses = chain.pages.statuses
    if not statuses or target is None:
        return
    if lua.is_dynamic(target, ctx):
        about.refuse("", 'nginx has no pages with `node.nginx.endpoints = "lua"`')
    if _CHALLENGED in statuses and _CHALLENGE in chain.response_headers().drops:
        about.refuse("", f"nginx keeps `{_CHALLENGE}` of an endpoint's answer with a page for 401")
    lacking = [str(one) for one in FORWARDING if one not in statuses]
    if lacking:
        about.note("", f"{', '.join(lacking)} of nginx itself, without a page, have nginx's own")


def leading(chain: Chain, place: str) -> list[Node]:
    """Returns what leads errors of nginx, and of what the route asks, to the pages."""
    taken = {code for one, _ in chain.asked if isinstance(one, Consulted) for code in _CODES}
    return _to_page([s for s in chain.pages.statuses if str(s) not in taken], place)


def intercepting(chain: Chain, place: str) -> list[Node]:
    """Returns what leads answers of endpoints to the pages."""
    intercept = directive("proxy_intercept_errors", Word("on"))
    return [intercept, *_to_page(chain.pages.statuses, place)]


def _to_page(statuses: list[int], place: str) -> list[Node]:
    words = [Word(str(status)) for status in statuses]
    return [directive("error_page", *words, Plain(names.page(place)))] if words else []


def location(ctx: Context, chain: Chain) -> list[Node]:
    """Returns the location that answers with a page: the endpoint's headers, then the route's."""
    headers = chain.response_headers()
    shared = ctx.shared
    lines = [line for line in _lines(shared) if line[0] not in headers.drops]
    if "content-type" not in headers.drops:
        lines.insert(0, ("content-type", chain.pages.kind(shared)))
    lines += [(name, as_arg(value)) for name, value in headers.lines]
    return [
        directive("set", _REASON, _reason(shared)),
        directive("default_type", _NONE),
        *(directive("add_header", Plain(name), value, Word("always")) for name, value in lines),
        directive("return", Word("200"), chain.pages.text(shared)),
    ]


def own_lines(ctx: Context, chain: Chain) -> list[Node]:
    """Returns the lines that nginx's own page of a fault has, where there is none for it."""
    if "proxy-status" in chain.response_headers().drops:
        return []
    own = _own_fault(ctx.shared, _NONE)
    return [directive("add_header", Word("proxy-status"), own, Word("always"))]


def paged(answer: Answer, chain: Chain) -> Answer:
    """Returns an own answer, in which a page has the place of the text of a refusal."""
    if not answer.is_refusal or not chain.pages.has(answer.status):
        return answer
    kind = (chain.pages.kind(chain.shared),)
    lines = [line for line in answer.lines if line[0] not in OF_BODY]
    text = (chain.pages.text(chain.shared),)
    lines.append(("content-type", kind))
    return Answer(answer.status, lines, body=text, reason=answer.reason)


def _answered(shared: Shared) -> Var:
    """Returns a variable that is `1` if an endpoint answered the last try."""
    heard = (Regex(r"~(?:\A|[ ,:])[0-9.]+\z"), Word("1"))
    return shared.map("answered", Var("upstream_header_time"), (heard,), _NONE)


def _reason(shared: Shared) -> Var:
    """Returns what logs say: what was said already, the fault, or nothing of an endpoint."""
    source = Template((_answered(shared), "|", _REASON, "|", _STATUS))
    entries = (
        (Regex(r"~\A1\|"), _NONE),
        (Regex(r"~\A\|(?<hg_raw>[^|]+)\|"), Var("hg_raw")),
        (Regex(rf"~\|(?:{_OWN})\z"), Var("hg_fault_reason")),
    )
    return shared.map("page_reason", source, entries, _NONE)


def _own_fault(shared: Shared, answered: Arg) -> Var:
    source = Template((_answered(shared), "|", _REASON, "|", _STATUS))
    entries = (
        (Regex(r"~\A1\|"), answered),
        (Regex(r"~\A\|not-imported\|503\z"), Literal(faults.NOT_IMPORTED_STATUS)),
        (Regex(rf"~\|(?:{_OWN})\z"), Var("hg_fault_status")),
    )
    return shared.map("page_fault", source, entries, _NONE)


def _lines(shared: Shared) -> list[tuple[str, Arg]]:
    """Returns the header lines of an endpoint's answer that are kept, or those of a fault."""
    answered = _answered(shared)

    def kept(name: str, otherwise: Arg = _NONE) -> Var:
        entry = (Word("1"), answer_header(name) or _NONE)
        return shared.map(f"kept_{name}", answered, (entry,), otherwise)

    found: list[tuple[str, Arg]] = [
        ("proxy-status", _own_fault(shared, Var("upstream_http_proxy_status"))),
        ("retry-after", kept("retry-after", Var("hg_fault_retry"))),
    ]
    cookies = nginx_cookies.lines(kept("set-cookie"), shared, "kept")
    found += [("set-cookie", one) for one in cookies]
    return found + [(name, kept(name)) for name in KEPT]
