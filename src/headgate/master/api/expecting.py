"""The object that a change is for: the version that its sender knows, or none yet."""

import re
from dataclasses import dataclass
from typing import Final, Protocol

from starlette.requests import Request

from headgate.master.api.problems import invalid
from headgate.master.store.schema import ID_LENGTH

DIGEST: Final = 32
"""The length of the digest in an ETag: 128 bits, so that nobody makes two views with the same."""
_ETAG: Final = re.compile(
    rf'(?:W/)?"([0-9]{{1,18}})(?:-([0-9a-z-]{{{ID_LENGTH}}}))?(?:-[0-9a-f]{{{DIGEST}}})?"'
)


class Known(Protocol):
    """An object that counts its changes."""

    @property
    def id(self) -> str:
        """Its id: another one of the same name has another."""
        ...

    @property
    def version(self) -> int:
        """The count."""
        ...


@dataclass(frozen=True, slots=True)
class Expected:
    """The object as the sender of a change knows it; without a version, any."""

    version: int | None = None
    id: str = ""
    """Empty: any of that version, which may be one that was made again under the same name."""
    is_new: bool = False
    """True if the object must not exist yet."""

    def fits(self, current: Known | None) -> bool:
        """Says whether the change is for the object as it is now; None: it does not exist."""
        if current is None or self.is_new:
            return current is None and self.version is None
        return self.version in {None, current.version} and self.id in {"", current.id}


ANY: Final = Expected()


def tag_of(one: Known) -> str:
    """Returns the part of an ETag that `Expected` compares."""
    return f"{one.version}-{one.id}"


def expected_of(request: Request) -> Expected:
    """Returns what `If-Match` and `If-None-Match` say; raises ProblemError."""
    is_new = request.headers.get("if-none-match", "").strip() == "*"
    text = request.headers.get("if-match")
    if text is None or text.strip() == "*":
        return Expected(is_new=is_new)
    found = _ETAG.fullmatch(text.strip())
    if found is None:
        raise invalid("If-Match", "this is not an ETag of ours", "write the object's ETag, or `*`")
    return Expected(int(found[1]), found[2] or "", is_new)
