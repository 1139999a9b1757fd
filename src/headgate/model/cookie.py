"""Cookies that we set: their names, their attributes, the keys that sign them."""

import re
from collections.abc import Iterator, Set
from typing import Annotated, Final, Literal, cast

from pydantic import Field, PlainValidator, ValidationInfo, WithJsonSchema

from headgate.features import syntax
from headgate.features.base import Checked
from headgate.features.fields import DurationOrOff, EnvText, Flag, parsed
from headgate.features.values import FILE_SCHEMA, Secrets, named_file
from headgate.kernel.errors import Invalid
from headgate.kernel.units import Duration

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_PATH: Final = re.compile(r"/[!#-:<-\[\]-~]{0,255}")
_NAME_ALLOWED: Final = "write up to 64 letters, digits, dots, hyphens and _"
_PATH_ALLOWED: Final = 'write a path such as "/shop", without spaces, quotes, backslashes or ";"'


def _cookie(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise Invalid(f'"{text}" is not the name of a cookie', _NAME_ALLOWED)
    return text


def _path(text: str) -> str:
    if not _PATH.fullmatch(text):
        raise Invalid(f'"{text}" is not the path of a cookie', _PATH_ALLOWED)
    return text


CookieName = Annotated[
    str,
    parsed(_cookie, "the name of a cookie", _NAME_ALLOWED),
    WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"}),
]
CookiePath = Annotated[
    str,
    parsed(_path, "the path of a cookie", _PATH_ALLOWED),
    WithJsonSchema({"type": "string", "pattern": f"^{_PATH.pattern}$"}),
]

_KEY: Final = re.compile(r"[!-~]{32,512}")
_KEY_ALLOWED: Final = "32 to 512 printable characters without spaces"
_KEY_PLACES: Final = 'write { file = "…" } or "${env:NAME}"'


def _key(value: object, info: ValidationInfo) -> str:
    """Returns the text of a key; no message contains it."""
    context = cast(Secrets, info.context)
    path = named_file(value)
    if path is None and not isinstance(value, EnvText):
        what = "a key is a secret, which this file is no place for"
        raise Invalid(
            what if isinstance(value, str) else f"{syntax.described(value)} is no key", _KEY_PLACES
        )
    text = context.private(path) if path is not None else str(value)
    if _KEY.fullmatch(text) is None:
        where = f'the text of "{path}"' if path is not None else "this text"
        raise Invalid(
            f"{where} is no key", f"make one with `openssl rand -hex 32`; it has {_KEY_ALLOWED}"
        )
    context.hide(text)
    return text


SigningKey = Annotated[
    str,
    PlainValidator(_key),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": r"^\$\{env:"}, FILE_SCHEMA]}),
]
"""The text of a key, from a file that not every user may read, or from the environment."""


class CookieOptions(Checked):
    """The settings that a cookie is sent with."""

    ttl: DurationOrOff = Field(
        default=Duration(0),
        description="How long the client keeps the cookie, in whole seconds from the response that "
        "set it. `off` = until the browser is closed.",
    )
    path: CookiePath = Field(
        default="/",
        description="The path of the cookie: it is sent with requests for this path and the paths "
        "below it.",
    )
    same_site: Literal["lax", "strict", "none"] = Field(
        default="lax",
        description="With which requests from other sites the cookie is sent: `lax` = when a user "
        "follows a link, `strict` = none, `none` = all.",
    )
    secure: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="Whether the cookie is sent over TLS only; `auto` = if the client came over "
        "TLS.",
    )
    http_only: Flag = Field(
        default=True, description="Whether the cookie is hidden from the scripts of pages."
    )
    keys: Annotated[list[SigningKey], Field(max_length=8)] = Field(
        default_factory=list,
        description="The keys that sign the values of the cookie, each in a file or the "
        "environment. The first key signs, and all of them verify; nodes that serve the same "
        "clients need the same keys.",
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields errors for what browsers would not keep."""
        if "ttl" not in wrong and self.ttl.ms % 1000:
            yield Invalid(
                f"{self.ttl} is not in whole seconds",
                'write a time such as "1h", or "off"',
                at=("ttl",),
            )
        is_kept = (self.same_site, self.secure) != ("none", "never")
        if not {"same_site", "secure"} & wrong and not is_kept:
            yield Invalid(
                'browsers keep a cookie with same_site = "none" only if it is sent over TLS alone',
                'write secure = "always", or another `same_site`',
                at=("secure",),
            )
