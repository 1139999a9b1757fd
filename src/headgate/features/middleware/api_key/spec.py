"""`api_key`: let in who sends a known key."""

import re
from collections.abc import Iterator, Mapping, Set
from hashlib import sha256
from typing import Annotated, ClassVar, Final, cast

from pydantic import Field, PlainValidator, ValidationInfo, WithJsonSchema

from headgate.features import syntax
from headgate.features.base import MiddlewareOptions, excluding
from headgate.features.fields import Flag
from headgate.features.values import FILE_SCHEMA, EditedName, Secrets, named_file
from headgate.kernel.errors import Invalid
from headgate.plan.middleware import MiddlewareNode, Shown

_SUM: Final = re.compile(r"sha256:([0-9a-f]{64})")
_KEY_BYTES: Final = range(16, 513)
_ALLOWED: Final = 'write "sha256:…" with 64 hex digits, or { file = "…" } with the key'
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_TOKEN: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PLACES: Final = ("header", "query", "cookie")


class ApiKeyNode(MiddlewareNode, frozen=True):
    """SHA-256 of keys in hex, by the name of the client; and the place that they are sent in."""

    clients: dict[str, tuple[str, ...]]
    header: str | None = None
    query: str | None = None
    cookie: str | None = None
    client_header: str | None = None
    keep: bool = False

    @property
    def wants_credentials(self) -> bool:
        """It does."""
        return True

    @property
    def credential_names(self) -> tuple[str, ...]:
        """The one that the config chose; cookies are never shown."""
        return tuple(filter(None, (self.header, self.query)))

    @property
    def credential_parameters(self) -> tuple[str, ...]:
        """The one that the config chose."""
        return (self.query,) if self.query is not None else ()

    def shown(self) -> Shown:
        """Returns nothing: no request shows the sum of a key."""
        return Shown()


def _sum(value: object, info: ValidationInfo) -> str:
    """Returns the SHA-256 of a key in hex, which nothing shows."""
    context = cast(Secrets, info.context)
    if (path := named_file(value)) is not None:
        key = context.private(path).encode()
        if len(key) not in _KEY_BYTES:
            raise Invalid(f'the key in "{path}" has {len(key)} bytes', "write a key of 16 to 512")
        found = sha256(key).hexdigest()
    else:
        match = _SUM.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise Invalid("this is not the sum of a key", _ALLOWED)
        found = match[1]
    context.hide(found)
    return found


def _sums(value: object, info: ValidationInfo) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise Invalid("there is no key", _ALLOWED)
    return tuple(sorted({_sum(one, info) for one in values}))


def _named(pattern: "re.Pattern[str]", what: str, allowed: str) -> PlainValidator:
    def validate(value: object) -> str:
        if isinstance(value, str) and pattern.fullmatch(value):
            return value
        raise Invalid(f"{syntax.described(value)} is not {what}", allowed)

    return PlainValidator(validate)


_SUM_SCHEMA: Final = {"anyOf": [{"type": "string", "pattern": f"^{_SUM.pattern}$"}, FILE_SCHEMA]}
Sums = Annotated[
    tuple[str, ...],
    PlainValidator(_sums),
    WithJsonSchema({"anyOf": [*_SUM_SCHEMA["anyOf"], {"type": "array", "items": _SUM_SCHEMA}]}),
]
ClientName = Annotated[
    str,
    _named(_NAME, "a client's name", "write up to 64 letters, digits, dots, hyphens, @ and _"),
    WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"}),
]
PlaceName = Annotated[
    str,
    _named(_TOKEN, "a name", "write up to 64 letters, digits, dots, hyphens and _"),
    WithJsonSchema({"type": "string", "pattern": f"^{_TOKEN.pattern}$"}),
]


class ApiKey(MiddlewareOptions):
    """Let in who sends a known key; others get 401 or 403."""

    key: ClassVar[str] = "api_key"
    summary: ClassVar[str] = "Lets in clients that send a known key."
    node = ApiKeyNode

    keys: dict[ClientName, Sums] = Field(
        min_length=1,
        description="The key of each client, or a list of keys, by the client's name. A key is "
        "`sha256:` and its SHA-256 in hex, or a file with the key itself.",
    )
    header: EditedName | None = Field(
        default=None,
        description="The header that carries the key; `x-api-key` unless `query` or `cookie` is "
        "given.",
    )
    query: PlaceName | None = Field(
        default=None, description="The query parameter that carries the key."
    )
    cookie: PlaceName | None = Field(default=None, description="The cookie that carries the key.")
    client_header: EditedName | None = Field(
        default=None,
        description="The header that tells the upstream the client's name; a header of this name "
        "that the client sends is removed.",
    )
    keep: Flag = Field(
        default=False, description="Whether the header with the key is forwarded to the upstream."
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields errors for several places, and for a key of several clients."""
        given = [key for key in _PLACES if getattr(self, key) is not None or key in wrong]
        if len(given) > 1:
            yield excluding(given, "write one of `header`, `query` and `cookie`")
        for at, name in (("header", self.header), ("client_header", self.client_header)):
            if name == "host":
                yield Invalid('"host" names the site', "write another header", at=(at,))
        if "keys" not in wrong:
            yield from _shared(self.keys)

    def to_plan(self) -> ApiKeyNode:
        """Returns the plan node."""
        header = self.header
        if header is None and self.query is None and self.cookie is None:
            header = "x-api-key"
        return ApiKeyNode(
            clients=self.keys,
            header=header,
            query=self.query,
            cookie=self.cookie,
            client_header=self.client_header,
            keep=self.keep,
        )


def _shared(keys: Mapping[str, tuple[str, ...]]) -> Iterator[Invalid]:
    owners: dict[str, str] = {}
    for name, sums in keys.items():
        for one in sums:
            before = owners.setdefault(one, name)
            if before != name:
                yield Invalid(
                    f'"{before}" and "{name}" have one key', "give each its own", at=("keys", name)
                )
