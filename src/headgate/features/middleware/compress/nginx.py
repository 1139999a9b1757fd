"""`compress` in nginx: the `gzip` directives of its own module."""

from typing import Final

from headgate.features.middleware.compress.spec import CompressNode
from headgate.features.nginx import About, Parity
from headgate.features.nginx_chain import Chain
from headgate.nginxtext.writer import Word, directive

_ONLY_GZIP: Final = "nginx of itself has gzip alone; without `gzip` in the list it is refused"
_HTML: Final = "text/html"

PARITY: Final = (
    Parity(
        "middlewares.NAME.compress.types",
        "differs",
        "without `text/html` it is refused: nginx always compresses that; it compresses answers of "
        "status 200, 403 and 404 alone, heads for HEAD say nothing of it, `no-transform` is not "
        "heeded",
    ),
    Parity("middlewares.NAME.compress.min_size", "same"),
    Parity("middlewares.NAME.compress.algorithms", "differs", _ONLY_GZIP),
    Parity("middlewares.NAME.compress.gzip_level", "same"),
    Parity("middlewares.NAME.compress.brotli_level", "no", "nginx of itself has gzip alone"),
    Parity("middlewares.NAME.compress.zstd_level", "no", "nginx of itself has gzip alone"),
)


def apply(node: CompressNode, chain: Chain, about: About) -> None:
    """Has a location compress answers, or says why nginx cannot."""
    if "gzip" not in node.codings:
        about.refuse("algorithms", "nginx of itself has gzip alone; write `gzip` in the list")
        return
    if _HTML not in node.types:
        about.refuse("types", "nginx always compresses text/html; write it in the list")
        return
    for coding in node.codings:
        if coding != "gzip":
            about.note("algorithms", f"nginx of itself has no {coding}: clients get gzip")
    types = [name for name in node.types if name != _HTML]
    chain.body = [
        directive("gzip", Word("on")),
        directive("gzip_vary", Word("on")),
        directive("gzip_proxied", Word("any")),
        directive("gzip_min_length", Word(str(node.min_bytes))),
        directive("gzip_comp_level", Word(str(node.gzip_level))),
    ]
    if types:
        chain.body.append(directive("gzip_types", *map(Word, types)))
