"""`cors`: which pages of other origins may read the answers."""

from collections.abc import Iterator, Sequence, Set
from typing import Annotated, ClassVar

from pydantic import Field, PlainValidator, WithJsonSchema

from headgate.features import syntax
from headgate.features.base import MiddlewareOptions
from headgate.features.expressions import Pattern
from headgate.features.fields import DurationText, Flag
from headgate.features.middleware.cors.origins import Origin
from headgate.kernel.errors import Invalid
from headgate.kernel.units import Duration
from headgate.plan.middleware import DefaultedMiddlewareNode, Shown

ANY = "*"
METHODS = ("GET", "HEAD", "POST")
"""The methods that a page may use without asking (Fetch standard §2.2.1), as the default."""
MAX_AGE_S = 600


class CorsNode(DefaultedMiddlewareNode, frozen=True):
    """The pages that may read answers; `*` = any; times in seconds."""

    origins: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    methods: tuple[str, ...] = METHODS
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    credentials: bool = False
    max_age_s: int = MAX_AGE_S

    @property
    def answers_preflights(self) -> bool:
        """It does."""
        return True

    def shown(self) -> Shown:
        """Returns no texts: none of them comes from a secret's file."""
        return Shown()


def _method(value: object) -> str:
    if not isinstance(value, str):
        raise Invalid(f"{syntax.described(value)} is not a method", syntax.METHOD_ALLOWED)
    return value if value == ANY else syntax.method(value)


def _header(value: object) -> str:
    if not isinstance(value, str):
        raise Invalid(f"{syntax.described(value)} is not a header name", syntax.HEADER_NAME_ALLOWED)
    return value if value == ANY else syntax.header_name(value)


_Method = Annotated[
    str, PlainValidator(_method), WithJsonSchema({"type": "string", "format": "method"})
]
_Header = Annotated[
    str, PlainValidator(_header), WithJsonSchema({"type": "string", "format": "header-name"})
]


class Cors(MiddlewareOptions):
    """Let pages of other origins read the answers; their preflights are answered by the node."""

    key: ClassVar[str] = "cors"
    summary: ClassVar[str] = "Lets pages of other origins read the responses."
    node = CorsNode

    allow_origins: list[Origin] = Field(
        default_factory=list,
        description="The allowed origins of pages: `https://app.example.com`; "
        "`https://*.example.com` for every name below a host; `null`; `*` for all, which excludes "
        "`allow_credentials`.",
    )
    allow_origin_patterns: list[Pattern] = Field(
        default_factory=list,
        description="Expressions for allowed origins; each must match the whole origin.",
    )
    allow_methods: list[_Method] = Field(
        default=list(METHODS), description="Methods that pages may use; `*` for all."
    )
    allow_headers: list[_Header] = Field(
        default_factory=list,
        description="Request headers that pages may set, besides those that need no permission; "
        "`*` for all.",
    )
    expose_headers: list[_Header] = Field(
        default_factory=list,
        description="Response headers that pages may read, besides those that need no permission; "
        "`*` for all, which excludes `allow_credentials`.",
    )
    allow_credentials: Flag = Field(
        default=False, description="Whether pages may send cookies and other credentials."
    )
    max_age: DurationText = Field(
        default=Duration(MAX_AGE_S * 1000),
        description="How long browsers may cache the response to a preflight.",
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields an error unless an origin and a method are allowed, and credentials are named."""
        given = {*self.model_fields_set, *wrong}
        if not {"allow_origins", "allow_origin_patterns"} & given and self.may_lack(wrong):
            yield Invalid(
                "no origin is allowed", 'write "allow_origins" or "allow_origin_patterns"'
            )
        for key in ("allow_origins", "allow_methods"):
            if key in self.model_fields_set and not getattr(self, key):
                yield Invalid("the list is empty", "write at least one", at=(key,))
        if ANY in self.allow_origins and len(self.allow_origins) > 1:
            yield Invalid('"*" is every origin', "write it alone", at=("allow_origins",))
        if self.allow_credentials:
            yield from self._named()

    def _named(self) -> Iterator[Invalid]:
        """Yields an error for what browsers do not take together with credentials."""
        if ANY in self.allow_origins:
            yield Invalid(
                'browsers take no credentials with "*"', "write the origins", at=("allow_origins",)
            )
        if "null" in self.allow_origins:
            yield Invalid(
                'any page can be of the origin "null"',
                "leave it out, or the credentials",
                at=("allow_origins",),
            )
        if ANY in self.expose_headers:
            yield Invalid(
                'with credentials "*" is the name of a header',
                "write the names",
                at=("expose_headers",),
            )

    def to_plan(self) -> CorsNode:
        """Returns the plan node."""
        return CorsNode(
            origins=_sorted(self.allow_origins),
            patterns=_sorted(self.allow_origin_patterns),
            methods=tuple(self.allow_methods),
            headers=_sorted(self.allow_headers),
            expose=_sorted(self.expose_headers),
            credentials=self.allow_credentials,
            max_age_s=self.max_age.ms // 1000,
        )


def _sorted(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(set(texts)))
