"""`node.limit_store` and limits across nodes: what becomes of them, and what is refused where."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.kernel.ids import ObjectName
from headgate.plan.digest import blob_id
from headgate.plan.kinds import ObjectKey
from headgate.plan.settings import LimitStore, OutletTls, Settings

BASE = """
[listeners.web]
address = "127.0.0.1:8000"
default = true
[routes.all]
respond = { status = 204 }
"""
ACROSS = '[middlewares.few.rate_limit]\nrate = "1/s"\nacross = "nodes"\n'
FILES: dict[str, str | bytes] = {
    "key": "s3cret\n",
    "two": "a\nb",
    "ca": "-----BEGIN CERTIFICATE-----\n",
}


def loaded(rest: str) -> Loaded:
    return load([PurePath("a.toml")], MemoryFiles(FILES | {"a.toml": BASE + rest}), {"P": "envy"})


def store(rest: str) -> LimitStore | None:
    found = loaded(f"[node.limit_store]\n{rest}\n")
    assert found.plan is not None, [str(one) for one in found.errors]
    value = found.plan.objects[ObjectKey("settings", ObjectName("node"))].value
    assert isinstance(value, Settings)
    return value.limit_store


@pytest.mark.parametrize(
    ("url", "address", "database"),
    [
        ("redis://s", "s:6379", 0),
        ("redis://s/", "s:6379", 0),
        ("redis://10.0.0.1:7000/3", "10.0.0.1:7000", 3),
        ("redis://[::1]:7000", "[::1]:7000", 0),
    ],
)
def test_a_url_is_an_address_and_a_database(url: str, address: str, database: int) -> None:
    assert store(f'url = "{url}"\nnodes = 3') == LimitStore(
        address=address, nodes=3, database=database
    )


def test_a_store_with_tls_has_it_with_defaults_and_its_files_are_blobs() -> None:
    assert store('url = "rediss://s"\nnodes = 3') == LimitStore(
        address="s:6379", nodes=3, tls=OutletTls()
    )
    lines = 'url = "rediss://s"\nnodes = 3\ntls = { ca_file = "ca", verify_name = "a.example" }'
    made = store(lines)
    assert made is not None and made.tls is not None
    assert (made.tls.verify_name, made.tls.ca) == ("a.example", blob_id(str(FILES["ca"]).encode()))
    found = loaded(f"[node.limit_store]\n{lines}\n")
    assert found.plan is not None
    assert found.plan.blobs() == set(found.blobs) == {made.tls.ca}


def test_a_password_from_anywhere_is_hidden() -> None:
    base = '[node.limit_store]\nurl = "redis://s"\nnodes = 1\nusername = "u"\npassword = '
    for written, secret in [
        ('{ file = "key" }', "s3cret"),
        ('"written"', "written"),
        ('"${env:P}"', "envy"),
    ]:
        assert secret in loaded(base + written).secrets
    found = store('url = "redis://s"\nnodes = 1\nusername = "u"\npassword = { file = "key" }')
    assert found is not None and (found.username, found.password) == ("u", "s3cret")


def test_files_of_settings_lie_beside_their_documents() -> None:
    files: dict[str, str | bytes] = {
        "/a/token": "0123456789abcdef\n",
        "/a/a.toml": BASE + '[node]\nadmin_token = { file = "token" }\n',
        "/b/key": "k\n",
        "/b/b.toml": '[node.tracing]\nendpoint = "http://c"\nheaders = { x = { file = "key" } }\n',
        "/c/key": "of-the-store\n",
        "/c/c.toml": '[node.limit_store]\nurl = "redis://s"\nnodes = 1\n'
        'password = { file = "key" }\n',
    }
    paths = [PurePath(f"/{name}/{name}.toml") for name in "abc"]
    found = load(paths, MemoryFiles(files), {})
    assert found.plan is not None, [str(one) for one in found.errors]
    assert found.secrets >= {"k", "of-the-store"}


@pytest.mark.parametrize(
    ("written", "place", "wrong"),
    [
        ('url = "redis://s"\nnodes = 1\ntls = {}', "tls", "has no TLS"),
        (
            'url = "rediss://s"\nnodes = 1\ntls = { cert_file = "ca" }',
            "tls.cert_file",
            "needs `key_file`",
        ),
        ('url = "rediss://s"\nnodes = 1\ntls = { ca_file = "two" }', "tls.ca_file", "certificate"),
        ('url = "redis://u:p@s"\nnodes = 1', "url", "no user or password"),
        ('url = "http://s"\nnodes = 1', "url", "is not the URL of a store"),
        ('url = "redis://s:0"\nnodes = 1', "url", "is not the URL of a store"),
        ('url = "redis://s/x"\nnodes = 1', "url", "is not the URL of a store"),
        ('url = "redis://s"\nnodes = 0', "nodes", ""),
        ('url = "redis://s"', "", 'the key "nodes" is missing'),
        ('url = "redis://s"\nnodes = 1\ntimeout = "11s"', "timeout", "out of range"),
        ('url = "redis://s"\nnodes = 1\nprefix = "a b"', "prefix", "is not a prefix"),
        ('url = "redis://s"\nnodes = 1\nusername = "u"', "username", "needs a password"),
        ('url = "redis://s"\nnodes = 1\npassword = "a b"', "password", "is not a password"),
        ('url = "redis://s"\nnodes = 1\npassword = { file = "two" }', "password", "not a password"),
    ],
)
def test_what_is_no_store_is_one_error_at_its_place(written: str, place: str, wrong: str) -> None:
    (error,) = loaded(f"[node.limit_store]\n{written}\n").errors
    assert f"node.limit_store{place and '.'}{place}: " in str(error)
    assert wrong in str(error)


def test_a_limit_across_nodes_needs_a_store() -> None:
    (error,) = loaded(ACROSS).errors
    assert "middlewares.few.rate_limit.across: no store is configured" in str(error)
    inline = '[routes.b]\nmatch = [{ path = { prefix = "/b" } }]\nrespond = { status = 204 }\n'
    inline += 'middlewares = [{ rate_limit = { rate = "1/s", across = "nodes" } }]\n'
    (error,) = loaded(inline).errors
    assert "routes.b.middlewares[0].rate_limit.across: no store is configured" in str(error)
    assert not loaded(ACROSS + inline + '[node.limit_store]\nurl = "redis://s"\nnodes = 1\n').errors


def test_a_policy_needs_a_limit_across_nodes() -> None:
    (error,) = loaded('[middlewares.few.rate_limit]\nrate = "1/s"\nwhen_away = "open"\n').errors
    assert "middlewares.few.rate_limit.when_away: a limit of one node asks no store" in str(error)
