"""Cases about what routes do besides forwarding: each over the bare route, in the same round."""

from dataclasses import replace

from loads import Load
from peers.base import Feature, Setup
from peers.features import PREFIX, SIGNED

from cases.traffic import Traffic, Variant

_CHAIN = Load(f"{PREFIX}/b/13", headers=(("Authorization", f"Bearer {SIGNED}"),))
"""Of both variants, so that only what the chain does is between them."""


_WIDE = Load("/b/65536", connections=32)
_LIMITED = Setup(kind="hosts", count=1_000)
"""A key for each host; requests go to all of them in turn."""


def _feature(feature: Feature, load: Load, name: str = "") -> Variant:
    return Variant(name or feature, Setup(feature=feature), load)


def _among_ours(name: str, title: str, *variants: Variant) -> Traffic:
    """Variants that no peer has, compared with each other."""
    return Traffic(name, title, variants, half_load=False, alone=True)


def _coded(feature: Feature) -> Variant:
    return _feature(feature, Load("/j/65536", 32, headers=(("Accept-Encoding", feature),)))


FEATURES: tuple[Traffic, ...] = (
    Traffic(
        "chain",
        "token, limit for each client, rewrite, header edits, breaker and active checks, over none",
        (Variant("bare", Setup(), _CHAIN), _feature("chain", _CHAIN)),
        half_load=False,
    ),
    Traffic(
        "compress",
        "64 KiB of JSON, encoded, beside nginx's gzip of as many bytes",
        (_coded("gzip"), _coded("br"), _coded("zstd")),
        half_load=False,
        partly=True,
    ),
    _among_ours(
        "forward-auth",
        "each request asks another service, on kept connections, over none, 13 B",
        Variant("bare", Setup(), Load()),
        _feature("forward-auth", Load()),
    ),
    _among_ours(
        "traces",
        "traces sent to a collector, of 1 and of 100 % of the requests, over none, 13 B",
        Variant("bare", Setup(), Load()),
        _feature("traces-1", Load(), "1"),
        _feature("traces-100", Load(), "100"),
    ),
    _among_ours(
        "bandwidth",
        "a limit of bandwidth that nobody reaches, over none, 64 KiB",
        Variant("bare", Setup(), _WIDE),
        _feature("bandwidth", _WIDE),
    ),
    _among_ours(
        "limits",
        "a rate limit of this node, and one across nodes with a Redis, 1,000 keys, over none, 13 B",
        Variant("bare", _LIMITED, Load()),
        Variant("node", replace(_LIMITED, feature="limit"), Load()),
        Variant("across", replace(_LIMITED, feature="limit-across"), Load()),
    ),
    _among_ours(
        "response-buffer",
        "answers collected for slow clients, where no client is slow, over none, 64 KiB",
        Variant("bare", Setup(), _WIDE),
        _feature("response-buffer", _WIDE),
    ),
)
"""All of them."""
