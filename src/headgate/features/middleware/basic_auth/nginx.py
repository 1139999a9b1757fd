"""`basic_auth` in nginx: `auth_basic` with a file of users in the release."""

from typing import Final

from headgate.features.middleware.basic_auth.spec import BasicAuthNode
from headgate.features.nginx import About, Parity
from headgate.features.nginx_chain import Answer, Asked, Chain
from headgate.features.nginx_headers import Edits
from headgate.nginxtext.writer import Literal, Var

_KEY: Final = "middlewares.NAME.basic_auth"

PARITY: Final = (
    Parity(
        f"{_KEY}.users",
        "differs",
        "bcrypt alone, argon2 is refused; a route that answers by itself after it is refused, and "
        "so is a second one in a chain; limits count before it asks",
    ),
    Parity(f"{_KEY}.realm", "same"),
    Parity(f"{_KEY}.user_header", "same"),
    Parity(f"{_KEY}.keep", "same"),
    Parity(
        f"{_KEY}.remember",
        "differs",
        "nginx remembers nothing: each request costs its worker the time of a hash",
    ),
)

_MISSING: Final = "401 Unauthorized\na name and a password are needed here\n"
_WRONG: Final = "401 Unauthorized\nthe name or the password is wrong\n"
_USER: Final = Var("remote_user")


def apply(node: BasicAuthNode, chain: Chain, about: About) -> None:
    """Has a location ask for a name and a password, or says why nginx cannot."""
    for name, hashed in node.users.items():
        if name.startswith("#"):
            about.refuse("users", f'nginx takes the line of "{name}" for a comment')
        elif hashed.startswith("$argon2"):
            command = "headgate hash-password --algorithm bcrypt"
            about.refuse("users", f'nginx has no argon2; give "{name}" a bcrypt hash (`{command}`)')
    entry = (Literal(""), Literal(_MISSING, True))
    text = chain.shared.map("asked", _USER, (entry,), Literal(_WRONG, True))
    unsaid = (Literal(""), Literal("basic-auth-missing"))
    reason = chain.shared.map("asked_reason", _USER, (unsaid,), Literal("basic-auth-refused"))
    quoted = node.realm.replace("\\", "\\\\").replace('"', '\\"')
    lines = [f"{name}:{hashed}\n" for name, hashed in sorted(node.users.items())]
    kind = "text/plain; charset=utf-8"
    answer = Answer(401, chain.filtered([]), kind, (text,), reason=reason)
    # nginx puts the realm between quotes as it is.
    chain.ask(Asked(about, f'{quoted}", charset="UTF-8', "".join(lines).encode(), answer))
    gone = () if node.keep else ("authorization",)
    told = ((node.user_header, (_USER,)),) if node.user_header is not None else ()
    chain.request.then(Edits(remove=gone, set=told))
