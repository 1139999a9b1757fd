"""How many bytes of TCP and UDP routes pass in a second."""

from collections.abc import Iterator, Set
from typing import Annotated

from pydantic import Field, Strict

from headgate.features.base import Checked
from headgate.features.byterates import ByteRateText
from headgate.features.fields import FROM_ENV, SizeText
from headgate.kernel.errors import Invalid


class ByteLimit(Checked):
    """What limits of bandwidth have in common, whatever shares the bytes."""

    download: ByteRateText | None = Field(
        default=None,
        description="Bytes towards clients in a second, evenly: `500kB/s`, `2MiB/s`; `1kB/s` to "
        "`10GB/s`.",
    )
    upload: ByteRateText | None = Field(
        default=None, description="The same of bytes towards endpoints."
    )
    burst: SizeText | None = Field(
        default=None,
        description="Bytes that pass at once after a pause, in each direction; without it, those "
        "of a second. At least those of 20 ms pass at once.",
    )
    ipv6_prefix: Annotated[int, Strict(), Field(ge=1, le=128), FROM_ENV] = Field(
        default=64,
        description="How many bits of an IPv6 address tell clients apart, 1 to 128.",
    )
    max_keys: Annotated[int, Strict(), Field(ge=1, le=1 << 24), FROM_ENV] = Field(
        default=131_072,
        description="Room of the table of each direction, in clients that owe something; 8 bytes "
        "for each, rounded up to a power of two.",
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields an error for a limit of nothing."""
        if not wrong & {"download", "upload"} and self.download is None and self.upload is None:
            yield Invalid(
                "it limits neither direction", 'write `download = "2MiB/s"`, `upload`, or both'
            )
