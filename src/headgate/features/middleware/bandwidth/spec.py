"""`bandwidth`: how many bytes of bodies pass in a second."""

from collections.abc import Iterator, Set
from typing import Annotated, ClassVar

from pydantic import Field, Strict

from headgate.features.base import MiddlewareOptions
from headgate.features.byterates import (
    CONNECTION,
    REQUEST,
    ByteRateText,
    Sharers,
    burst_of,
    bytes_of,
    told,
)
from headgate.features.fields import FROM_ENV, SizeText
from headgate.features.rates import keyed
from headgate.kernel.errors import Invalid
from headgate.plan.middleware import DefaultedMiddlewareNode, Shown


class BandwidthNode(DefaultedMiddlewareNode, frozen=True):
    """A limit of bytes; rates in bytes a second, 0 = any. An empty `key` is all requests together,
    `request` alone each one for itself, `connection` alone those of a client connection.
    """

    download: int = 0
    download_burst: int = 0
    upload: int = 0
    upload_burst: int = 0
    key: tuple[str, ...] = ()
    max_keys: int = 131_072
    ipv6_prefix: int = 64

    @property
    def does(self) -> str:
        """The rates, and what shares them."""
        limits = told((self.download, self.download_burst), (self.upload, self.upload_burst))
        alone = self.key in ((REQUEST,), (CONNECTION,))
        by = f"for each {self.key[0]}" if alone else keyed(self.key)
        return f"{limits}, {by}"

    def shown(self) -> Shown:
        """Returns nothing: none of its texts is seen in what it makes."""
        return Shown()


class Bandwidth(MiddlewareOptions):
    """Bound how many bytes of bodies pass in a second; what is over it waits."""

    key: ClassVar[str] = "bandwidth"
    summary: ClassVar[str] = "Limits how many bytes of bodies pass per second."
    node = BandwidthNode
    aliases: ClassVar[tuple[str, ...]] = ("limit_rate", "bwlim", "bandwidth_limit")

    download: ByteRateText | None = Field(
        default=None,
        description="The rate of response bodies, in bytes per second, spread evenly: `500kB/s`, "
        "`2MiB/s`; `1kB/s` to `10GB/s`.",
    )
    upload: ByteRateText | None = Field(default=None, description="The same for request bodies.")
    burst: SizeText | None = Field(
        default=None,
        description="How many bytes may pass at once after a pause, in each direction; absent = "
        "the bytes of one second. The bytes of 20 ms may always pass at once.",
    )
    limit_key: Sharers = Field(
        default=(REQUEST,),
        alias="key",
        description="What shares the rate: `request` (each request has its own rate), "
        "`connection` (the requests of each client connection share a rate), `client_ip`, "
        "`host`, `route`, `path`, `path:NUMBER` (a segment of the path, 1 is the first), "
        "`header:NAME`, `cookie:NAME`, `jwt:CLAIM` (a claim of the token that an earlier `jwt` "
        "accepted), a list of these without `request` and `connection`, or `all` for all requests "
        "together. A value that a request lacks counts as an empty text.",
    )
    ipv6_prefix: Annotated[int, Strict(), Field(ge=1, le=128), FROM_ENV] = Field(
        default=64,
        description="How many leading bits of an IPv6 address identify a client, 1 to 128.",
    )
    max_keys: Annotated[int, Strict(), Field(ge=1, le=1 << 24), FROM_ENV] = Field(
        default=131_072,
        description="The size of the table of each direction, in keys that have not earned back "
        "their whole burst; 8 bytes for each, rounded up to a power of two.",
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields an error for a limit of nothing."""
        if not wrong & {"download", "upload"} and self.download is None and self.upload is None:
            yield Invalid(
                "it limits neither direction", 'write `download = "2MiB/s"`, `upload`, or both'
            )

    def to_plan(self) -> BandwidthNode:
        """Returns the limit's plan node."""
        return BandwidthNode(
            download=bytes_of(self.download),
            download_burst=burst_of(self.download, self.burst),
            upload=bytes_of(self.upload),
            upload_burst=burst_of(self.upload, self.burst),
            key=self.limit_key,
            max_keys=self.max_keys,
            ipv6_prefix=self.ipv6_prefix,
        )
