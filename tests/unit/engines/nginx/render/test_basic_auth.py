"""Passwords in nginx's words, and what of them nginx cannot do."""

from pathlib import Path, PurePath

import pytest
from memory_files import MemoryFiles
from nginx_engine import NotRenderedError, expressed, target

from headgate.cli.nginx.show_files import printed
from headgate.compile.load import load
from headgate.engines.nginx.common.types import Capabilities, Rendered

ACCEPTED = Path(__file__).parents[4] / "golden" / "nginx" / "accepted.txt"
DEBIAN_12 = Capabilities("", "", "", frozenset(ACCEPTED.read_text(encoding="utf-8").split()))
HASH = "$2b$04$0e856lVe4ANgjk9VYQGbvufRaupb9zxuOKCW5n9uFCwbWH9pMRuYW"
ARGON2 = "$argon2id$v=19$m=19456,t=2,p=1$YWFhYWFhYWFhYWFhYWFhYQ$YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh"
FORWARD = 'upstream = "u"'


def asks(users: str = f"alice:{HASH}", more: str = "") -> str:
    return f'{{ basic_auth = {{ users = ["{users}"], realm = "the staff"{more} }} }}'


def rendered(
    *chain: str, route: str = FORWARD, has: Capabilities = DEBIAN_12, extra: str = ""
) -> Rendered:
    """A release whose one route has these middlewares, each as TOML of an inline table."""
    text = (
        '[listeners.web]\naddress = "127.0.0.1:1"\ndefault = true\n'
        f"[routes.r]\nmiddlewares = [{', '.join(chain)}]\n{route}\n"
        f'[upstreams.u]\nendpoints = ["127.0.0.1:1"]\n{extra}'
    )
    found = load([PurePath("c.toml")], MemoryFiles({"c.toml": text}), {})
    assert found.plan is not None, [str(one) for one in found.errors]
    return expressed(found, target("/state/nginx", has))


def text_of(made: Rendered) -> str:
    return b"".join(f.content for f in made.files if f.path.endswith(".conf")).decode()


def users_of(made: Rendered) -> dict[str, tuple[bytes, int]]:
    return {f.path: (f.content, f.mode) for f in made.files if f.path.startswith("users/")}


def test_a_route_asks_for_a_password_of_a_private_file() -> None:
    made = rendered(asks(more=', user_header = "x-user"'))
    ((path, (content, mode)),) = users_of(made).items()
    assert content == f"alice:{HASH}\n".encode()
    assert mode == 0o640
    text = text_of(made)
    location = text[text.index("# route r") :]
    assert 'auth_basic "the staff\\", charset=\\"UTF-8";' in location
    assert f"auth_basic_user_file {path};" in location
    assert 'proxy_set_header authorization "";' in location
    assert 'proxy_set_header x-user "${remote_user}";' in location
    assert text.count("auth_basic_user_file") == 1


def test_the_file_has_one_name_in_every_release_and_nothing_shows_it() -> None:
    first = rendered(asks())
    second = rendered(asks(f"bob smith:{HASH}"))
    assert users_of(first).keys() == users_of(second).keys()
    for made in (first, second):
        assert HASH not in printed(made, is_json=False)
        assert HASH not in printed(made, is_json=True)


def test_named_middlewares_share_a_file() -> None:
    named = f'[middlewares.m.basic_auth]\nusers = ["alice:{HASH}"]\n'
    again = '[routes.other]\nhosts = ["b.example"]\nmiddlewares = ["m"]\nupstream = "u"\n'
    assert len(users_of(rendered('"m"', extra=named + again))) == 1


@pytest.mark.parametrize(
    ("chain", "path", "why"),
    [
        ([asks(f"alice:{ARGON2}")], "basic_auth.users", 'no argon2; give "alice"'),
        ([asks(f"#a:{HASH}")], "basic_auth.users", "for a comment"),
        ([asks(), "{ respond = { status = 200 } }"], "basic_auth", "answers by itself"),
        ([asks(), asks()], "basic_auth", "one password"),
    ],
)
def test_what_nginx_cannot_do_is_refused_by_name(chain: list[str], path: str, why: str) -> None:
    with pytest.raises(NotRenderedError) as caught:
        rendered(*chain)
    problems = caught.value.found
    assert any(one.path.endswith(path) and why in one.message for one in problems), problems
    assert not any("$2b$" in one.message or "$argon2id" in one.message for one in problems)


def test_a_route_that_answers_by_itself_is_refused() -> None:
    with pytest.raises(NotRenderedError):
        rendered(asks(), route="respond = { status = 204 }")


def test_an_nginx_without_the_module_is_refused() -> None:
    less = Capabilities("", "", "", DEBIAN_12.accepted - {"auth_basic"})
    with pytest.raises(NotRenderedError):
        rendered(asks(), has=less)
