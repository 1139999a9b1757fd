"""The contents of a join token: a secret that the master knows, and the pin of the fleet's CA.

As text it is the secret, a dot and the pin: `SECRET.sha256:HEX`. Without a pin the master must show
a certificate that the node's system trusts. Pure.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from headgate.kernel.errors import Invalid

_PIN: Final = re.compile(r"sha256:[0-9a-f]{64}")
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{8,512}")


@dataclass(frozen=True, slots=True)
class JoinToken:
    """A token in its parts; `pin` is empty without one."""

    secret: str = field(repr=False)
    pin: str = ""

    def text(self) -> str:
        """Returns what people pass on.

        >>> JoinToken("s3cret-s3cret").text()
        's3cret-s3cret'
        """
        return f"{self.secret}.{self.pin}" if self.pin else self.secret


def parse_join_token(text: str) -> JoinToken:
    """Returns the parts of a token; raises Invalid, without the text in it."""
    secret, dot, pin = text.strip().partition(".")
    if not _SECRET.fullmatch(secret):
        raise Invalid("this is not a join token", "copy the whole token that the master printed")
    if dot and not _PIN.fullmatch(pin):
        raise Invalid(
            "the pin of the join token is damaged", "copy the whole token that the master printed"
        )
    return JoinToken(secret, pin)
