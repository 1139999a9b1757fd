"""Limits on the bytes of TCP and UDP routes that pass in a second."""

from collections.abc import Iterator, Set
from typing import Annotated

from pydantic import Field, Strict

from headgate.features.base import Checked
from headgate.features.byterates import ByteRateText
from headgate.features.fields import FROM_ENV, SizeText
from headgate.kernel.errors import Invalid


class ByteLimit(Checked):
    """The keys that all limits of bandwidth have, whatever shares the bytes."""

    download: ByteRateText | None = Field(
        default=None,
        description="The rate towards clients, in bytes per second, spread evenly: `500kB/s`, "
        "`2MiB/s`; `1kB/s` to `10GB/s`.",
    )
    upload: ByteRateText | None = Field(
        default=None, description="The same for bytes towards endpoints."
    )
    burst: SizeText | None = Field(
        default=None,
        description="How many bytes may pass at once after a pause, in each direction; absent = "
        "the bytes of one second. The bytes of 20 ms may always pass at once.",
    )
    ipv6_prefix: Annotated[int, Strict(), Field(ge=1, le=128), FROM_ENV] = Field(
        default=64,
        description="How many leading bits of an IPv6 address identify a client, 1 to 128.",
    )
    max_keys: Annotated[int, Strict(), Field(ge=1, le=1 << 24), FROM_ENV] = Field(
        default=131_072,
        description="The size of the table of each direction, in clients that have not earned back "
        "their whole burst; 8 bytes for each, rounded up to a power of two.",
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields an error for a limit of nothing."""
        if not wrong & {"download", "upload"} and self.download is None and self.upload is None:
            yield Invalid(
                "it limits neither direction", 'write `download = "2MiB/s"`, `upload`, or both'
            )
