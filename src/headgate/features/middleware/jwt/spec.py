"""`jwt`: let in who sends a signed token."""

from collections.abc import Iterator, Set
from typing import Annotated, ClassVar, Final, Self

import msgspec
from pydantic import BeforeValidator, Field, WithJsonSchema

from headgate.features.base import MiddlewareOptions, StandIn, excluding
from headgate.features.fields import DurationText, Flag
from headgate.features.middleware.api_key.spec import PlaceName
from headgate.features.middleware.basic_auth.spec import Realm
from headgate.features.middleware.jwt.keys import MISSING, Keys
from headgate.features.values import DISTINCT_HEADERS, EditedName
from headgate.kernel.errors import Invalid
from headgate.kernel.units import Duration
from headgate.plan.middleware import MiddlewareNode, Respond, Shown

_MOST_LEEWAY_MS: Final = 300_000
_MINUTE: Final = Duration.parse("60s")
_PLACES: Final = ("header", "query", "cookie")
_NO_KEYS: Final = "jwt-keys-missing"
"""The reason of the answer while there are no keys."""


class JwtNode(MiddlewareNode, frozen=True):
    """A JWK set, what tokens must say, and which of it goes into which header."""

    keys: str
    issuers: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    leeway_s: int = 0
    required: tuple[str, ...] = ()
    allowed: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    header: str | None = None
    query: str | None = None
    cookie: str | None = None
    realm: str = ""
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

    @property
    def gives_claims(self) -> bool:
        """Those of the token."""
        return True

    def lasting(self) -> Self:
        """Returns it without the keys: a set from a URL changes as its server wants."""
        return msgspec.structs.replace(self, keys="")

    def shown(self) -> Shown:
        """Returns the text of the challenge."""
        return Shown(headers=(("www-authenticate", self.realm),))


def _list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Text = Annotated[str, Field(min_length=1, max_length=1024)]
_TEXT_SCHEMA: Final = {"type": "string", "minLength": 1, "maxLength": 1024}
Texts = Annotated[
    list[Text],
    BeforeValidator(_list),
    WithJsonSchema({"anyOf": [{"type": "array", "items": _TEXT_SCHEMA}, _TEXT_SCHEMA]}),
]


class Jwt(MiddlewareOptions):
    """Let in who sends a signed token; others get 401 or 403."""

    key: ClassVar[str] = "jwt"
    summary: ClassVar[str] = "Lets in clients that send a signed token."
    node = JwtNode

    keys: Keys = Field(
        description="A JWK set, as JSON text, in a file, or from a URL. Each key has one "
        "algorithm: its `alg`, else that of its curve, else RS256. A set with secrets must be in a "
        "file."
    )
    issuer: Texts = Field(
        default_factory=list, description="The issuers (`iss`) that are accepted; empty = any."
    )
    audience: Texts = Field(
        default_factory=list,
        description="The audiences (`aud`) that are accepted; a token must be for one of them. "
        "Empty = tokens for any audience, and tokens without one.",
    )
    leeway: DurationText = Field(
        default=_MINUTE, description="How far clocks may differ, at most 5 minutes."
    )
    required: list[Text] = Field(
        default_factory=lambda: ["exp"],
        description="Claims that a token must have; `/a/b` is a claim inside another one.",
    )
    allowed: dict[Text, Texts] = Field(
        default_factory=dict,
        description="The accepted values of claims, by claim: the claim must have one of them or, "
        "if it is a list, contain one; `scope` is a list of words separated by spaces. Other "
        "tokens get 403.",
    )
    claims: Annotated[dict[EditedName, Text], DISTINCT_HEADERS] = Field(
        default_factory=dict,
        description="Claims that are sent to the upstream, by the name of the header. Headers of "
        "these names that the client sends are removed.",
    )
    header: EditedName | None = Field(
        default=None,
        description="The header that carries the token; `authorization`, after `Bearer`, unless "
        "`query` or `cookie` is given.",
    )
    query: PlaceName | None = Field(
        default=None, description="The query parameter that carries the token."
    )
    cookie: PlaceName | None = Field(default=None, description="The cookie that carries the token.")
    realm: Realm = Field(default="headgate", description="The realm of challenges.")
    keep: Flag = Field(
        default=False, description="Whether the header with the token is forwarded to the upstream."
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields errors for several places, long leeways and headers that name the site."""
        given = [key for key in _PLACES if getattr(self, key) is not None or key in wrong]
        if len(given) > 1:
            yield excluding(given, "write one of `header`, `query` and `cookie`")
        if self.leeway.ms > _MOST_LEEWAY_MS:
            yield Invalid("the leeway is too long", "write at most 5m", at=("leeway",))
        if self.header == "host":
            yield Invalid('"host" names the site', "write another header", at=("header",))
        if "host" in self.claims:
            yield Invalid('"host" names the site', "write another header", at=("claims", "host"))

    def stand_in(self) -> StandIn | None:
        """Returns an answer for everybody while a set that is fetched was never there."""
        if self.keys != MISSING:
            return None
        why = "the keys that tokens are signed with were not fetched yet"
        headers = {
            "content-type": "text/plain; charset=utf-8",
            "proxy-status": f'headgate; error=destination_unavailable; details="{_NO_KEYS}"',
        }
        body = f"503 Service Unavailable\n{_NO_KEYS}: {why}\n"
        return StandIn("respond", Respond(status=503, body=body, headers=headers))

    def to_plan(self) -> JwtNode:
        """Returns the plan node."""
        header = self.header
        if header is None and self.query is None and self.cookie is None:
            header = "authorization"
        return JwtNode(
            keys=self.keys,
            issuers=tuple(self.issuer),
            audiences=tuple(self.audience),
            leeway_s=self.leeway.ms // 1000,
            required=tuple(self.required),
            allowed={claim: tuple(values) for claim, values in self.allowed.items()},
            headers=self.claims,
            header=header,
            query=self.query,
            cookie=self.cookie,
            realm=self.realm,
            keep=self.keep,
        )
