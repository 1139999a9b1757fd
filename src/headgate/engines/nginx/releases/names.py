"""Names releases and their links. Standard library only: the boot guard imports it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

LinkName = Literal["current", "previous", "known_good"]
LINKS: tuple[LinkName, ...] = ("current", "previous", "known_good")

RELEASES = "releases"
CONF = "nginx.conf"
MANIFEST = "manifest.json"
_DIGEST_CHARACTERS = 12
_NAME = re.compile(r"([1-9][0-9]{0,17})-([0-9a-f]{12})")


@dataclass(frozen=True, slots=True, order=True)
class ReleaseName:
    """`<generation>-<sha12>`: the generation, and the start of its content's digest.

    >>> str(ReleaseName(7, "0123456789ab"))
    '7-0123456789ab'
    """

    generation: int
    digest: str

    def __str__(self) -> str:
        return f"{self.generation}-{self.digest}"

    @classmethod
    def of(cls, generation: int, digest: str) -> ReleaseName:
        """Returns the name of a generation (from 1) whose content has this sha256 in hex."""
        return cls(generation, digest[:_DIGEST_CHARACTERS])

    @classmethod
    def parse(cls, text: str) -> ReleaseName | None:
        """Parses a name; None for any other text.

        >>> ReleaseName.parse("7-0123456789ab").generation
        7
        >>> ReleaseName.parse(".staging-7") is None
        True
        """
        found = _NAME.fullmatch(text)
        return None if found is None else cls(int(found[1]), found[2])
