"""The form of a version of headgate, as masters and agents write one to each other. Pure."""

import re
from typing import Final

LONGEST: Final = 64
PATTERN: Final = (
    r"[0-9]{1,6}(\.[0-9]{1,6}){1,3}((a|b|rc|\.post|\.dev)[0-9]{1,6}){0,3}"
    r"(\+[a-z0-9]{1,16}(\.[a-z0-9]{1,16}){0,2})?"
)
ALLOWED: Final = "write a version such as 1.4.2, 1.5.0rc1 or 1.4.2+site.3"
_VERSION: Final = re.compile(PATTERN)


def is_program(text: str) -> bool:
    """Says whether a text is a version and nothing else: a command gets it as an argument.

    >>> is_program("1.4.2"), is_program("--help"), is_program("1.4; reboot")
    (True, False, False)
    """
    return len(text) <= LONGEST and _VERSION.fullmatch(text) is not None
