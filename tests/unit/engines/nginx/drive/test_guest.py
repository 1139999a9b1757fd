"""Checks whether a foreign nginx.conf includes us, and the words where it does not."""

from pathlib import Path

import pytest

from headgate.engines.nginx.drive.guest import check_include
from headgate.engines.nginx.drive.unable import WrongConfError

ROOT = Path("/s/nginx")
ENTRY = "/etc/nginx/nginx.conf"
LINE = b"include /s/nginx/current/http.conf;"


def check(files: dict[str, bytes]) -> None:
    check_include(ENTRY, ROOT, Files(files))


class Files:
    """Files in memory, with the patterns of a folder's `*.conf`."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def read(self, path: str) -> bytes:
        if path not in self.files:
            raise FileNotFoundError(2, "No such file or directory")
        return self.files[path]

    def glob(self, pattern: str) -> list[str]:
        return sorted(path for path in self.files if Path(path).match(pattern))


@pytest.mark.parametrize(
    "http",
    [
        LINE,
        b'include "/s/nginx/current/http.conf";',
        b"include /s/nginx/current/http.con[f];",
        b"include /s/nginx/[^_]*/http.conf;",
    ],
)
def test_the_line_is_found_however_it_is_written(http: bytes) -> None:
    check({ENTRY: b"events {}\nhttp {\n" + http + b"\n}\n"})


def test_it_may_stand_in_a_file_of_the_http_block() -> None:
    check({ENTRY: b"http { include conf.d/*.conf; }", "/etc/nginx/conf.d/us.conf": LINE})


@pytest.mark.parametrize(
    "text",
    [
        b"events {}\nhttp {\n  gzip on;\n}\n",
        b"events {}\nhttp {\n  # " + LINE + b"\n}\n",
        b"events {}\nhttp {\n  server { " + LINE + b" }\n}\n",
        b"events {}\nhttp {\n  include /s/*;\n}\n",
        b"events {}\nhttp {\n  include /s/nginx/[^c]urrent/http.conf;\n}\n",
    ],
)
def test_without_it_the_line_and_the_place_are_told(text: bytes) -> None:
    with pytest.raises(WrongConfError) as refused:
        check({ENTRY: text})
    assert f"add `{LINE.decode()}` inside the http block at {ENTRY}:2" in str(refused.value)


def test_outside_of_http_it_does_nothing() -> None:
    with pytest.raises(WrongConfError):
        check({ENTRY: LINE + b"\nhttp {}\n"})


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, "No such file"),
        ({ENTRY: b"events {}"}, "has no http block"),
        ({ENTRY: b"http {"}, ENTRY),
    ],
)
def test_a_conf_that_cannot_be_used_is_named(files: dict[str, bytes], why: str) -> None:
    with pytest.raises(WrongConfError, match=why):
        check(files)
