"""`bandwidth`: its keys, its plan node, and what is wrong with them."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.features import byterates
from headgate.features.byterates import ByteRate
from headgate.features.middleware.bandwidth.spec import Bandwidth, BandwidthNode
from headgate.kernel.errors import Invalid

BASE = """
[listeners.web]
address = "127.0.0.1:8000"
default = true
[routes.all]
middlewares = ["one"]
respond = {{ status = 200 }}
[middlewares.one.bandwidth]
{keys}
"""


def errors(keys: str) -> list[str]:
    found = load([PurePath("a.toml")], MemoryFiles({"a.toml": BASE.format(keys=keys)}), {})
    return [str(one) for one in found.errors]


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("1kB/s", 1_000),
        ("500 KiB / s", 512_000),
        ("1.5MiB/s", 1_572_864),
        ("10GB/s", 10_000_000_000),
    ],
)
def test_a_rate_is_bytes_in_a_second(text: str, rate: int) -> None:
    assert byterates.byte_rate_of(text) == ByteRate(rate)
    assert byterates.byte_rate_of(str(ByteRate(rate))) == ByteRate(rate)


@pytest.mark.parametrize("value", ["", "1MB", "1MB/m", "999B/s", "11GB/s", "0B/s", "-1MB/s", 5, {}])
def test_anything_else_is_not(value: object) -> None:
    with pytest.raises(Invalid):
        byterates.byte_rate_of(value)


def test_without_a_burst_it_is_the_bytes_of_a_second() -> None:
    made = Bandwidth.model_validate({"download": "1MB/s", "upload": "2kB/s"})
    assert made.to_plan() == BandwidthNode(
        download=1_000_000,
        download_burst=1_000_000,
        upload=2_000,
        upload_burst=2_000,
        key=("request",),
    )
    made = Bandwidth.model_validate({"upload": "1MB/s", "burst": "64KiB", "key": "all"})
    assert made.to_plan() == BandwidthNode(upload=1_000_000, upload_burst=65_536, key=())


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ('key = "all"', "it limits neither direction"),
        ('download = "1MB"', '"1MB" is not a rate of bytes'),
        ('download = "1MB/s"\nkey = ["request", "host"]', "`request` stands beside others"),
        ('upload = "1MB/s"\nkey = ["connection", "route"]', "`connection` stands beside others"),
        ('upload = "1MB/s"\nkey = "cient_ip"', '"cient_ip" is nothing to count by'),
        ('upload = "1MB/s"\nburst = "off"', '"off" is not a size'),
        ('upload = "1MB/s"\nmax_keys = 0', "0 is out of range"),
    ],
)
def test_what_is_wrong_is_said_once(keys: str, what: str) -> None:
    (error,) = errors(keys)
    assert what in error and "middlewares.one.bandwidth" in error


@pytest.mark.parametrize("key", ["connection", ["connection"]])
def test_the_requests_of_a_connection_share_a_rate(key: object) -> None:
    node = Bandwidth.model_validate({"download": "1MB/s", "key": key}).to_plan()
    assert node == BandwidthNode(download=1_000_000, download_burst=1_000_000, key=("connection",))


@pytest.mark.parametrize(
    ("key", "by"),
    [
        (("request",), "for each request"),
        (("connection",), "for each connection"),
        (("client_ip", "route"), "by client_ip and route"),
        ((), "all requests together"),
    ],
)
def test_an_explanation_says_what_shares_the_rate(key: tuple[str, ...], by: str) -> None:
    node = BandwidthNode(download=1_000_000, download_burst=65_536, key=key)
    assert node.does == f"download {ByteRate(1_000_000)}, burst 64KiB, {by}"


def test_it_loads() -> None:
    assert errors('download = "1MB/s"\nupload = "1MB/s"\nkey = "connection"') == []
    assert errors('download = "1MB/s"\nkey = ["client_ip", "path:1"]') == []
