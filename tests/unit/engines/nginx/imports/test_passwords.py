"""`auth_basic` becomes `basic_auth` where nginx and headgate let in the same users."""

from collections.abc import Mapping

import pytest
from nginx_trees import tree_of_http

from headgate.engines.nginx.imports import proof
from headgate.engines.nginx.imports.bundle import from_files, to_files
from headgate.engines.nginx.imports.imported import Imported
from headgate.engines.nginx.imports.objects import NotExpressibleError, Table, items_in
from headgate.engines.nginx.imports.passwords import check_users
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.engines.nginx.imports.rerender import rerender
from headgate.nginxtext.dump import DumpedFiles
from headgate.nginxtext.includes import load

HASH = "$2b$04$0e856lVe4ANgjk9VYQGbvufRaupb9zxuOKCW5n9uFCwbWH9pMRuYW"
ALICE = f"alice:{HASH}\n"
ASKED = 'auth_basic "the staff"; auth_basic_user_file users;'
PASSED = "proxy_pass http://10.0.0.1;"


class Files:
    """Files of users, by their paths."""

    def __init__(self, text: str = ALICE) -> None:
        self._files: Mapping[str, str] = {"/etc/nginx/users": text, "/etc/others": ALICE}

    def __call__(self, path: str) -> bytes:
        """A file's bytes."""
        try:
            return self._files[path].encode()
        except KeyError:
            raise FileNotFoundError(2, "No such file or directory", path) from None


def imported(server: str, users: str = ALICE) -> Imported:
    """The import of a server, proved."""
    tree = tree_of_http(f"server {{ {server} }}")
    one = from_files(to_files(import_tree(tree, Files(users))))
    assert proof.lost(tree, one) == ()
    again = import_tree(load(tree.entry, DumpedFiles(rerender(one))), Files(users))
    assert proof.same_model(one, again)
    return one


def routes(one: Imported) -> dict[str, Table]:
    return {item.name: item.table for item in one.objects if item.section == "routes"}


def middlewares(one: Imported) -> dict[str, Table]:
    return {item.name: item.table for item in one.objects if item.section == "middlewares"}


def test_locations_share_one_middleware_and_may_ask_nobody() -> None:
    one = imported(
        f"{ASKED} location / {{ {PASSED} }} location /a/ {{ {PASSED} allow ::1; deny all; }}"
        f" location /b/ {{ {PASSED} auth_basic off; }} location /c/ {{ return 204; }}"
        f" location /d/ {{ {PASSED} auth_basic others; auth_basic_user_file /etc/others; }}"
    )
    found = middlewares(one)
    staff, others = sorted(found, key=lambda name: "others" in name)
    assert found[staff] == {
        "basic_auth": {
            "realm": "the staff",
            "users": {"file": "/etc/nginx/users"},
            "keep": True,
        }
    }
    assert found[others]["basic_auth"] == {
        "realm": "others",
        "users": {"file": "/etc/others"},
        "keep": True,
    }
    chains = {name: items_in(route, "middlewares") for name, route in routes(one).items()}
    assert staff in chains["default"]
    access, asked, *_ = chains["default-a"]
    assert (access, asked) == ({"ip_access": {"allow": ["::1"]}}, staff)
    assert staff not in chains["default-b"]
    assert others not in chains["default-b"]
    assert not chains["default-c"]
    assert others in chains["default-d"]


def test_an_answer_of_401_has_the_headers_of_its_location() -> None:
    one = imported(f'location / {{ {PASSED} {ASKED} add_header X-A "b" always; }}')
    (route,) = routes(one).values()
    first, second, *_ = items_in(route, "middlewares")
    assert first == {"response_headers": {"add": {"x-a": "b"}}}
    assert second in middlewares(one)


@pytest.mark.parametrize(
    ("server", "users", "why"),
    [
        (f"location / {{ {PASSED} auth_basic x; }}", ALICE, "asks nobody"),
        (f"auth_basic $host; location / {{ {PASSED} }}", ALICE, "with variables"),
        (f"auth_basic 'a\"b'; location / {{ {PASSED} }}", ALICE, "with quotes"),
        (f"auth_basic ''; location / {{ {PASSED} }}", ALICE, "this is no realm"),
        (f"{ASKED} satisfy any; location / {{ {PASSED} }}", ALICE, "`satisfy`"),
        (f"{ASKED} error_page 401 /x; location / {{ {PASSED} }}", ALICE, "error_page"),
        (
            f"auth_basic x; auth_basic_user_file gone; location / {{ {PASSED} }}",
            ALICE,
            "/etc/nginx/gone: No such file or directory",
        ),
        (f"{ASKED} location / {{ {PASSED} }}", "alice:{SHA}x\n", "users:1: the hash is not bcrypt"),
    ],
)
def test_what_is_asked_otherwise_is_kept_with_its_reason(server: str, users: str, why: str) -> None:
    one = imported(server, users)
    assert any(why in fate.why for fate in one.fates), [fate.why for fate in one.fates]
    assert all("not_imported" in route for route in routes(one).values())
    assert "$2b$" not in str(to_files(one))


def test_without_the_files_of_users_nothing_is_known_of_them() -> None:
    tree = tree_of_http(f"server {{ {ASKED} location / {{ {PASSED} }} }}")
    one = import_tree(tree)
    assert any("the file of users is not at hand" in fate.why for fate in one.fates)


@pytest.mark.parametrize(
    "text",
    [ALICE, f"# staff\n\n{ALICE}bob:{HASH}", f"alice:{HASH}\r\n", f"älice.b@c:{HASH}\n"],
)
def test_users_that_both_let_in(text: str) -> None:
    check_users("u", lambda _: text.encode())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "there is no user"),
        ("alice\n", "not bcrypt"),
        ("alice:$apr1$x$y\n", "u:1: the hash is not bcrypt"),
        ("alice:$argon2id$v=19$m=19456,t=2,p=1$YWFhYWFhYWE$YWFhYWFhYWE\n", "does not know argon2"),
        # nginx takes it with the hash, and never finds it equal.
        (f"alice:{HASH} \n", "not a name and a whole bcrypt hash"),
        (f"alice:{HASH}:a comment\n", "not a name and a whole bcrypt hash"),
        (f"alice:{HASH[:-1]}X\n", "not a name and a whole bcrypt hash"),
        (f"alice:{HASH[:28]}v{HASH[29:]}\n", "not a name and a whole bcrypt hash"),
        (f"alice:{HASH.replace('$04$', '$17$')}\n", "out of range"),
        (f"alice:{HASH}\nalice:{HASH}\n", "u:2: the user has another line above"),
        (f" alice:{HASH}\n", "u:1"),
        (f"bob:x\r{ALICE}", "line ends"),
        (f"bob:{HASH}\x0b{ALICE}", "line ends"),
        (f"bob:{HASH}\u2028{ALICE}", "line ends"),
    ],
)
def test_users_that_are_not_the_same_for_both(text: str, why: str) -> None:
    with pytest.raises(NotExpressibleError, match=why):
        check_users("u", lambda _: text.encode())
