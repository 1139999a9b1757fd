"""Renders certificates and keys as variables of nginx's `stream`, in a file for each pair.

A server of `stream` has one set of certificates, unless variables choose them by the name that a
client asks for. Workers may not read the files of keys, so variables hold what is in them.
"""

import re
from hashlib import sha256
from typing import Final, NamedTuple

from headgate.engines.nginx.common.types import RenderedFile
from headgate.engines.nginx.render import names
from headgate.engines.nginx.render.context import Context
from headgate.engines.nginx.render.prelude import mapped
from headgate.kernel.ids import BlobId
from headgate.nginxtext import writer
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import Literal, Template, Var, comment

_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----[^-]+-----END \1-----")
_MOST: Final = 3000
"""Characters of a word: written, a line end takes two, and nginx reads 4,096 bytes at most."""
_SOURCE: Final = Var("hg_listener")
"""The variable that the maps ask; whatever it is, they have one value."""


class PairVariables(NamedTuple):
    """The variables of a certificate with its chain, and of its key."""

    certificate: Var
    key: Var


def variables(name: str) -> PairVariables:
    """Returns the variables of a certificate; they stay the same when it is renewed."""
    digest = sha256(name.encode()).hexdigest()[:10]
    return PairVariables(Var(f"hg_crt_{digest}"), Var(f"hg_key_{digest}"))


def write(ctx: Context, name: str) -> tuple[str, list[Node]]:
    """Returns the path of the file with the variables of a certificate, and what is in it."""
    pair = ctx.certificates[name]
    chain, key = (_blocks(ctx, blob) for blob in (pair.cert, pair.key))
    certificates = [text for kind, text in chain if kind.endswith("CERTIFICATE")]
    keys = [text for kind, text in key if kind.endswith("PRIVATE KEY")]
    of = variables(name)
    nodes: list[Node] = [
        comment(f"certificate {name}"),
        *_whole(of.certificate, certificates),
        *_whole(of.key, keys[:1]),
    ]
    digest = sha256(f"{pair.cert} {pair.key}".encode()).hexdigest()[:12]
    path = f"certs/{names.slug(name)}-{digest}.conf"
    ctx.secrets[path] = RenderedFile(path, writer.render(nodes), 0o600)
    return ctx.release_path(path), nodes


def _blocks(ctx: Context, blob: BlobId) -> list[tuple[str, str]]:
    """Returns the blocks of a PEM file with their kinds, without what is written around them."""
    found = _BLOCK.finditer(ctx.blobs[blob])
    return [(one[1].decode(), f"{one[0].decode()}\n") for one in found]


def _whole(variable: Var, texts: list[str]) -> list[Node]:
    """Returns the maps of a variable with these texts, one after the other."""
    parts = [text[at : at + _MOST] for text in texts for at in range(0, len(text), _MOST)]
    pieces = [Var(f"{variable.name}_{at}") for at in range(len(parts))]
    nodes: list[Node] = [
        mapped(piece.name, _SOURCE, Literal(part, lines=True))
        for piece, part in zip(pieces, parts, strict=True)
    ]
    return [*nodes, mapped(variable.name, _SOURCE, Template(tuple(pieces)))]
