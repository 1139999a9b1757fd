"""`basic_auth`: let in who sends a name and its password."""

import re
from collections.abc import Iterator, Set
from typing import Annotated, ClassVar, Final, cast

from pydantic import Field, PlainValidator, ValidationInfo, WithJsonSchema

from headgate._core import password_hash_problem
from headgate.features.base import MiddlewareOptions
from headgate.features.fields import DurationOrOff, Flag
from headgate.features.values import FILE_SCHEMA, EditedName, Secrets, named_file
from headgate.kernel.errors import Invalid
from headgate.kernel.units import Duration
from headgate.plan.middleware import MiddlewareNode, Shown

_ALLOWED: Final = 'write "name:hash" with a bcrypt or argon2 hash (see `headgate hash-password`)'
_NAME: Final = re.compile(r"[^:\x00-\x1f\x7f-\x9f]{1,256}")
_REALM: Final = re.compile(r"[ -~]{1,100}")
_FIVE_MINUTES: Final = Duration.parse("5m")


class BasicAuthNode(MiddlewareNode, frozen=True):
    """Hashes of passwords by the name of the user; `remember_ms` 0 = not at all."""

    users: dict[str, str]
    realm: str = ""
    user_header: str | None = None
    keep: bool = False
    remember_ms: int = 0

    @property
    def wants_credentials(self) -> bool:
        """It does."""
        return True

    def shown(self) -> Shown:
        """Returns the text of the challenge."""
        return Shown(headers=(("www-authenticate", self.realm),))


def _users(value: object, info: ValidationInfo) -> dict[str, str]:
    """Returns hashes by name, of a list of lines or a file of them; nothing shows a hash."""
    context = cast(Secrets, info.context)
    if (path := named_file(value)) is not None:
        lines = [(f'line {n} of "{path}"', one) for n, one in _lines(context.private(path))]
    elif isinstance(value, list):
        lines = [(f"user {n}", one) for n, one in enumerate(value, 1)]
    else:
        raise Invalid("this is no list of users", f'{_ALLOWED}, or {{ file = "…" }}')
    found: dict[str, str] = {}
    for where, line in lines:
        name, hashed = _user(line, where)
        if name in found:
            raise Invalid(f'{where} names "{name}" again', "write each user once")
        context.hide(hashed)
        found[name] = hashed
    if not found:
        raise Invalid("there is no user", _ALLOWED)
    return found


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield number, line.strip()


def _user(line: object, where: str) -> tuple[str, str]:
    name, colon, hashed = line.partition(":") if isinstance(line, str) else ("", "", "")
    if not colon or not _NAME.fullmatch(name):
        raise Invalid(f"{where} is no user and hash", _ALLOWED)
    if wrong := password_hash_problem(hashed):
        raise Invalid(f'{where}, "{name}": {wrong.partition(";")[0]}', _ALLOWED)
    return name, hashed


def realm(value: object) -> str:
    """Returns the name of a place for people; raises `Invalid`."""
    if isinstance(value, str) and _REALM.fullmatch(value):
        return value
    raise Invalid("this is no realm", "write 1 to 100 characters of ASCII")


Users = Annotated[
    dict[str, str],
    PlainValidator(_users),
    WithJsonSchema({"anyOf": [{"type": "array", "items": {"type": "string"}}, FILE_SCHEMA]}),
]
Realm = Annotated[str, PlainValidator(realm), WithJsonSchema({"type": "string"})]


class BasicAuth(MiddlewareOptions):
    """Let in who sends a name and its password; others get 401."""

    key: ClassVar[str] = "basic_auth"
    summary: ClassVar[str] = "Lets in clients that send a user name and its password."
    node = BasicAuthNode

    users: Users = Field(
        description="The users as lines `name:hash`, or a file of such lines; hashes are bcrypt or "
        "argon2."
    )
    realm: Realm = Field(
        default="headgate", description="The realm of the challenge, which browsers show."
    )
    user_header: EditedName | None = Field(
        default=None,
        description="The header that tells the upstream the user's name; a header of this name "
        "that the client sends is removed.",
    )
    keep: Flag = Field(
        default=False,
        description="Whether the Authorization header is forwarded to the upstream.",
    )
    remember: DurationOrOff = Field(
        default=_FIVE_MINUTES,
        description="How long a correct password is remembered, so that it is not hashed again for "
        'each request; or "off".',
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields an error for a header that names the site."""
        if self.user_header == "host":
            yield Invalid('"host" names the site', "write another header", at=("user_header",))

    def to_plan(self) -> BasicAuthNode:
        """Returns the plan node."""
        return BasicAuthNode(
            users=self.users,
            realm=self.realm,
            user_header=self.user_header,
            keep=self.keep,
            remember_ms=self.remember.ms,
        )
