"""`[node.limit_store]`: the store that nodes share rate limits through."""

import re
from collections.abc import Iterator, Set
from typing import Annotated, Final, cast

from pydantic import AfterValidator, Field, PlainValidator, Strict, ValidationInfo, WithJsonSchema

from headgate.features import syntax
from headgate.features.base import Checked
from headgate.features.fields import FROM_ENV, DurationText
from headgate.features.values import FILE_SCHEMA, Secrets, named_file
from headgate.kernel.errors import Invalid
from headgate.kernel.units import Duration
from headgate.model.outlet import OutletTls

_URL: Final = re.compile(
    r"rediss?://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?:/(?P<database>[0-9]{1,5})?)?"
)
_URL_ALLOWED: Final = 'write one such as "redis://127.0.0.1:6379/0", or with rediss for TLS'
_MOST_PORT: Final = 65_535
_PORT: Final = "6379"
_MOST: Final = Duration(10_000)


def _url(url: str) -> str:
    if "@" in url:
        raise Invalid(
            "a URL of the store has no user or password", "write `username` and `password`"
        )
    found = _URL.fullmatch(url)
    if found is None or not 0 < int(found["port"] or _PORT) <= _MOST_PORT:
        raise Invalid(f'"{url}" is not the URL of a store', _URL_ALLOWED)
    return url


_WORD: Final = "write up to 1024 visible ASCII characters"
_MOST_SECRET: Final = 1024


def _is_word(text: str) -> bool:
    return 0 < len(text) <= _MOST_SECRET and all("!" <= c <= "~" for c in text)


def _password(value: object, info: ValidationInfo) -> str:
    if (path := named_file(value)) is not None:
        context = cast(Secrets, info.context)
        text = context.private(path)
        context.hide(text)
        if not _is_word(text):
            raise Invalid(f'the text of "{path}" is not a password', _WORD)
        return text
    if not isinstance(value, str) or not _is_word(value):
        raise Invalid(
            f"{syntax.described(value)} is not a password", f'{_WORD}, or {{ file = "…" }}'
        )
    cast(Secrets, info.context).hide(value)
    return value


def _username(text: str) -> str:
    if not _is_word(text):
        raise Invalid("that is not a user of the store", _WORD)
    return text


def _prefix(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9._:{}-]{1,64}", text) is None:
        raise Invalid(
            f'"{text}" is not a prefix of keys',
            "write 1 to 64 letters, digits and any of . _ : { } -",
        )
    return text


def _timeout(time: Duration) -> Duration:
    if time.ms > _MOST.ms:
        raise Invalid(f"{time} is out of range", f'write at most "{_MOST}"')
    return time


class LimitStore(Checked):
    """The store that nodes share rate limits through: a server that speaks the protocol of Redis.

    No request waits for it. `when_away` of each limit decides while it does not answer.
    """

    url: Annotated[str, AfterValidator(_url)] = Field(
        description="The URL of the store, `redis://host:port/database`, or `rediss://…` with TLS; "
        "by default the port is 6379 and the database 0."
    )
    tls: OutletTls | None = Field(
        default=None,
        description="TLS options for a `rediss` store; absent = the defaults.",
    )
    nodes: Annotated[int, Strict(), Field(ge=1, le=10_000), FROM_ENV] = Field(
        description="How many nodes share the limits, 1 to 10000. Each node may admit its share of "
        "the burst before the store learns of it, and has that share while the store is away."
    )
    username: Annotated[str, AfterValidator(_username)] | None = Field(
        default=None, description="The user name at the store; absent = the store's default user."
    )
    password: (
        Annotated[
            str,
            PlainValidator(_password),
            WithJsonSchema({"anyOf": [{"type": "string"}, FILE_SCHEMA]}),
        ]
        | None
    ) = Field(
        default=None,
        description="The user's password: the text itself, or a file with it that not every user "
        "may read.",
    )
    prefix: Annotated[str, AfterValidator(_prefix)] = Field(
        default="headgate",
        description="The prefix of the names of keys in the store; nodes that share limits must "
        "have the same prefix.",
    )
    timeout: Annotated[DurationText, AfterValidator(_timeout)] = Field(
        default=Duration(250),
        description="How long the store may take to connect or to answer, at most 10 s; after that "
        "it counts as away.",
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields errors for a user without a password, and for TLS towards a store without it."""
        if self.tls is not None and not self.has_tls and "url" not in wrong:
            yield Invalid("a store with redis has no TLS", "write rediss in `url`", at=("tls",))
        if self.username is not None and self.password is None and "password" not in wrong:
            yield Invalid("a user needs a password", "write `password`, too", at=("username",))

    @property
    def has_tls(self) -> bool:
        """True if the store is asked over TLS."""
        return self.url.startswith("rediss://")

    @property
    def address(self) -> str:
        """`host:port`."""
        found = _URL.fullmatch(self.url)
        return f"{found['host']}:{found['port'] or _PORT}" if found else ""

    @property
    def database(self) -> int:
        """The number of the database."""
        found = _URL.fullmatch(self.url)
        return int(found["database"] or 0) if found else 0
