"""What the master refuses to start with."""

from dataclasses import replace
from pathlib import Path

import pytest

from headgate.master.settings import Settings, Tls, address, checked
from headgate.master.store.errors import StartError


def settings(listen: str, tls: Tls | None = None) -> Settings:
    return Settings(Path("/tmp"), "", address(listen), tls)


@pytest.mark.parametrize("text", ["127.0.0.1:8080", "[::1]:8080", "127.9.9.9:0"])
def test_loopback_needs_no_tls(text: str) -> None:
    assert checked(settings(text))


@pytest.mark.parametrize("text", ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:8080"])
def test_any_other_address_does(text: str) -> None:
    with pytest.raises(StartError, match="needs TLS"):
        checked(settings(text))


@pytest.mark.parametrize("text", ["8080", "localhost:80", "127.0.0.1:", "127.0.0.1:65536", "::1"])
def test_what_is_not_an_address_is_refused(text: str) -> None:
    with pytest.raises(StartError, match="not an address to listen on"):
        address(text)


def test_a_certificate_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    tls = Tls(tmp_path / "missing.pem", tmp_path / "key.pem")
    with pytest.raises(StartError, match=r"missing\.pem cannot be read"):
        checked(settings("0.0.0.0:1", tls))


def test_metrics_that_others_reach_need_tls(tmp_path: Path) -> None:
    for text in ("127.0.0.1:9092", "[::1]:0"):
        assert checked(replace(settings("127.0.0.1:0"), metrics_listen=address(text)))
    wide = replace(settings("127.0.0.1:0"), metrics_listen=address("0.0.0.0:9092"))
    with pytest.raises(StartError, match=r"0\.0\.0\.0:9092 .* need TLS"):
        checked(wide)
    assert checked(replace(wide, has_fleet_tls=True))
