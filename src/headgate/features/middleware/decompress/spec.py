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
    """Which bodies are decoded, and how large they may become; sizes in bytes."""

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
    summary: ClassVar[str] = "Decodes the bodies of requests before they go to an endpoint."
    node = DecompressNode

    algorithms: list[Coding] = Field(
        default=list(CODINGS),
        description="The codings (`Content-Encoding`) that are decoded; `deflate` is zlib's "
        "format (RFC 1950).",
    )
    limit: SizeText = Field(
        default=ByteSize(_DEFAULT.limit_bytes),
        description="Most bytes of a decoded body; the request of a larger one gets 413. "
        "`limits.body` counts the bytes as they come.",
    )
    ratio: Annotated[int, Strict(), Field(ge=1, le=syntax.MAX_COUNT), FROM_ENV] = Field(
        default=_DEFAULT.ratio,
        description="Most decoded bytes for each byte that came, counted from 64 KiB of decoded "
        "bytes on; the request of a denser body gets 413.",
    )
    layers: Annotated[int, Strict(), Field(ge=1, le=MOST_LAYERS), FROM_ENV] = Field(
        default=_DEFAULT.layers,
        description="Most codings that one body may have, one over the other; `limit` and `ratio` "
        "hold for each of them and for all together.",
    )
    unsupported: Literal["refuse", "pass"] = Field(
        default="refuse",
        description="What becomes of a body in another coding, in too many, or that is a part "
        "(`Content-Range`): its request gets 415 with `Accept-Encoding`, or it passes as it is.",
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
