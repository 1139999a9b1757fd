"""What a rollback takes over from the newer release, and what it leaves alone."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath

import pytest
from memory_files import MemoryFiles
from nginx_engine import expressed, target
from odd_certificates import version_2
from tls_authority import Authority, Pair
from work import faster_than

from headgate.compile.load import load
from headgate.engines.nginx.apply.carry import NotCarriedError, carried, leaf_in, to_carry
from headgate.engines.nginx.common.types import (
    Capabilities,
    Generation,
    Mode,
    Rendered,
    RenderedFile,
)
from headgate.engines.nginx.releases.store import Release, Store

NAME = "a.example"
ACCEPTED = Path(__file__).parents[4] / "golden" / "nginx" / "accepted.txt"
DEBIAN_12 = Capabilities("", "", "", frozenset(ACCEPTED.read_text(encoding="utf-8").split()))
HASH = "$2b$04$0e856lVe4ANgjk9VYQGbvufRaupb9zxuOKCW5n9uFCwbWH9pMRuYW"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "nginx")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def named(stem: str, end: str, content: bytes) -> tuple[str, bytes]:
    return f"{stem}-{hashlib.sha256(content).hexdigest()[:12]}{end}", content


def stage(
    store: Store, generation: int, cert: bytes, key: bytes, *, staple: bytes = b"", users: bytes
) -> Release:
    files = dict(
        [
            named("certs/shop", ".pem", cert),
            named("certs/shop", ".key", key),
            ("users/shop.htpasswd", users),
            *([named("certs/shop", ".ocsp", staple)] if staple else []),
        ]
    )
    paths = list(files)
    text = (
        f"http {{ server {{ ssl_certificate {paths[0]}; ssl_certificate_key {paths[1]};"
        f" auth_basic_user_file {paths[2]};"
        f" {f'ssl_stapling_file {paths[3]};' if staple else ''} }} }}"
    )
    files["nginx.conf"] = text.encode()
    files["generation.conf"] = f'map "" $g {{ default "{generation}"; }} # 1{generation}'.encode()
    rendered = Rendered(
        files=tuple(RenderedFile(path, content) for path, content in files.items()), listeners=()
    )
    return store.stage(rendered, Generation(generation))


def read(pair: Pair) -> tuple[bytes, bytes]:
    return pair.cert_file.read_bytes(), pair.key_file.read_bytes()


def taken(older: Release, newer: Release) -> set[str]:
    return {path.partition("-")[0] + Path(path).suffix for path in to_carry(older, newer).paths}


def test_a_renewed_pair_and_other_users_are_taken(store: Store, authority: Authority) -> None:
    old, new = authority.issue("old", NAME, days=5), authority.issue("new", NAME, days=50)
    older = stage(store, 6, *read(old), users=b"ann\nbob\n")
    newer = stage(store, 7, *read(new), users=b"ann\n")
    what = to_carry(older, newer)
    made = carried(store, older, newer, what, Generation(8))
    before = {file.path: file.content for file in store.read(older.name).files}
    after = {file.path: file.content for file in made.files}
    assert after.keys() == before.keys(), "paths stay, since the config names them"
    assert {*read(new), b"ann\n"} <= set(after.values())
    assert after["generation.conf"] == b'map "" $g { default "8"; } # 16'
    assert after["nginx.conf"] == before["nginx.conf"]
    assert len(what.leaves) == 1


def test_what_is_the_same_or_ends_earlier_is_not_taken(store: Store, authority: Authority) -> None:
    long, short = authority.issue("long", NAME, days=50), authority.issue("short", NAME, days=5)
    older = stage(store, 6, *read(long), users=b"ann\n")
    assert taken(older, stage(store, 7, *read(long), users=b"ann\n")) == set()
    assert taken(older, stage(store, 8, *read(short), users=b"ann\n")) == set()


def test_a_pair_that_does_not_fit_is_not_taken(store: Store, authority: Authority) -> None:
    old, new = authority.issue("old", NAME, days=5), authority.issue("new", NAME, days=50)
    older = stage(store, 6, *read(old), users=b"ann\n")
    newer = stage(store, 7, read(new)[0], read(old)[1], users=b"ann\n")
    assert taken(older, newer) == set()


def test_a_pair_is_not_taken_to_be_served_with_anothers_ocsp_response(
    store: Store, authority: Authority
) -> None:
    old, new = authority.issue("old", NAME, days=5), authority.issue("new", NAME, days=50)
    older = stage(store, 6, *read(old), staple=b"one", users=b"ann\n")
    without = stage(store, 7, *read(new), users=b"ann\n")
    assert taken(older, without) == set()
    with_one = stage(store, 8, *read(new), staple=b"two", users=b"ann\n")
    assert taken(older, with_one) == {"certs/shop.pem", "certs/shop.key", "certs/shop.ocsp"}


def stage_all(store: Store, generation: int, conf: str, files: Mapping[str, bytes]) -> Release:
    """A release with these files, which its config names."""
    every = {"nginx.conf": conf.encode(), **files}
    rendered = Rendered(
        files=tuple(RenderedFile(path, content) for path, content in every.items()), listeners=()
    )
    return store.stage(rendered, Generation(generation))


def test_a_pair_that_stays_does_not_keep_a_later_one_from_being_taken(
    store: Store, authority: Authority
) -> None:
    """The first stayed, the second does not fit, and the third was renewed."""
    old = read(authority.issue("old", NAME, days=5))
    new = read(authority.issue("new", NAME, days=50))
    conf = "".join(
        f" server {{ ssl_certificate certs/{one}.pem; ssl_certificate_key certs/{one}.key; }}"
        for one in "abc"
    )
    before = {
        f"certs/{one}.{end}": old[at] for one in "abc" for at, end in enumerate(("pem", "key"))
    }
    after = {**before, "certs/b.pem": new[0], "certs/c.pem": new[0], "certs/c.key": new[1]}
    older = stage_all(store, 6, f"http {{{conf} }}", before)
    newer = stage_all(store, 7, f"http {{{conf} }}", after)
    assert to_carry(older, newer).paths == {one: one for one in ("certs/c.pem", "certs/c.key")}


def in_variables(*texts: bytes) -> bytes:
    """A certificate and its key as nginx keeps them in variables, as the renderer writes them."""
    values = (text.replace(b"\n", b"\\n").decode() for text in texts)
    return "".join(f'map "" $v {{ default "{value}"; }}\n' for value in values).encode()


@pytest.mark.parametrize(
    ("before", "after", "is_taken"),
    [("old", "new", True), ("new", "old", False), ("none", "new", False), ("old", "none", False)],
)
def test_a_later_certificate_in_variables_is_taken(
    store: Store, authority: Authority, before: str, after: str, is_taken: bool
) -> None:
    kept = {
        "old": in_variables(*read(authority.issue("old", NAME, days=5))),
        "new": in_variables(*read(authority.issue("new", NAME, days=50))),
        "none": b"# no certificate\n",
    }
    paths = [named("certs/tcp", ".conf", kept[which])[0] for which in (before, after)]
    releases = [
        stage_all(store, 6 + at, f"http {{ include {path}; }}", {path: kept[which]})
        for at, (path, which) in enumerate(zip(paths, (before, after), strict=True))
    ]
    found = to_carry(*releases)
    assert found.paths == ({paths[0]: paths[1]} if is_taken else {})
    assert len(found.leaves) == len(found.paths)


def test_the_same_certificate_written_otherwise_is_not_later(
    store: Store, authority: Authority
) -> None:
    """Neither as a file nor in variables: it ends when the other one ends."""
    pem, key = read(authority.issue("one", NAME))
    conf = "http { server { ssl_certificate certs/a.pem; ssl_certificate_key certs/a.key; } }"
    older, newer = (
        stage_all(
            store,
            generation,
            conf,
            {
                "certs/a.pem": pem + note,
                "certs/a.key": key,
                "certs/v.conf": in_variables(pem, key) + note,
            },
        )
        for generation, note in ((6, b""), (7, b"# again\n"))
    )
    assert to_carry(older, newer).paths == {}


def test_a_server_of_an_upstream_and_a_file_from_elsewhere_are_left_alone(
    store: Store, authority: Authority
) -> None:
    old = read(authority.issue("old", NAME, days=5))
    new = read(authority.issue("new", NAME, days=50))
    conf = (
        "http { auth_basic_user_file /etc/users; auth_basic_user_file users/a.htpasswd;"
        " upstream u { server 127.0.0.1:1; }"
        " server { ssl_certificate certs/b.pem; ssl_certificate_key /etc/b.key; }"
        " server { ssl_certificate certs/a.pem; ssl_certificate_key certs/a.key; } }"
    )
    older, newer = (
        stage_all(
            store,
            at,
            conf,
            {
                "certs/a.pem": one[0],
                "certs/a.key": one[1],
                "certs/b.pem": one[0],
                "users/a.htpasswd": b"%d" % at,
            },
        )
        for at, one in ((6, old), (7, new))
    )
    paths = ("certs/a.pem", "certs/a.key", "users/a.htpasswd")
    assert to_carry(older, newer).paths == {one: one for one in paths}


def test_a_key_from_elsewhere_leaves_what_upstreams_are_shown_alone(
    store: Store, authority: Authority
) -> None:
    shown = "http { proxy_ssl_certificate certs/a.pem; proxy_ssl_certificate_key /etc/a.key; }"
    older, newer = (
        stage_all(store, at, shown, {"certs/a.pem": read(authority.issue("a", NAME, days=at))[0]})
        for at in (6, 7)
    )
    assert to_carry(older, newer).paths == {}


def test_files_that_are_no_credentials_may_come_and_go(store: Store) -> None:
    conf = "http { auth_basic_user_file users/a.htpasswd; }"
    older, newer = (
        stage_all(store, at, conf, {"users/a.htpasswd": b"ann", f"pages/{at}.html": b"%d" % at})
        for at in (6, 7)
    )
    assert to_carry(older, newer).paths == {}


STAFF = f"""
[listeners.web]
address = "127.0.0.1:8443"
default = true
tls = {{ default_certificate = "site" }}
[certificates.site]
cert_file = "site.pem"
key_file = "site.key"
[hosts."a.example"]
tls_policy = "staff"
[tls_policies.staff]
client_auth = {{ ca_file = "ca.pem", crl_file = "crl.pem" }}
[routes.r]
hosts = ["a.example"]
middlewares = [{{ basic_auth = {{ users = ["ann:{HASH}"], realm = "r" }} }}]
upstream = "app"
[upstreams.app]
endpoints = ["127.0.0.1:1"]
"""


def stage_rendered(
    store: Store, generation: int, config: str, mode: Mode = "full", **files: bytes
) -> Release:
    """The release that the renderer makes of a config; `site_pem` is `site.pem`."""
    beside: dict[str, str | bytes] = {one.replace("_", "."): text for one, text in files.items()}
    found = load([PurePath("c.toml")], MemoryFiles({"c.toml": config, **beside}), {})
    assert found.plan is not None, [str(one) for one in found.errors]
    on = target(str(store.root), DEBIAN_12, mode=mode, number=generation)
    return store.stage(expressed(found, on), Generation(generation))


def contents(store: Store, older: Release, newer: Release) -> list[bytes]:
    """What the files of a rollback from one rendered release to another hold."""
    made = carried(store, older, newer, to_carry(older, newer), Generation(9))
    return [file.content for file in made.files]


def pem(kind: str, text: bytes) -> bytes:
    name = kind.encode()
    return b"-----BEGIN %s-----\n%s\n-----END %s-----\n" % (name, text, name)


@pytest.mark.parametrize("mode", ["full", "guest"])
def test_every_secret_of_a_rendered_release_is_taken(
    store: Store, authority: Authority, mode: Mode
) -> None:
    pairs = (authority.issue("old", NAME, days=5), authority.issue("new", NAME, days=50))
    older, newer = (
        stage_rendered(
            store,
            6 + at,
            STAFF.replace("ann", name),
            mode,
            site_pem=read(pair)[0],
            site_key=read(pair)[1],
            ca_pem=pem("CERTIFICATE", b"A%d==" % at),
            crl_pem=pem("X509 CRL", b"B%d==" % at),
        )
        for at, (pair, name) in enumerate(zip(pairs, ("ann", "bob"), strict=True))
    )
    found = contents(store, older, newer)
    assert set(read(pairs[1])) <= set(found)
    assert pem("CERTIFICATE", b"A1==") in found
    assert pem("X509 CRL", b"B1==") in found
    assert f"bob:{HASH}\n".encode() in found
    assert not any(b"ann:" in one for one in found)
    assert len(to_carry(older, newer).leaves) == 1


TWO_POLICIES = f"""
{STAFF}
[hosts."b.example"]
tls_policy = "partners"
[tls_policies.partners]
client_auth = {{ ca_file = "ca2.pem", crl_file = "crl2.pem" }}
[routes.s]
hosts = ["b.example"]
upstream = "secured"
[upstreams.secured]
endpoints = ["app.example:2"]
tls = {{ ca_file = "ca3.pem", client_certificate = "client" }}
[certificates.client]
cert_file = "client.pem"
key_file = "client.key"
"""


@pytest.mark.parametrize("mode", ["full", "guest"])
def test_each_policy_keeps_its_own_authorities_and_lists(
    store: Store, authority: Authority, mode: Mode
) -> None:
    """An upstream's authority is the older one's: it is no credential of a client."""
    site = read(authority.issue("site", NAME))
    clients = [read(authority.issue(f"c{days}", "client", days=days)) for days in (5, 50)]
    older, newer = (
        stage_rendered(
            store,
            6 + at,
            TWO_POLICIES,
            mode,
            site_pem=site[0],
            site_key=site[1],
            client_pem=client[0],
            client_key=client[1],
            **{
                f"ca{n}_pem": pem("CERTIFICATE", b"A%d%s=" % (at, n.encode() or b"="))
                for n in ("", "2", "3")
            },
            **{
                f"crl{n}_pem": pem("X509 CRL", b"B%d%s=" % (at, n.encode() or b"="))
                for n in ("", "2")
            },
        )
        for at, client in enumerate(clients)
    )
    found = contents(store, older, newer)
    for end in (b"=", b"2"):
        assert pem("CERTIFICATE", b"A1" + end + b"=") in found
        assert pem("X509 CRL", b"B1" + end + b"=") in found
    assert pem("CERTIFICATE", b"A03=") in found
    assert set(clients[1]) <= set(found), "what upstreams are shown was renewed too"


def old_style(store: Store, generation: int, *authorities: bytes, upstream: bytes = b"") -> Release:
    """A release of a version that named authorities and lists by their digests alone."""
    files = dict(named("certs/ca", ".pem", one) for one in (*authorities, upstream) if one)
    paths = [named("certs/ca", ".pem", one)[0] for one in authorities]
    conf = "".join(f" server {{ ssl_client_certificate {path}; }}" for path in paths)
    if upstream:
        conf += f" proxy_ssl_trusted_certificate {named('certs/ca', '.pem', upstream)[0]};"
    return stage_all(store, generation, f"http {{{conf} }}", files)


def test_an_authority_without_the_name_of_its_policy_is_taken_for_the_only_other_one(
    store: Store,
) -> None:
    older, newer = old_style(store, 6, b"old"), old_style(store, 7, b"new", upstream=b"other")
    was, now = named("certs/ca", ".pem", b"old")[0], named("certs/ca", ".pem", b"new")[0]
    assert to_carry(older, newer).paths == {was: now}
    assert to_carry(older, old_style(store, 8, upstream=b"other")).paths == {}
    assert to_carry(newer, old_style(store, 9, b"new", upstream=b"renewed")).paths == {}


def test_authorities_that_cannot_be_told_apart_refuse_the_rollback(store: Store) -> None:
    older = old_style(store, 6, b"one", b"two")
    assert to_carry(older, old_style(store, 7, b"one", b"two")).paths == {}
    with pytest.raises(NotCarriedError, match="`--exact`"):
        to_carry(older, old_style(store, 8, b"one", b"three"))
    one = old_style(store, 9, b"one")
    with pytest.raises(NotCarriedError, match="release 6-"):
        to_carry(older, one)
    with pytest.raises(NotCarriedError, match="release 9-"):
        to_carry(one, older)


@pytest.fixture
def pair(authority: Authority) -> Pair:
    return authority.issue("staff", NAME)


def stage_staff(store: Store, pair: Pair, generation: int, config: str) -> Release:
    """The release of such a config with this pair, one authority and one list."""
    return stage_rendered(
        store,
        generation,
        config,
        site_pem=read(pair)[0],
        site_key=read(pair)[1],
        ca_pem=pem("CERTIFICATE", b"A1=="),
        crl_pem=pem("X509 CRL", b"B1=="),
    )


NO_LIST = STAFF.replace(', crl_file = "crl.pem"', "")
NOBODY = NO_LIST.replace('client_auth = { ca_file = "ca.pem" }', "")


def test_a_list_that_came_since_has_no_place_in_the_older_release(store: Store, pair: Pair) -> None:
    older = stage_staff(store, pair, 6, NO_LIST)
    newer = stage_staff(store, pair, 7, STAFF)
    with pytest.raises(NotCarriedError, match=r"release 6-\S+ has no place.*`--exact`"):
        to_carry(older, newer)
    assert to_carry(newer, older).paths == {}
    asks_nobody = stage_staff(store, pair, 8, NOBODY)
    assert to_carry(asks_nobody, newer).paths == {}


def test_a_list_of_another_policy_is_no_place_for_it(store: Store, pair: Pair) -> None:
    other = """
[hosts."b.example"]
tls_policy = "guests"
[tls_policies.guests]
client_auth = { ca_file = "ca.pem", crl_file = "crl.pem" }
"""
    older, newer = (
        stage_staff(store, pair, at, text + other) for at, text in ((6, NO_LIST), (7, STAFF))
    )
    with pytest.raises(NotCarriedError, match=r"release 6-\S+ has no place.*staff"):
        to_carry(older, newer)


def test_a_list_that_came_since_has_no_place_in_a_release_without_names_of_policies(
    store: Store, pair: Pair
) -> None:
    older = old_style(store, 6, pem("CERTIFICATE", b"A1=="))
    with pytest.raises(NotCarriedError, match="has no place"):
        to_carry(older, stage_staff(store, pair, 7, STAFF))


def test_users_of_a_middleware_that_moved_are_today_s(store: Store, pair: Pair) -> None:
    older = stage_staff(store, pair, 6, STAFF)
    before = '[{ ip_access = { allow = ["0.0.0.0/0"] } }, { basic_auth'
    moved = STAFF.replace("ann:", "bob:").replace("[{ basic_auth", before)
    found = contents(store, older, stage_staff(store, pair, 7, moved))
    assert f"bob:{HASH}\n".encode() in found
    assert not any(b"ann:" in one for one in found)


def test_users_whose_route_has_another_name_today_refuse_the_rollback(
    store: Store, pair: Pair
) -> None:
    older = stage_staff(store, pair, 6, STAFF)
    renamed = STAFF.replace("[routes.r]", "[routes.s]")
    assert to_carry(older, stage_staff(store, pair, 7, renamed)).paths == {}
    with pytest.raises(NotCarriedError, match=r"users/\S+.*`--exact`"):
        to_carry(older, stage_staff(store, pair, 8, renamed.replace("ann:", "bob:")))


def test_users_of_a_route_that_came_or_went_refuse_nothing(store: Store, pair: Pair) -> None:
    more = STAFF.replace("[routes.r]", "[routes.s]").replace("ann:", "bob:")
    more = STAFF + more[more.index("[routes.s]") : more.index("[upstreams")].replace(NAME, "c.d")
    one, two = (stage_staff(store, pair, at, text) for at, text in ((6, STAFF), (7, more)))
    assert to_carry(one, two).paths == {}
    assert to_carry(two, one).paths == {}


def test_a_certificate_in_variables_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    pem = version_2().decode().replace("\n", "\\n")
    (tmp_path / "pair.conf").write_text(f'default "{pem}";\n')
    assert leaf_in(tmp_path / "pair.conf") is None


def test_the_work_grows_with_the_number_of_certificates_and_not_faster(store: Store) -> None:
    def carrying(count: int) -> Callable[[], object]:
        stems = [f"certs/c{count}x{n}" for n in range(count)]
        pairs = [f" ssl_certificate {one}.pem; ssl_certificate_key {one}.key;" for one in stems]
        conf = f"http {{{''.join(f' server {{{one} }}' for one in pairs)} }}"
        files = {f"{one}.{end}": b"" for one in stems for end in ("pem", "key")}
        older, newer = (stage_all(store, 2 * count + at, conf, files) for at in (0, 1))
        return lambda: to_carry(older, newer)

    assert faster_than(carrying) == []
