"""Converts `auth_basic` to `basic_auth`, and back.

The file of users stays where it is: both read it. nginx knows hashes that headgate does not, and
the other way round; a file becomes model if both let in the same users.
"""

import posixpath
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final, NamedTuple

from headgate._core import password_hash_problem
from headgate.engines.nginx.imports import returns, values
from headgate.engines.nginx.imports.around import Around, UserFiles
from headgate.engines.nginx.imports.objects import (
    NotExpressibleError,
    Table,
    Toml,
    items_in,
    table_in,
)
from headgate.features.middleware.basic_auth.spec import realm as checked_realm
from headgate.kernel.errors import Invalid
from headgate.nginxtext.tree import Directive
from headgate.nginxtext.writer import FilePath, Literal, directive

KIND: Final = "basic_auth"
NAMES: Final = frozenset({"auth_basic", "auth_basic_user_file"})
UNASKED: Final = "401"

_OFF: Final = b"off"
_BCRYPT: Final = r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{30}[.CGKOSWaeimquy26]"
"""A hash as crypt(3) writes it, which is the only form that nginx ever finds equal: bits that stand
for nothing are zero."""
_LINE: Final = re.compile(rf"(?P<name>(?!#)[^:\s\x00-\x1f\x7f-\x9f]{{1,256}}):(?P<hash>{_BCRYPT})")

_DIGEST: Final = 8


class Asked(NamedTuple):
    """A named middleware."""

    name: str
    table: Table


def asked_of(around: Around) -> Asked | None:
    """Returns who a location asks for a password; None if it asks nobody.

    Raises `NotExpressibleError`.
    """
    realms = around.nearest(b"auth_basic")
    if not realms or realms[0].directive.values == (_OFF,):
        return None
    realm = _realm(realms[0].directive)
    files = around.nearest(b"auth_basic_user_file")
    if not files:
        raise NotExpressibleError("`auth_basic` without `auth_basic_user_file` asks nobody")
    path = _path(files[0].directive, around.prefix)
    check_users(path, around.users)
    returns.check_error_pages(UNASKED, around)
    digest = sha256(f"{realm}\n{path}".encode()).hexdigest()[:_DIGEST]
    table: dict[str, Toml] = {"realm": realm, "users": {"file": path}, "keep": True}
    return Asked(f"{_slug(posixpath.basename(path))}-{digest}", {KIND: table})


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-") or "users"


def _realm(line: Directive) -> str:
    text = values.text(line.values[0]) if line.args else ""
    if "$" in text:
        raise NotExpressibleError("`auth_basic` with variables has no counterpart")
    if '"' in text or "\\" in text:
        raise NotExpressibleError("`auth_basic` with quotes has no counterpart")
    try:
        return checked_realm(text)
    except Invalid as error:
        raise NotExpressibleError(f"`auth_basic`: {error}") from None


def _path(line: Directive, prefix: str) -> str:
    text = values.text(line.values[0]) if line.args else ""
    if not text or "$" in text:
        raise NotExpressibleError("`auth_basic_user_file` is not a file of a fixed name")
    return posixpath.join(prefix, text)


def check_users(path: str, read: UserFiles | None) -> None:
    """Raises `NotExpressibleError` unless nginx and headgate read the same users in a file."""
    if read is None:
        raise NotExpressibleError(f"{path}: the file of users is not at hand")
    try:
        data = read(path)
    except OSError as error:
        raise NotExpressibleError(f"{path}: {error.strerror}") from None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise NotExpressibleError(f"{path}: the file of users is not UTF-8") from None
    lines = text.split("\n")
    if [line.removesuffix("\r") for line in lines] != [*text.splitlines(), ""][: len(lines)]:
        raise NotExpressibleError(f"{path}: it has line ends that nginx does not know")
    _check_lines(path, enumerate((line.removesuffix("\r") for line in lines), 1))


def _check_lines(path: str, lines: Iterable[tuple[int, str]]) -> None:
    names: set[str] = set()
    for number, line in lines:
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise NotExpressibleError(f"{path}:{number}: {_why(line)}")
        if wrong := password_hash_problem(found["hash"]):
            raise NotExpressibleError(f"{path}:{number}: {wrong.partition(';')[0]}")
        if found["name"] in names:
            raise NotExpressibleError(f"{path}:{number}: the user has another line above")
        names.add(found["name"])
    if not names:
        raise NotExpressibleError(f"{path}: there is no user")


def _why(line: str) -> str:
    hashed = line.partition(":")[2]
    if hashed.startswith("$argon2"):
        return "nginx does not know argon2, so this user is not let in there"
    if re.match(r"\$2[aby]\$", hashed):
        return "the line is not a name and a whole bcrypt hash"
    return "the hash is not bcrypt; make one with `htpasswd -B`"


def notes_of(found: Asked | None) -> tuple[str, ...]:
    """Returns what differs."""
    if found is None:
        return ()
    return (
        "`auth_basic`: the challenge says `charset` here, and the page of the answer 401 is ours",
        "`auth_basic_user_file`: a change of the file is seen with a reload here",
    )


def to_nginx(route: Table, asked: Mapping[str, Table]) -> list[Directive]:
    """Returns the lines of a route's `basic_auth`, one of the named middlewares; the inverse."""
    for name in items_in(route, "middlewares"):
        table = asked.get(name, {}) if isinstance(name, str) else {}
        if KIND in table:
            own = table_in(table, KIND)
            path = str(table_in(own, "users")["file"])
            return [
                directive("auth_basic", Literal(str(own["realm"]))),
                directive("auth_basic_user_file", FilePath(path)),
            ]
    return []
