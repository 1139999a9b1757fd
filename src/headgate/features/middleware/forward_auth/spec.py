"""`forward_auth`: let in whom another service lets in."""

import re
from collections.abc import Iterator, Set
from typing import Annotated, ClassVar, Final, Literal

import msgspec
from pydantic import (
    Field,
    PlainValidator,
    Strict,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)

from headgate.features import syntax
from headgate.features.base import MiddlewareOptions
from headgate.features.fields import FROM_ENV, DurationText, Flag, SizeText
from headgate.features.middleware.api_key.spec import PlaceName
from headgate.features.values import EditedName
from headgate.kernel.errors import Invalid
from headgate.kernel.units import ByteSize, Duration
from headgate.plan.middleware import MiddlewareNode, Shown

_PATH: Final = re.compile(r"/[!-\"$-~]*")
_PATH_ALLOWED: Final = 'write a path such as "/verify", with a query or without'
_PREFIX: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,61}-")
_PREFIX_ALLOWED: Final = 'write the beginning of names with a hyphen at its end, such as "x-auth-"'
_MOST_NAMES: Final = 64
_MOST_NAME_CHARACTERS: Final = 256
_MOST_ANSWER: Final = 1024 * 1024
_MOST_MS: Final = 60_000
_OURS: Final = (
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-method",
    "x-forwarded-proto",
    "x-forwarded-uri",
    "x-headgate-auth-hops",
    "x-original-method",
    "x-original-url",
    "x-real-ip",
    "x-request-id",
)
_NEVER: Final = ("host", "content-length", "content-type", "content-encoding", "expect")


_EVERY: Final = ":all"
"""Stands for every name in a list of them. It is no token, so that no header can have it."""


class ForwardAuthNode(MiddlewareNode, frozen=True):
    """The upstream to ask about each request, and the headers that go there and come from there."""

    upstream: str
    path: str
    method: str
    timeout_ms: int
    headers: tuple[str, ...] | Literal["all"]
    answer_bytes: int
    in_flight: int
    cookies: tuple[str, ...] = ()
    copy: tuple[str, ...] = msgspec.field(default=())
    copy_prefix: str | None = None
    answer_headers: tuple[str, ...] = ()
    fail_open: bool = False

    @property
    def upstreams(self) -> tuple[tuple[str, str], ...]:
        """The service."""
        return (("upstream", self.upstream),)

    def withheld(self, hashed: str) -> str:
        """Returns the list of names that leaves it out."""
        source, _, name = hashed.partition(":")
        header = "cookie" if source == "cookie" else name
        if header in (*_OURS, "host"):
            return ""
        if self.headers != "all" and header not in self.headers:
            return "headers"
        is_listed = source != "cookie" or not self.cookies or name in self.cookies
        return "" if is_listed else "cookies"

    @property
    def judges_path(self) -> bool:
        """The service is told the normalised one."""
        return True

    @property
    def wants_credentials(self) -> bool:
        """It does."""
        return True

    def shown(self) -> Shown:
        """Returns nothing: its answers are the service's."""
        return Shown()


def _path(value: object) -> str:
    if isinstance(value, str) and _PATH.fullmatch(value):
        return value
    raise Invalid(f"{syntax.described(value)} is not a path", _PATH_ALLOWED)


def _prefix(value: object) -> str:
    text = value.lower() if isinstance(value, str) else ""
    if not _PREFIX.fullmatch(text):
        raise Invalid(f"{syntax.described(value)} is no beginning of names", _PREFIX_ALLOWED)
    for name in _OURS:
        if name.startswith(text):
            raise Invalid(f'"{text}" would remove "{name}"', "write a longer beginning")
    return text


def _named(key: str, names: list[str], refused: tuple[str, ...]) -> Iterator[Invalid]:
    """Yields errors for a list of names that is too long, or has names that are."""
    if len(names) > _MOST_NAMES:
        yield Invalid(f"{len(names)} names are too many", f"write up to {_MOST_NAMES}", at=(key,))
    for index, name in enumerate(names):
        if name in refused:
            what = f'"{name}" is not taken from there'
            yield Invalid(what, "leave it out", at=(key, index))
        if len(name) > _MOST_NAME_CHARACTERS:
            allowed = f"write up to {_MOST_NAME_CHARACTERS} characters"
            yield Invalid("the name is too long", allowed, at=(key, index))


def _or_all(value: object, listed: ValidatorFunctionWrapHandler) -> object:
    """Returns the names; `_EVERY` alone for the word `all`."""
    if not isinstance(value, str):
        return listed(value)
    if value != "all":
        raise Invalid(f"{syntax.described(value)} is no list of names", 'write a list, or "all"')
    return [_EVERY]


AskedPath = Annotated[
    str,
    PlainValidator(_path),
    WithJsonSchema({"type": "string", "pattern": f"^{_PATH.pattern}$"}),
]
NamePrefix = Annotated[
    str, PlainValidator(_prefix), WithJsonSchema({"type": "string", "minLength": 2})
]


SentNames = Annotated[
    list[EditedName],
    WrapValidator(_or_all),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": {"type": "string", "format": "header-name"}},
                {"const": "all"},
            ]
        }
    ),
]


class ForwardAuth(MiddlewareOptions):
    """Let in whom another service lets in; others get that service's answer."""

    key: ClassVar[str] = "forward_auth"
    summary: ClassVar[str] = "Asks another service whether each request may pass."
    node = ForwardAuthNode
    aliases: ClassVar[tuple[str, ...]] = ("auth_request", "ext_authz", "forwardauth")

    upstream: str = Field(min_length=1, description="The name of the upstream that is asked.")
    path: AskedPath = Field(
        default="/",
        description="The path and query of the request to the service, the same for all requests.",
    )
    method: Literal["GET", "HEAD", "POST"] = Field(
        default="GET", description="The method of the request to the service, which has no body."
    )
    timeout: DurationText = Field(
        default=Duration.parse("5s"),
        description="How long the whole response of the service may take, at most 1 minute and at "
        "most what the route's `request` timeout allows.",
    )
    headers: SentNames = Field(
        default_factory=lambda: [
            "accept",
            "accept-language",
            "authorization",
            "cookie",
            "user-agent",
            "x-requested-with",
        ],
        description="Headers of the client's request that are sent to the service; `all` = every "
        "one except those of the connection, of a body's framing, and those that tell who a client "
        "is (`x-real-ip` for example). The service also gets `x-forwarded-for`, `-host`, "
        "`-method`, `-proto` and `-uri`, `x-original-method`, `x-original-url` and `x-request-id`, "
        "never as the client sent them. This list, and each list below, has up to 64 names.",
    )
    cookies: list[PlaceName] = Field(
        default_factory=list,
        description="The cookies that are sent to the service, if `headers` has `cookie` or is "
        "`all`; empty = all.",
    )
    copy_: list[EditedName] = Field(
        default_factory=list,
        alias="copy",
        description="If the service lets the request pass, the headers of its response that are "
        "sent to the upstream of the route. Headers of these names that the client sends are "
        "removed.",
    )
    copy_prefix: NamePrefix | None = Field(
        default=None,
        description="The same for all headers whose names begin with this text, such as `x-auth-`.",
    )
    answer_headers: list[EditedName] = Field(
        default_factory=list,
        description="If the service lets the request pass, the headers of its response that the "
        "client gets with the upstream's response, such as `set-cookie`.",
    )
    answer_size: SizeText = Field(
        default=ByteSize.parse("64KiB"),
        description="The largest size of the header lines of the service's response, and of its "
        "body; at most 1 MiB.",
    )
    in_flight: Annotated[int, Strict(), Field(ge=1, le=1_000_000), FROM_ENV] = Field(
        default=1024, description="How many requests may wait for the service at once."
    )
    fail_open: Flag = Field(
        default=False,
        description="Whether requests pass while the service cannot be reached or is too slow; the "
        "upstream of the route then gets `x-headgate-auth: bypassed`.",
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields errors for long waits, large answers, and headers that are not the client's."""
        if "timeout" not in wrong and not 1 <= self.timeout.ms <= _MOST_MS:
            yield Invalid("the timeout is out of range", "write 1ms to 1m", at=("timeout",))
        if "answer_size" not in wrong and not 1 <= self.answer_size.bytes <= _MOST_ANSWER:
            yield Invalid("the size is out of range", "write 1B to 1MiB", at=("answer_size",))
        if not {"headers", "fail_open"} & wrong and self.fail_open and self.headers == [_EVERY]:
            what = "a client could send a head at which the service hangs up, and would pass"
            yield Invalid(what, "name the `headers` that go along", at=("fail_open",))
        for key, names, refused in (
            ("headers", self.headers, (*_OURS, *_NEVER)),
            ("cookies", self.cookies, ()),
            ("copy", self.copy_, ("host",)),
            ("answer_headers", self.answer_headers, ()),
        ):
            if key not in wrong:
                yield from _named(key, names, refused)

    def to_plan(self) -> ForwardAuthNode:
        """Returns the plan node."""
        return ForwardAuthNode(
            upstream=self.upstream,
            path=self.path,
            method=self.method,
            timeout_ms=self.timeout.ms,
            headers="all" if self.headers == [_EVERY] else tuple(self.headers),
            answer_bytes=self.answer_size.bytes,
            in_flight=self.in_flight,
            cookies=tuple(self.cookies),
            copy=tuple(self.copy_),
            copy_prefix=self.copy_prefix,
            answer_headers=tuple(self.answer_headers),
            fail_open=self.fail_open,
        )
