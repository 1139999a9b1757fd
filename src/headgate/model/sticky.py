"""`sticky` of a route: what keeps a client at its branch of a split."""

from collections.abc import Iterator, Set
from typing import Annotated, Final

from pydantic import Field

from headgate.features.base import excluding
from headgate.features.hash_key import HashKey
from headgate.kernel.errors import Invalid
from headgate.model.cookie import CookieName, CookieOptions
from headgate.model.shorthand import ONE_OR_MORE, OR_ITEM

_HOWS: Final = ("cookie", "by")
_ONE: Final = "write exactly one of `cookie` and `by`"


class Sticky(CookieOptions):
    """A cookie or a hash that keeps a client at the branch of a split that it was assigned to.

    With `cookie` an answer sets a signed cookie that names the branch; weights may change, and the
    client stays while its branch has one above 0. With `by` the branch follows from a hash: a
    branch that gets more weight takes clients from the other branches, and no other clients move.
    """

    cookie: CookieName | None = Field(
        default=None,
        description="The name of the cookie that keeps the branch; nothing else should set it. It "
        "needs `keys`.",
    )
    by: Annotated[list[HashKey], Field(min_length=1, max_length=8), ONE_OR_MORE, OR_ITEM] | None = (
        Field(
            default=None,
            description="What is hashed: `client_ip`, `path`, `header:NAME` or `cookie:NAME`; of "
            "several, the first one that a request has. For a request that has none of them, the "
            "branch is chosen by weight.",
        )
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields errors for both ways or none, and for a cookie that nobody signs."""
        given = self.__pydantic_fields_set__ | wrong
        hows = [how for how in _HOWS if how in given]
        if len(hows) > 1:
            yield excluding(hows, _ONE)
        elif not hows and self.may_lack(wrong):
            yield Invalid("it does not say what keeps a client at its branch", _ONE)
        elif hows == ["by"]:
            yield from self._idle(given)
        elif hows and "keys" not in wrong and not self.keys:
            yield Invalid(
                "nobody signs the cookie, so clients could choose their branch",
                'write keys = [{ file = "…" }], or `by` instead of `cookie`',
                at=("keys",) if "keys" in given else (),
            )
        yield from super().contradictions(wrong)

    def _idle(self, given: Set[str]) -> Iterator[Invalid]:
        for key in CookieOptions.model_fields:
            if key in given:
                yield Invalid("there is no cookie that it is of", "leave it out", at=(key,))
