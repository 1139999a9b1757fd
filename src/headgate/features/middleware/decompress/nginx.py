"""`decompress` in nginx: refused. nginx decodes answers (`gunzip`), never bodies of requests."""

from typing import Final

from headgate.features.middleware.decompress.spec import DecompressNode
from headgate.features.nginx import About, Parity
from headgate.features.nginx_chain import Chain

_WHY: Final = "nginx cannot decode the body of a request; its `gunzip` is for answers"

PARITY: Final = tuple(
    Parity(f"middlewares.NAME.decompress.{key}", "no", "refused: " + _WHY)
    for key in ("algorithms", "limit", "ratio", "layers", "unsupported")
)


def apply(node: DecompressNode, chain: Chain, about: About) -> None:
    """Refuses it."""
    about.refuse("algorithms", _WHY)
