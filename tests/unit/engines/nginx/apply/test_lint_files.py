"""LINT of the files that hand-written configs name: certificates with keys, and passwords."""

from pathlib import Path

import pytest
from tls_authority import Authority, Pair
from written_conf import Write, codes, writer

from headgate.engines.nginx.apply import lint_files
from headgate.engines.nginx.apply.conftree import DiskFiles, read_conf
from headgate.engines.nginx.observe.certificates import Reader

DAY_S = 86_400.0


@pytest.fixture
def write(tmp_path: Path) -> Write:
    return writer(tmp_path)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def ends_s(pair: Pair) -> float:
    leaf = Reader("/").read(str(pair.cert_file)).leaf
    assert leaf is not None
    return leaf.not_after_s


def named(cert: object, key: object) -> str:
    return f" ssl_certificate {cert}; ssl_certificate_key {key};"


@pytest.mark.parametrize(
    ("left_d", "code", "said"),
    [
        (7.0, "", ""),
        (6.75, "expires_soon", "expires in 7 days"),
        (0.0, "expires_soon", "expires in 0 days"),
        (-2.0, "expired", "expired 2 days ago"),
    ],
)
def test_a_certificate_that_ends_is_a_warning(
    write: Write, authority: Authority, left_d: float, code: str, said: str
) -> None:
    one = authority.issue("one", "a")
    conf = write(a=f"# route shop\nserver {{{named(one.cert_file, one.key_file)} }}")
    found = [
        (at.code, at.text, at.file, at.line, at.object, at.is_error)
        for at in lint_files.certificates(conf, ends_s(one) - left_d * DAY_S)
    ]
    warning = (code, f"{one.cert_file} {said}", "http/a.conf", 2, "route shop", False)
    assert found == ([warning] if code else [])


def test_a_pair_that_does_not_fit_or_is_not_there_is_an_error(
    write: Write, authority: Authority
) -> None:
    one, two = authority.issue("one", "a"), authority.issue("two", "a")
    fits, differs = named(one.cert_file, one.key_file), named(one.cert_file, two.key_file)
    conf = write(
        main="http {"
        + named("none.pem", "none.key")
        + f"\nupstream u {{ server 10.0.0.1; }}\nserver {{{differs} }} server {{{fits} }} }}"
    )
    now = ends_s(one) - 20 * DAY_S
    found = [(at.line, at.text, at.is_error) for at in lint_files.certificates(conf, now)]
    gone = next(lint_files.certificates(conf, now)).text
    assert gone.startswith("none.pem: ") and "No such file" in gone
    assert found == [
        (1, gone, True),
        (3, f"{two.key_file} is not the key of {one.cert_file}", True),
    ]


def test_only_pairs_in_files_are_read_and_each_once(write: Write) -> None:
    """The others stay the concern of `nginx -t`, and of those who hold the keys."""
    bad = named("bad.pem", "bad.key")
    others = "".join(
        named(*pair)
        for pair in (("$a", "b"), ("a", "$b"), ("data:$a", "data:$b"), ("a", "store:b"))
    )
    broken = " ssl_certificate; ssl_certificate_key b; ssl_certificate a; ssl_certificate_key;"
    lone = " ssl_certificate lone.pem;"
    conf = write(a=f"server {{{broken}{others}\n{bad} }}\nserver {{{bad} }} server {{{lone} }}")
    assert codes(lint_files.certificates(conf, 0.0)) == [("certificate", "http/a.conf", 2)]


def test_two_pairs_of_a_block_go_by_their_order(write: Write, authority: Authority) -> None:
    one, two = authority.issue("one", "a"), authority.issue("two", "a", is_rsa=True)
    text = (
        f"server {{ ssl_certificate {one.cert_file}; ssl_certificate {two.cert_file};"
        f" ssl_certificate_key {one.key_file}; ssl_certificate_key {two.key_file}; }}"
    )
    now = ends_s(one) - 20 * DAY_S
    assert codes(lint_files.certificates(write(a=text), now)) == []


def test_a_variable_is_each_name_that_a_client_can_send(write: Write, tmp_path: Path) -> None:
    conf = write(
        a='server { server_name a.example b.example a.example "" _ ~x *.c.example .d.example a$x;'
        "\nssl_certificate plain.pem; ssl_certificate data:$x; ssl_certificate;"
        "\nssl_certificate /no/$ssl_server_name.pem;"
        "\nssl_certificate_key keys/${host}.key; }"
    )
    keys = tmp_path / "a" / "keys"
    keys.mkdir()
    (keys / "b.example.key").write_text("")
    found = [
        (at.code, at.line, at.text, at.is_error)
        for at in lint_files.variable_certificates(conf, lambda path: path)
    ]
    gone = "is missing: handshakes would fail"
    assert found == [
        ("certificate", 3, f"/no/a.example.pem {gone}", True),
        ("certificate", 3, f"/no/b.example.pem {gone}", True),
        ("certificate", 4, f"{keys}/a.example.key {gone}", True),
        (
            "certificate",
            4,
            f"{keys}/b.example.key cannot be read by the workers' user: handshakes would fail",
            True,
        ),
    ]
    assert len(list(lint_files.variable_certificates(conf, lambda _: None))) == 3


@pytest.mark.parametrize(
    "path", ["/no/such/$http_x.pem", "/no/such/$ssl_server_name-$http_x.pem", "/no/such/$host.pem"]
)
def test_of_a_variable_that_may_be_anything_the_folder_has_to_be_there(
    write: Write, tmp_path: Path, path: str
) -> None:
    names = "" if "$host" in path else "server_name a.example;"
    text = f"server {{ {names} ssl_certificate {path}; }}"
    conf = write("a", a=text)
    (found,) = lint_files.variable_certificates(conf, lambda _: None)
    assert found.text == "/no/such is missing: handshakes would fail"
    there = write("b", a=text.replace("/no/such", str(tmp_path)))
    assert codes(lint_files.variable_certificates(there, lambda _: None)) == []


def test_password_files_that_workers_cannot_read(write: Write, tmp_path: Path) -> None:
    texts = ("$x", "open", "none", "none", "closed", str(tmp_path))
    lines = "\n".join(f"server {{ auth_basic_user_file {text}; }}" for text in texts)
    conf = write(a=f"server {{ auth_basic_user_file; }} {lines}")
    here = tmp_path / "a"
    for name in ("open", "closed"):
        (here / name).write_text("")
    kept = {str(here / "closed"): str(here / "closed"), str(tmp_path): "/"}
    found = [
        (at.code, at.line, at.text, at.is_error) for at in lint_files.password_files(conf, kept.get)
    ]
    unreadable = "cannot be read by the workers' user"
    through = f'{unreadable}, who cannot pass through "/" (`chmod o+x /` lets it)'
    assert found == [
        ("password_file", 3, f"{here}/none is missing: every request would fail", True),
        ("password_file", 5, f"{here}/closed {unreadable}: every request would fail", True),
        ("password_file", 6, f"{tmp_path} {through}: every request would fail", True),
    ]


def test_the_files_of_a_guests_release_are_read_before_it_is_current(
    tmp_path: Path, authority: Authority
) -> None:
    """Its text names them below `current`, which has no release yet or another one."""
    one, two = authority.issue("one", "a"), authority.issue("two", "a")
    release, current = tmp_path / "releases" / "1-a", tmp_path / "current"
    release.mkdir(parents=True)
    for name, source in (("a.pem", one.cert_file), ("a.key", one.key_file)):
        (release / name).write_bytes(source.read_bytes())
    (release / "b.key").write_bytes(two.key_file.read_bytes())
    (release / "users").write_text("ann:x\n")
    (tmp_path / "nginx.conf").write_text(
        f"http {{ auth_basic_user_file {current}/users; auth_basic_user_file {current}/none;"
        f" server {{ {named(f'{current}/a.pem', f'{current}/a.key')} }}"
        f" server {{ {named(f'{current}/a.pem', f'{current}/b.key')} }} }}"
    )
    conf = read_conf(tmp_path / "nginx.conf", DiskFiles(str(current), str(release)))
    pairs = lint_files.certificates(conf, ends_s(one) - 20 * DAY_S)
    passwords = lint_files.password_files(conf, lambda _: None)
    assert [at.text for at in (*pairs, *passwords)] == [
        f"{release}/b.key is not the key of {release}/a.pem",
        f"{release}/none is missing: every request would fail",
    ]
