"""`cors`: what of a config is an origin, and what excludes what."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.features.middleware.cors.origins import origin
from headgate.kernel.errors import Invalid

CONFIG = """
[listeners.web]
address = "127.0.0.1:1"
default = true

[routes.a]
respond = {{ status = 204 }}

[middlewares.m.cors]
{lines}
"""


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("https://app.example.com", "https://app.example.com"),
        ("HTTPS://App.Example.com:443", "https://app.example.com"),
        ("http://a.example:80", "http://a.example"),
        ("http://a.example:443", "http://a.example:443"),
        ("https://*.example.com:8443", "https://*.example.com:8443"),
        ("http://[2001:db8::1]:81", "http://[2001:db8::1]:81"),
        ("http://192.0.2.1", "http://192.0.2.1"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("null", "null"),
        ("*", "*"),
    ],
)
def test_an_origin_is_read_as_browsers_send_it(text: str, read: str) -> None:
    assert origin(text) == read


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("app.example.com", "it has no scheme"),
        ("https://app.example.com/", "without a slash"),
        ("https://app.example.com/x", "without a slash"),
        ("https://bücher.example", "not ASCII"),
        ("https://a.*.example.com", "is not an origin"),
        ("https://*", "is not an origin"),
        ("https://a.example:0", "is not an origin"),
        ("https://user@a.example", "is not an origin"),
        ("", "it has no scheme"),
    ],
)
def test_what_is_no_origin_is_explained(text: str, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        origin(text)


def wrong(lines: str) -> list[str]:
    done = load([PurePath("a.toml")], MemoryFiles({"a.toml": CONFIG.format(lines=lines)}), {})
    return [str(found).partition("middlewares.m.cors")[2] for found in done.diagnostics]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            "",
            ': no origin is allowed; write "allow_origins" or "allow_origin_patterns"',
        ),
        ("allow_origins = []", ".allow_origins: the list is empty; write at least one"),
        (
            'allow_origins = ["*"]\nallow_credentials = true',
            '.allow_origins: browsers take no credentials with "*"; write the origins',
        ),
        (
            'allow_origins = ["null"]\nallow_credentials = true',
            '.allow_origins: any page can be of the origin "null"; '
            "leave it out, or the credentials",
        ),
        (
            'allow_origins = ["https://a.example"]\nallow_credentials = true\n'
            'expose_headers = ["*"]',
            '.expose_headers: with credentials "*" is the name of a header; write the names',
        ),
        (
            'allow_origins = ["*", "https://a.example"]',
            '.allow_origins: "*" is every origin; write it alone',
        ),
        (
            'allow_origins = ["*"]\nallow_methods = ["get"]',
            '.allow_methods[0]: "get" is not a method; write an upper-case method such as "GET" '
            "(methods are case-sensitive)",
        ),
    ],
)
def test_mistakes_are_explained(lines: str, message: str) -> None:
    assert wrong(lines) == [message]


def test_a_wrong_value_hides_no_other() -> None:
    found = wrong('allow_origins = ["x"]\nallow_headers = ["a b"]')
    assert [line.partition(":")[0] for line in found] == [".allow_origins[0]", ".allow_headers[0]"]
