"""`expires` in nginx: its directive of that name, which sets the same two headers."""

from typing import Final

from headgate.features.middleware.expires.spec import ExpiresNode
from headgate.features.nginx import About, Parity
from headgate.features.nginx_chain import Chain
from headgate.features.nginx_headers import Edits, Freshness
from headgate.nginxtext.writer import Word

PARITY: Final = (
    Parity(
        "middlewares.NAME.expires.after",
        "differs",
        "refused in a chain with edits of `cache-control` or `expires` that nginx would apply in "
        "another order (before it all but `add`, behind it all but `remove`), and before "
        "`forward_auth`",
    ),
)

_WORDS: Final = {"max": "max", "past": "epoch"}


def apply(node: ExpiresNode, chain: Chain, about: About) -> None:
    """Adds it to the edits of a chain's answers, among which it has its place."""
    word = Word(_WORDS[node.fixed] if node.fixed else f"{node.after_s}s")
    chain.response.append(Edits(freshness=Freshness(about, word)))
