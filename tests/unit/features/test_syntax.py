"""Single values: what is taken, in which form, and what is refused."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.features import syntax, templates
from headgate.kernel.errors import Invalid


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("Api.Example.com", "api.example.com"),
        ("api.example.com.", "api.example.com"),
        ("[2001:DB8:0:0::1]", "[2001:db8::1]"),
        ("192.0.2.7", "192.0.2.7"),
        ("my_host", "my_host"),
        ("xn--4ca.example", "xn--4ca.example"),
        ("*", "*"),
        ("*.Example", "*.example"),
    ],
)
def test_hosts_are_brought_to_one_form(text: str, canonical: str) -> None:
    assert syntax.host_pattern(text) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a..b",
        "-a",
        "a-",
        "a b",
        "a/b",
        "a.example:80",
        "[::1",
        "[::g]",
        "ä.example",
        "a.*",
        "*a.example",
        "*.*.a",
        "*.",
        f"{'a' * 64}.example",
        ".".join(["a" * 60] * 5),
    ],
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        syntax.host_pattern(text)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("2001:DB8::/32", "2001:db8::/32"),
    ],
)
def test_networks_are_brought_to_one_form(text: str, canonical: str) -> None:
    assert syntax.cidr(text) == canonical


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "example", ""])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        syntax.cidr(text)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [("127.0.0.1:80", "127.0.0.1:80"), ("[0:0::1]:080", "[::1]:80"), ("0.0.0.0:1", "0.0.0.0:1")],
)
def test_listen_addresses_are_brought_to_one_form(text: str, canonical: str) -> None:
    assert syntax.listen_address(text) == canonical


@pytest.mark.parametrize(
    "text",
    ["80", ":80", "*:80", "localhost:80", "::1:80", "127.0.0.1:0", "127.0.0.1:65536", "1.2:80"],
)
def test_what_cannot_be_listened_on_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        syntax.listen_address(text)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("App.Internal:80", "app.internal:80"),
        ("[::1]:80", "[::1]:80"),
        ("unix:/run/App.sock", "unix:/run/App.sock"),
    ],
)
def test_endpoints_are_brought_to_one_form(text: str, canonical: str) -> None:
    assert syntax.endpoint_address(text) == canonical


@pytest.mark.parametrize(
    "text", ["a", "http://a:80", "unix:a", "unix:/a\0", "a:0", "a b:80", "*:80"]
)
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        syntax.endpoint_address(text)


@pytest.mark.parametrize("text", ["/", "/a", "/a/", "/a%20b", "/a;b=c/@:~", "/%2F"])
def test_normal_paths_are_taken(text: str) -> None:
    assert syntax.routed_path(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "//",
        "/a//b",
        "/.",
        "/a/../b",
        "/a?b",
        "/a#b",
        "/a b",
        "/ä",
        "/%2f",
        "/%41",
        "/%7E",
        "/%2",
        "/{a}",
    ],
)
def test_paths_that_the_router_never_sees_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        syntax.routed_path(text)


def test_every_unreserved_character_is_refused_when_encoded() -> None:
    unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
    for code in range(0x80):
        if chr(code) in unreserved:
            with pytest.raises(Invalid):
                syntax.routed_path(f"/a%{code:02X}b")
        elif code not in (0, ord("\\")):
            assert syntax.routed_path(f"/a%{code:02X}b")


@pytest.mark.parametrize("text", ["", "a", "$$", "${client_ip}", "a ${header:x-a}b$$", "{}", "}"])
def test_templates_are_taken(text: str) -> None:
    assert templates.template(text) == text


@pytest.mark.parametrize(
    "text", ["$", "a$b", "${", "${x", "${nope}", "${header:}", "${header:a b}", "$1"]
)
def test_what_is_no_template_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        templates.template(text)


@pytest.mark.parametrize("text", ["/a", "/a${path}", "${path}", "/a$$"])
def test_path_templates_are_taken(text: str) -> None:
    assert templates.path_template(text) == text


@pytest.mark.parametrize("text", ["a${path}", "$$/a", "/a?${query}", "/a b${path}", "/a//b"])
def test_path_templates_with_more_than_a_path_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        templates.path_template(text)


@given(st.text(max_size=20))
def test_escaped_text_is_a_template_of_itself(text: str) -> None:
    pieces = templates.pieces(templates.template(templates.escaped(text)))
    assert "".join("$" if piece.kind == "dollar" else piece.text for piece in pieces) == text


PARSERS: list[Callable[[str], str]] = [
    syntax.host_pattern,
    syntax.header_name,
    syntax.cookie_name,
    syntax.method,
    syntax.cidr,
    syntax.listen_address,
    syntax.endpoint_address,
    syntax.routed_path,
    syntax.regex,
    templates.template,
    templates.header_value,
    templates.path_template,
    templates.replacement,
    templates.host_template,
    templates.bare_host_template,
]


@pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: parse.__name__)
@given(text=st.text(st.sampled_from("aA1.-_*[]:/%2Ff${}x \0é\n"), max_size=12))
def test_no_text_breaks_a_parser_and_its_canonical_form_is_stable(
    parse: Callable[[str], str], text: str
) -> None:
    try:
        canonical = parse(text)
    except Invalid as wrong:
        assert wrong.what
        assert wrong.allowed
    else:
        assert parse(canonical) == canonical
