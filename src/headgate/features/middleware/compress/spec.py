"""`compress`: answers in a coding that takes fewer bytes."""

import re
from collections.abc import Iterator, Set
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, PlainValidator, Strict, WithJsonSchema

from headgate.features import syntax
from headgate.features.base import MiddlewareOptions
from headgate.features.fields import FROM_ENV, SizeOrOff
from headgate.kernel.errors import Invalid
from headgate.kernel.units import ByteSize
from headgate.plan.middleware import DefaultedMiddlewareNode, Shown

Coding = Literal["zstd", "br", "gzip"]

CODINGS: Final[tuple[Coding, ...]] = ("zstd", "br", "gzip")
TYPES: Final = (
    "text/html",
    "text/css",
    "text/plain",
    "text/javascript",
    "text/xml",
    "text/event-stream",
    "application/javascript",
    "application/json",
    "application/ld+json",
    "application/xml",
    "application/wasm",
    "image/svg+xml",
)
"""Types of texts, which shrink to a quarter."""

_TYPE: Final = re.compile(r"[A-Za-z0-9!#$&'*+.^_`|~-]+/[A-Za-z0-9!#$&^_.+-]+")
_TYPE_ALLOWED: Final = 'write a type such as "text/html", without parameters'


class CompressNode(DefaultedMiddlewareNode, frozen=True):
    """The choice of answers to encode, and of their coding; sizes in bytes."""

    types: tuple[str, ...] = TYPES
    min_bytes: int = 1024
    codings: tuple[str, ...] = CODINGS
    gzip_level: int = 5
    brotli_level: int = 4
    zstd_level: int = 3

    def shown(self) -> Shown:
        """Returns no texts: none of them comes from a secret's file."""
        return Shown()


_DEFAULT: Final = CompressNode()


def _type(value: object) -> str:
    if not isinstance(value, str) or not _TYPE.fullmatch(value):
        raise Invalid(f"{syntax.described(value)} is not a type", _TYPE_ALLOWED)
    return value.lower()


_Type = Annotated[
    str, PlainValidator(_type), WithJsonSchema({"type": "string", "format": "media-type"})
]


class Compress(MiddlewareOptions):
    """Compress answers for clients that take them so."""

    key: ClassVar[str] = "compress"
    summary: ClassVar[str] = "Compresses responses for clients that accept it."
    node = CompressNode

    types: list[_Type] = Field(
        default=list(TYPES),
        description="The content types to compress, without parameters; all other responses stay "
        "as they are.",
    )
    min_size: SizeOrOff = Field(
        default=ByteSize(_DEFAULT.min_bytes),
        description="Responses whose Content-Length is smaller stay as they are.",
    )
    algorithms: list[Coding] = Field(
        default=list(CODINGS),
        description="The codings in order of preference; among the codings that a client prefers "
        "(`Accept-Encoding`), it gets the first of this list.",
    )
    gzip_level: Annotated[int, Strict(), Field(ge=1, le=9), FROM_ENV] = Field(
        default=_DEFAULT.gzip_level, description="The compression level of gzip, 1 to 9."
    )
    brotli_level: Annotated[int, Strict(), Field(ge=0, le=9), FROM_ENV] = Field(
        default=_DEFAULT.brotli_level, description="The compression level of Brotli, 0 to 9."
    )
    zstd_level: Annotated[int, Strict(), Field(ge=1, le=12), FROM_ENV] = Field(
        default=_DEFAULT.zstd_level, description="The compression level of Zstandard, 1 to 12."
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields an error for a list without members."""
        for key in ("types", "algorithms"):
            if key not in wrong and not getattr(self, key):
                yield Invalid("the list is empty", "write at least one", at=(key,))

    def to_plan(self) -> CompressNode:
        """Returns the plan node."""
        return CompressNode(
            types=tuple(dict.fromkeys(self.types)),
            min_bytes=self.min_size.bytes,
            codings=tuple(dict.fromkeys(self.algorithms)),
            gzip_level=self.gzip_level,
            brotli_level=self.brotli_level,
            zstd_level=self.zstd_level,
        )
