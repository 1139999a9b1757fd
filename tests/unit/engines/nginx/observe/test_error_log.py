"""nginx's error log: what lines mean, and how many are told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.engines.nginx.observe.error_log import ErrorWatch, Kind, parse

_REQUEST = ', client: 127.0.0.1, server: a, request: "GET / HTTP/1.1"'


def _line(level: str, message: str) -> str:
    return f"2026/11/20 08:59:02 [{level}] 12#12: {message}"


@pytest.mark.parametrize(
    ("level", "message", "kind"),
    [
        ("alert", "768 worker_connections are not enough", "connections_exhausted"),
        ("crit", f"*9 accept4() failed (24: Too many open files){_REQUEST}", "files_exhausted"),
        ("crit", '*1 pwrite() "/x" failed (28: No space left on device)', "disk_full"),
        ("alert", "worker process 3 exited on signal 11 (core dumped)", "worker_died"),
        (
            "alert",
            "worker process 3 exited with fatal code 2 and cannot be respawned",
            "worker_died",
        ),
        ("emerg", "bind() to 0.0.0.0:80 failed (98: Address already in use)", "config_rejected"),
        (
            "emerg",
            'limit_req "rl" uses the "$remote_addr" key while previously it used "x"',
            "config_rejected",
        ),
        (
            "error",
            "*1 connect() failed (111: Connection refused) while connecting to upstream"
            f'{_REQUEST}, upstream: "http://127.0.0.1:9/"',
            "upstream_connect",
        ),
        (
            "error",
            "*1 upstream timed out (110: Connection timed out) while reading response header"
            f" from upstream{_REQUEST}",
            "upstream_timeout",
        ),
        (
            "error",
            "*1 upstream prematurely closed connection while reading response header from"
            f" upstream{_REQUEST}",
            "upstream_closed",
        ),
        (
            "error",
            "*1 recv() failed (104: Connection reset by peer) while reading from upstream"
            + _REQUEST,
            "upstream_closed",
        ),
        (
            "error",
            "*1 upstream sent too big header while reading response header from upstream"
            + _REQUEST,
            "upstream_invalid",
        ),
        (
            "error",
            f"*1 no live upstreams while connecting to upstream{_REQUEST}",
            "upstream_none_left",
        ),
        ("error", f'*1 limiting requests, excess: 1.0 by zone "z"{_REQUEST}', "limited"),
        ("error", '*1 cannot load certificate "/x/a.pem": BIO_new_file() failed', "certificate"),
        ("info", "*1 client closed keepalive connection", "client"),
        (
            "error",
            f'*1 open() "/var/www/x" failed (2: No such file or directory){_REQUEST}',
            "client",
        ),
        ("notice", "signal process started", "other"),
    ],
)
def test_a_message_has_a_meaning(level: str, message: str, kind: Kind) -> None:
    line = parse(_line(level, message))
    assert line is not None
    assert (line.level, line.pid, line.kind) == (level, 12, kind)
    assert not line.message.startswith("*")


def test_the_endpoint_is_taken_from_the_line() -> None:
    line = parse(_line("error", '*1 upstream timed out (110: x), upstream: "http://10.0.0.1:80/a"'))
    assert line is not None
    assert line.endpoint == "http://10.0.0.1:80/a"


@given(st.text())
def test_any_text_is_a_line_or_none(text: str) -> None:
    parse(text)
    list(ErrorWatch().take(text.encode(errors="replace"), 0.0))


def test_everything_is_counted_and_the_newest_lines_are_kept() -> None:
    watch = ErrorWatch(kept=3)
    lines = [_line("warn", f"w{n}") for n in range(5)]
    lines += [_line("notice", "n"), "goes on from the line before"]
    assert list(watch.take("\n".join(lines).encode(), 0.0)) == []
    assert watch.levels == {"warn": 5, "notice": 1}
    assert [line.message for line in watch.last] == ["w2", "w3", "w4"]


def test_a_storm_is_told_a_few_times_then_once_in_a_while() -> None:
    watch = ErrorWatch(burst=2, interval_s=10)
    storm = (_line("alert", "9 worker_connections are not enough") + "\n").encode() * 100
    assert [told.left_out for told in watch.take(storm, 0.0)] == [0, 0]
    assert list(watch.take(storm, 5.0)) == []
    assert [told.left_out for told in watch.take(storm, 10.0)] == [198]
    assert watch.kinds["connections_exhausted"] == 300


def test_one_kind_does_not_keep_another_from_being_told() -> None:
    watch = ErrorWatch(burst=1)
    storm = (_line("alert", "9 worker_connections are not enough") + "\n").encode() * 10
    list(watch.take(storm, 0.0))
    (told,) = watch.take((_line("emerg", "bind() failed") + "\n").encode(), 0.0)
    assert told.line.kind == "config_rejected"


def test_what_clients_do_wrong_is_counted_and_not_told() -> None:
    watch = ErrorWatch()
    line = _line("crit", f"*1 SSL_do_handshake() failed (SSL: bad){_REQUEST}")
    assert list(watch.take(line.encode() + b"\n", 0.0)) == []
    assert watch.levels["crit"] == 1
