"""nginx's words as causes with file, line and object."""

import pytest

from headgate.engines.nginx.apply.causes import findings_of, object_at

ROOTS = ("/s/releases/7-0123456789ab", "/s/current")
SITE = "# route shop\nserver {\n    listen 80;\n}\n\n# upstream api\nupstream a {\n"


def read(path: str) -> str | None:
    return SITE if path == "http/shop.conf" else None


@pytest.mark.parametrize(
    ("line", "code", "place", "about"),
    [
        (
            'unknown directive "x" in /s/releases/7-0123456789ab/http/shop.conf:3',
            "syntax",
            ("http/shop.conf", 3),
            "route shop",
        ),
        (
            '2026/01/02 03:04:05 [emerg] 1#1: limit_req "z" uses the "$host" key while previously'
            ' it used the "$uri" key in /s/current/http/shop.conf:7',
            "zone_clash",
            ("http/shop.conf", 7),
            "upstream api",
        ),
        (
            'nginx: [emerg] cannot load certificate "/s/x.pem": BIO_new_file() failed',
            "certificate",
            ("", 0),
            "",
        ),
        (
            'host not found in upstream "x:80" in /etc/nginx/conf.d/a.conf:1',
            "unresolvable",
            ("/etc/nginx/conf.d/a.conf", 1),
            "",
        ),
        ("bind() to 0.0.0.0:80 failed (98: Address already in use)", "port_held", ("", 0), ""),
        ("bind() to 0.0.0.0:80 failed (13: Permission denied)", "port_forbidden", ("", 0), ""),
        ('conflicting server name "a" on 0.0.0.0:80, ignored', "duplicate_name", ("", 0), ""),
        ("worker process 9 exited with fatal code 2 and cannot", "worker_init", ("", 0), ""),
        ("worker process 9 exited on signal 11", "worker_crash", ("", 0), ""),
        ("mkdir() failed (28: No space left on device)", "no_space", ("", 0), ""),
        ("something new", "nginx", ("", 0), ""),
    ],
)
def test_lines_have_their_cause(line: str, code: str, place: tuple[str, int], about: str) -> None:
    (found,) = findings_of((line,), ROOTS, read)
    assert (found.code, (found.file, found.line), found.object) == (code, place, about)
    assert not found.text.startswith(("nginx:", "["))


def test_each_cause_is_told_once() -> None:
    bind = "[emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)"
    found = findings_of((bind, bind, "[emerg] still could not bind()"), ROOTS, read)
    assert [one.code for one in found] == ["port_held"]
    assert "0.0.0.0:80" in found[0].text
    assert found[0].is_transient


@pytest.mark.parametrize(
    ("line", "about"),
    [(1, "route shop"), (4, "route shop"), (7, "upstream api"), (99, "upstream api")],
)
def test_the_object_is_that_of_the_comment_above(line: int, about: str) -> None:
    assert object_at(SITE, line) == about


def test_without_a_comment_there_is_no_object() -> None:
    assert object_at("server {\n}", 2) == ""


def test_a_block_of_no_single_object_belongs_to_none_above_it() -> None:
    text = (
        "# route shop\nmap $a $b {\n    x 1;\n}\n\n# of no single object\nmap $c $d {\n    y 1;\n"
    )
    assert object_at(text, 3) == "route shop"
    assert object_at(text, 8) == ""
