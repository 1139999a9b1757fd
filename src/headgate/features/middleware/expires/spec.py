"""`expires`: how long caches may use the answers of a route (RFC 9111 §5.2.2.1, §5.3)."""

from typing import Annotated, ClassVar, Final

from pydantic import Field, PlainValidator, WithJsonSchema

from headgate.features.base import MiddlewareOptions
from headgate.features.fields import DURATION_PATTERN, duration
from headgate.kernel.errors import Invalid
from headgate.kernel.units import DURATION_ALLOWED, Duration
from headgate.plan.middleware import DefaultedMiddlewareNode, Shown

NOW: Final = "now"
FIXED: Final = ("max", "past")
"""The words for dates that do not depend on the answer."""

_WORDS: Final = (NOW, *FIXED)
_ALLOWED: Final = f'{DURATION_ALLOWED}, or "now", "max", "past"'
_SECOND_MS: Final = 1000


class ExpiresNode(DefaultedMiddlewareNode, frozen=True):
    """The plan node; the mirror of hg-middleware's `expires`. `fixed` is one of `FIXED`, or empty
    for a time of `after_s` seconds from the answer on.
    """

    after_s: int = 0
    fixed: str = ""

    @property
    def does(self) -> str:
        """The time for which an answer may be used."""
        if self.fixed:
            return self.fixed
        return f"after {Duration(self.after_s * _SECOND_MS)}" if self.after_s else NOW

    def shown(self) -> Shown:
        """Returns nothing: none of its texts comes from a secret's file."""
        return Shown()


def _after(value: object) -> Duration | str:
    """Returns a time in whole seconds, or one of the words."""
    if isinstance(value, str) and value in _WORDS:
        return value
    try:
        found = duration(value, off=False)
    except Invalid as wrong:
        raise Invalid(wrong.what, _ALLOWED) from None
    if found.ms % _SECOND_MS:
        raise Invalid(f'"{found}" is not a time in whole seconds', 'write "30s", "5m" or "1h"')
    return found


After = Annotated[
    Duration | str,
    PlainValidator(_after),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": DURATION_PATTERN, "format": "duration"},
                {"enum": list(_WORDS)},
            ]
        }
    ),
]


class Expires(MiddlewareOptions):
    """Set `Expires` and `Cache-Control` of answers that are no errors."""

    key: ClassVar[str] = "expires"
    summary: ClassVar[str] = "Sets how long caches may use responses (`Expires`, `Cache-Control`)."
    node = ExpiresNode

    after: After = Field(
        description="How long caches may use a response, in whole seconds, at most 366 days: "
        '`"1h"` sets `Cache-Control: max-age=3600`, and `Expires` to the time of the response and '
        'one hour. `"now"` says that a response has to be checked each time (`max-age=0`), '
        '`"past"` the same with a date of 1970 and `no-cache`, `"max"` ten years. It replaces '
        "these two headers of responses with the statuses 200, 201, 204, 206, 301 to 304, 307 and "
        "308, and leaves all others as they are.",
    )

    def to_plan(self) -> ExpiresNode:
        """Returns the plan node."""
        if isinstance(self.after, Duration):
            return ExpiresNode(after_s=self.after.ms // _SECOND_MS)
        return ExpiresNode(fixed="" if self.after == NOW else self.after)
