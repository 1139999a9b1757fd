"""What a rollback takes over from the newer release, and what it leaves alone."""

import hashlib
from pathlib import Path

import pytest
from tls_authority import Authority, Pair

from headgate.engines.nginx.apply.carry import carried, to_carry
from headgate.engines.nginx.common.types import Generation, Rendered, RenderedFile
from headgate.engines.nginx.releases.store import Release, Store

NAME = "a.example"


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
            named("htpasswd/shop", "", users),
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
