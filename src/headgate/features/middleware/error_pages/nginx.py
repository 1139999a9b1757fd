"""`error_pages` in nginx: `error_page` with `proxy_intercept_errors`; a page is a map's text.

What leads requests to the pages stands in the locations of the route (`render/pages.py`).
"""

import re
from typing import Final

from headgate.features.middleware.error_pages.spec import ErrorPagesNode
from headgate.features.nginx import JOINED, About, Entry, Parity, Parts, Shared, merged
from headgate.features.nginx_chain import Chain
from headgate.features.nginx_pages import ERRORS, KEPT, Page, text_of
from headgate.nginxtext.writer import Literal, Var, Word

_KEY: Final = "middlewares.NAME.error_pages.pages[]"

PARITY: Final = (
    Parity(
        f"{_KEY}.statuses",
        "differs",
        "408, 444, 494 to 497 and 499 have no page, and answers of endpoints with these stay as "
        "they are; of an endpoint's headers those stay that nginx knows to keep: "
        + ", ".join(f"`{name}`" for name in KEPT)
        + ", `Retry-After`, `Set-Cookie` (4 at most, before nginx 1.23 the first) and, with 401, "
        f"`WWW-Authenticate`; {JOINED}; 413, 500, 502 and 504 of nginx without a page of theirs "
        "have nginx's own; refused "
        'with `node.nginx.endpoints = "lua"`; no results are counted',
    ),
    Parity(f"{_KEY}.body.file", "differs", "a page with other controls than line ends is refused"),
    Parity(f"{_KEY}.content_type", "same"),
)

REASONS: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    416: "Range Not Satisfiable",
    417: "Expectation Failed",
    421: "Misdirected Request",
    422: "Unprocessable Content",
    425: "Too Early",
    426: "Upgrade Required",
    428: "Precondition Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    451: "Unavailable For Legal Reasons",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
    507: "Insufficient Storage",
    508: "Loop Detected",
    511: "Network Authentication Required",
}
"""The texts of `${reason}`; the mirror of hg-proto's `reason_phrase`."""

_WORDS: Final = re.compile(r"(\$\{(?:status|reason|request_id)\})")


def apply(node: ErrorPagesNode, chain: Chain, about: About) -> None:
    """Adds pages to a chain; of those of one middleware the first counts."""
    found: dict[int, Page] = {}
    for index, page in enumerate(node.pages):
        with about.guarded(f"pages[{index}].body"):
            made = (text_of(_parts(page.body, chain), chain.shared), page.content_type)
            for first, last in page.statuses:
                for status in range(max(first, ERRORS.start), min(last + 1, ERRORS.stop)):
                    found.setdefault(status, made)
    chain.pages.add(found)


def _parts(body: str, chain: Chain) -> Parts:
    """Returns the text of a page; any other `$` in it stays, since scripts are full of them."""
    known: dict[str, Var] = {
        "${status}": Var("status"),
        "${request_id}": chain.scope.request_id,
    }
    if "${reason}" in body:
        known["${reason}"] = _reason(chain.shared)
    return merged([known.get(piece, piece) for piece in _WORDS.split(body)])


def _reason(shared: Shared) -> Var:
    entries: list[Entry] = [(Word(str(one)), Literal(text)) for one, text in REASONS.items()]
    return shared.map("reason", Var("status"), entries, Literal(""))
