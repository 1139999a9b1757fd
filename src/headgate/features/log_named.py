"""The values in an access log that a config names: headers of the request by `header:NAME`, and
claims of the token that let it in by `jwt:CLAIM`; pure."""

from typing import Final

from headgate.features.templates import pieces
from headgate.plan.settings import AccessLog

HEADER: Final = "header:"
"""The prefix of the name of a header in `fields` and in variables."""
CLAIM: Final = "jwt:"
"""The prefix of the name of a claim there."""


def logged_headers(log: AccessLog | None) -> tuple[str, ...]:
    """Returns the headers that these lines have, in their order, each once; none without a log.

    >>> from headgate.plan.settings import AccessLog
    >>> logged_headers(AccessLog("json", None, template="${status} ${header:x-a} $${header:x-b}"))
    ('x-a',)
    """
    return _named(log, HEADER)


def logged_claims(log: AccessLog | None) -> tuple[str, ...]:
    """Returns the claims that these lines have, in their order, each once; none without a log.

    >>> from headgate.plan.settings import AccessLog
    >>> logged_claims(AccessLog("json", None, fields=("status", "jwt:sub")))
    ('sub',)
    """
    return _named(log, CLAIM)


def _named(log: AccessLog | None, lead: str) -> tuple[str, ...]:
    if log is None:
        return ()
    names = log.fields
    if log.template is not None:
        names = tuple(text for kind, text in pieces(log.template) if kind == "name")
    found = (name.removeprefix(lead) for name in names if name.startswith(lead))
    return tuple(dict.fromkeys(found))
