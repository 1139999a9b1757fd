"""`respond` in nginx: `return` with a text."""

from typing import Final

from headgate.features.nginx import About, Parity, Parts, template
from headgate.features.nginx_chain import Answer, Chain
from headgate.plan.middleware import Respond

PARITY: Final = (
    Parity("middlewares.NAME.respond.status", "differs", "444 is refused: nginx closes on it"),
    Parity(
        "middlewares.NAME.respond.body",
        "differs",
        "refused with 301, 302, 303, 307 and 308, and when it is longer than nginx's words (4 KB)",
    ),
    Parity(
        "middlewares.NAME.respond.headers",
        "differs",
        "`content-type` with variables, `server` and `date` are refused",
    ),
)

PLAIN_TEXT: Final = "text/plain; charset=utf-8"

_REDIRECTS: Final = (301, 302, 303, 307, 308)
_CLOSES: Final = 444
_OF_NGINX: Final = ("server", "date")


def apply(node: Respond, chain: Chain, about: About) -> None:
    """Ends a chain with an answer."""
    if node.status == _CLOSES:
        about.refuse("status", "nginx closes the connection instead of answering 444")
        return
    lines: list[tuple[str, Parts]] = []
    content_type = PLAIN_TEXT if node.body else ""
    location: Parts | None = None
    for name, text in node.headers.items():
        value = template(text, chain.scope, about, f"headers.{name}")
        if name == "location" and node.status in _REDIRECTS:
            location = value
        elif name == "content-type":
            content_type = _content_type(value, about)
        elif name in _OF_NGINX:
            about.refuse(f"headers.{name}", "nginx writes this header by itself")
        else:
            lines.append((name, value))
    body = template(node.body, chain.scope, about, "body", lines=True)
    if body and node.status in _REDIRECTS:
        about.refuse("body", f"nginx answers {node.status} with a page of its own")
        return
    headers = chain.response_headers()
    if "content-type" in headers.drops:
        content_type = ""
    sent = chain.filtered(lines, node.status)
    chain.end(Answer(node.status, sent, content_type, body, location))


def _content_type(value: Parts, about: About) -> str:
    if all(isinstance(part, str) for part in value):
        return "".join(str(part) for part in value)
    about.refuse("headers.content-type", "nginx takes no variables in the type of an answer")
    return ""
