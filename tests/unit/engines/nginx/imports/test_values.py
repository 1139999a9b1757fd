"""nginx's values as ours, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.engines.nginx.imports import listens, naming, values
from headgate.engines.nginx.imports.objects import (
    ModelObject,
    NotExpressibleError,
    to_toml,
    validated,
)
from headgate.nginxtext.includes import Located
from headgate.nginxtext.parse import parse
from headgate.nginxtext.writer import argument


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("60", "1m"),
        ("60s", "1m"),
        ("1m30s", "90s"),
        ("500ms", "500ms"),
        ("0", "off"),
        ("1d", "24h"),
    ],
)
def test_times(theirs: str, ours: str) -> None:
    assert values.duration(theirs.encode()) == ours
    assert values.duration(values.nginx_time(ours).encode()) == ours


@pytest.mark.parametrize(
    ("theirs", "ours"), [("1m", "1MiB"), ("8K", "8KiB"), ("1500", "1500B"), ("0", "off")]
)
def test_sizes(theirs: str, ours: str) -> None:
    assert values.size(theirs.encode()) == ours
    assert values.size(values.nginx_size(ours).encode()) == ours


@pytest.mark.parametrize("wrong", ["", "x", "1x", "1s1h", "-1"])
def test_what_is_no_time_or_size_is_refused(wrong: str) -> None:
    for read in (values.duration, values.size):
        with pytest.raises(NotExpressibleError):
            read(wrong.encode())


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("a $host b", "a ${host} b"),
        ("${scheme}://x", "${scheme}://x"),
        ("$remote_addr$args", "${client_ip}${query}"),
        ("$http_x_tenant", "${header:x-tenant}"),
        ("plain", "plain"),
    ],
)
def test_templates_and_back(theirs: str, ours: str) -> None:
    assert values.template(theirs.encode()) == ours
    written = argument(values.nginx_template(ours)).value
    assert values.template(written) == ours


@pytest.mark.parametrize("unknown", ["$uri", "$request_uri", "$1", "$upstream_status", "$http_"])
def test_variables_that_mean_something_else_are_refused(unknown: str) -> None:
    with pytest.raises(NotExpressibleError):
        values.template(unknown.encode())


@pytest.mark.parametrize(
    ("name", "patterns"),
    [
        ("a.example", ("a.example",)),
        (".A.example", ("a.example", "*.a.example")),
        ("*.a.example", ("*.a.example",)),
        ("_", ()),
        ("", ()),
    ],
)
def test_server_names(name: str, patterns: tuple[str, ...]) -> None:
    assert naming.host_patterns(name) == patterns


@pytest.mark.parametrize("name", ["~^a", "www.*", "$host", "a b"])
def test_server_names_we_cannot_match_are_refused(name: str) -> None:
    with pytest.raises(NotExpressibleError):
        naming.host_patterns(name)


@pytest.mark.parametrize(
    ("line", "address", "tls", "kept"),
    [
        ("80", "0.0.0.0:80", False, []),
        ("*:81 default_server", "0.0.0.0:81", False, [b"default_server"]),
        ("127.0.0.1", "127.0.0.1:80", False, []),
        ("80 proxy_protocol", "0.0.0.0:80", False, [b"proxy_protocol"]),
        ("[::]:443 ssl http2", "[::]:443", True, [b"http2"]),
        ("[::1]", "[::1]:80", False, []),
        ("[::]:80 ipv6only=on", "[::]:80", False, [b"ipv6only=on"]),
    ],
)
def test_listen_lines(line: str, address: str, tls: bool, kept: list[bytes]) -> None:
    (directive,) = parse(f"listen {line};".encode()).directives()
    found = listens.listen_of(Located("x", directive))
    assert found is not None
    assert (found.why, found.is_address) == ("", True)
    assert (found.address, found.tls) == (address, tls)
    assert [word.value for word in found.kept] == kept


@pytest.mark.parametrize(
    ("line", "port"),
    [
        ("80 multipath", "80"),
        ("host:81", "81"),
        ("8000-8010", ""),
        ("a", "80"),
        ("[::]:82 ipv6only=off", "82"),
    ],
)
def test_listen_lines_without_a_counterpart_say_why(line: str, port: str) -> None:
    (directive,) = parse(f"listen {line};".encode()).directives()
    found = listens.listen_of(Located("x", directive))
    assert found is not None
    assert found.why
    assert found.port == port


def test_no_listener_takes_quic_or_unix_sockets() -> None:
    quic, unix = parse(b"listen 80 quic; listen unix:/x;").directives()
    assert listens.listen_of(Located("x", quic)) is None
    socket = listens.listen_of(Located("x", unix))
    assert socket is not None
    assert not socket.is_address


@given(st.dictionaries(st.text(min_size=1), st.text() | st.integers(0, 9) | st.booleans()))
def test_tables_come_back_from_their_toml(table: dict[str, str | int | bool]) -> None:
    import tomllib  # noqa: PLC0415

    text = to_toml([ModelObject("routes", "a b", table)])
    assert tomllib.loads(text) == {"routes": {"a b": table}}


def test_what_the_model_refuses_is_not_expressible() -> None:
    with pytest.raises(NotExpressibleError, match="hosts"):
        validated(ModelObject("routes", "a", {"hosts": ["a b"], "respond": {"status": 200}}))
