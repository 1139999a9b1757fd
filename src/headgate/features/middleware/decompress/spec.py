"""`decompress`: bodies of requests without their coding."""

from collections.abc import Iterator, Set
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, Strict

from headgate.features import syntax
from headgate.features.base import MiddlewareOptions
from headgate.features.fields import FROM_ENV, SizeText
from headgate.kernel.errors import Invalid
from headgate.kernel.units import ByteSize
from headgate.plan.middleware import DefaultedMiddlewareNode, Shown

Coding = Literal["zstd", "br", "gzip", "deflate"]

CODINGS: Final[tuple[Coding, ...]] = ("zstd", "br", "gzip", "deflate")

MOST_LAYERS: Final = 3
"""Most codings of one body; the data plane has the same."""


class DecompressNode(DefaultedMiddlewareNode, frozen=True):
    """The bodies that are decoded, and the size that they may reach; sizes in bytes."""

    codings: tuple[str, ...] = CODINGS
    limit_bytes: int = 16 << 20
    ratio: int = 100
    layers: int = 1
    unsupported: str = "refuse"

    def shown(self) -> Shown:
        """Returns no texts: none of them comes from a secret's file."""
        return Shown()


_DEFAULT: Final = DecompressNode()


class Decompress(MiddlewareOptions):
    """Decode the bodies of requests before they go to an endpoint."""

    key: ClassVar[str] = "decompress"
    summary: ClassVar[str] = "Decodes request bodies before they are forwarded."
    node = DecompressNode

    algorithms: list[Coding] = Field(
        default=list(CODINGS),
        description="The codings (`Content-Encoding`) that are decoded; `deflate` is zlib's "
        "format (RFC 1950).",
    )
    limit: SizeText = Field(
        default=ByteSize(_DEFAULT.limit_bytes),
        description="The largest decoded body; a request with a larger one gets 413. `limits.body` "
        "counts the bytes before decoding.",
    )
    ratio: Annotated[int, Strict(), Field(ge=1, le=syntax.MAX_COUNT), FROM_ENV] = Field(
        default=_DEFAULT.ratio,
        description="The most decoded bytes for each byte received, counted from 64 KiB of decoded "
        "bytes on; a request with a denser body gets 413.",
    )
    layers: Annotated[int, Strict(), Field(ge=1, le=MOST_LAYERS), FROM_ENV] = Field(
        default=_DEFAULT.layers,
        description="The most codings that one body may have, one over the other; `limit` and "
        "`ratio` apply to each of them and to all of them together.",
    )
    unsupported: Literal["refuse", "pass"] = Field(
        default="refuse",
        description="What to do with a body that is in another coding, has too many of them, or is "
        "only a part (`Content-Range`): `refuse` answers its request with 415 and "
        "`Accept-Encoding`, `pass` forwards it as it is.",
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields an error for a list without members."""
        if "algorithms" not in wrong and not self.algorithms:
            yield Invalid("the list is empty", "write at least one", at=("algorithms",))

    def to_plan(self) -> DecompressNode:
        """Returns the plan node."""
        return DecompressNode(
            codings=tuple(dict.fromkeys(self.algorithms)),
            limit_bytes=self.limit.bytes,
            ratio=self.ratio,
            layers=self.layers,
            unsupported=self.unsupported,
        )
