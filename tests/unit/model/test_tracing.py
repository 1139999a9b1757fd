"""`node.tracing`: what it becomes in the plan, and what is refused with its place."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.kernel.ids import ObjectName
from headgate.plan.kinds import ObjectKey
from headgate.plan.settings import OtlpExport, OutletTls, Settings, Tracing

BASE = """
[listeners.web]
address = "127.0.0.1:8000"
default = true
[routes.all]
respond = { status = 204 }
[node]
"""
FILES: dict[str, str | bytes] = {"key": "Bearer s3cret\n", "two": "a\nb"}


def loaded(rest: str) -> Loaded:
    return load([PurePath("a.toml")], MemoryFiles(FILES | {"a.toml": BASE + rest}), {"SHARE": "3"})


def tracing(rest: str) -> Tracing | None:
    found = loaded(rest)
    assert found.plan is not None, [str(one) for one in found.errors]
    value = found.plan.objects[ObjectKey("settings", ObjectName("node"))].value
    assert isinstance(value, Settings)
    return value.tracing


def test_it_is_off_unless_it_is_written() -> None:
    assert tracing("") is None
    assert tracing("tracing = {}") == Tracing()


@pytest.mark.parametrize(
    ("written", "millionths"),
    [
        ("0", 0),
        ("100", 1_000_000),
        ("1", 10_000),
        ("0.1", 1_000),
        ("0.0001", 1),
        ("33.3333", 333_333),
        ('"${env:SHARE}"', 30_000),
    ],
)
def test_a_share_becomes_millionths(written: str, millionths: int) -> None:
    made = tracing(f"tracing = {{ sample = {written} }}")
    assert made == Tracing(sample_ppm=millionths)


@pytest.mark.parametrize("written", ["-1", "100.1", "0.00001", "true", '"all"'])
def test_what_is_no_share_is_one_error_at_its_place(written: str) -> None:
    (error,) = loaded(f"tracing = {{ sample = {written} }}").errors
    assert "node.tracing.sample: " in str(error)
    assert "write a percentage from 0 to 100 with at most four decimals" in str(error)


def test_a_collector_reaches_the_plan_and_its_key_is_hidden() -> None:
    rest = """[node.tracing]
endpoint = "http://collector:4318"
headers = { Authorization = { file = "key" }, x-team = "edge" }
timeout = "2s"
"""
    made = tracing(rest)
    headers = {"authorization": "Bearer s3cret", "x-team": "edge"}
    export = OtlpExport(
        endpoint="http://collector:4318", service_name="headgate", timeout_ms=2_000, headers=headers
    )
    assert made == Tracing(export=export)
    assert loaded(rest).secrets == {"Bearer s3cret"}
    more = '[node.tracing]\nheaders = { x-key = "${env:SHARE}" }\n'
    assert loaded(more).secrets == {"3"}, "one from the environment, too"


def test_a_collector_with_tls_has_it_with_defaults() -> None:
    made = tracing('[node.tracing]\nendpoint = "https://c"\n')
    assert made is not None and made.export is not None
    assert made.export.tls == OutletTls()


def test_its_files_lie_beside_its_document() -> None:
    files: dict[str, str | bytes] = {
        "/a/token": "0123456789abcdef\n",
        "/b/ca": "-----BEGIN CERTIFICATE-----\n",
        "/a/a.toml": BASE + 'admin_token = { file = "token" }\n',
        "/b/key": "k\n",
        "/b/b.toml": '[node.tracing]\nendpoint = "https://c"\nheaders = { x = { file = "key" } }\n'
        'tls = { ca_file = "ca" }\n',
    }
    found = load([PurePath("/a/a.toml"), PurePath("/b/b.toml")], MemoryFiles(files), {})
    assert found.plan is not None, [str(one) for one in found.errors]
    assert found.secrets == {"k"}
    assert list(found.blobs.values()) == [b"-----BEGIN CERTIFICATE-----\n"]


@pytest.mark.parametrize(
    ("written", "place", "wrong"),
    [
        ('endpoint = "http://c:4318", tls = {}', "tls", "has no TLS"),
        ('endpoint = "https://c:4318", tls = { key_file = "ca" }', "tls.key_file", "needs `cert"),
        ('endpoint = "https://c:4318", tls = { ca_file = "no" }', "tls.ca_file", "cannot be read"),
        ('endpoint = "c:4318"', "endpoint", "is not the URL of a collector"),
        ('endpoint = "http://c:99999"', "endpoint", "is not the URL of a collector"),
        ('endpoint = "http://u:p@c/"', "endpoint", "is not the URL of a collector"),
        ('headers = { Host = "a" }', "headers.Host", "belongs to the export"),
        ('headers = { x = "a\\nb" }', "headers.x", "is not a header's value"),
        ('headers = { x = { file = "two" } }', "headers.x", "is not a header's value"),
        ('timeout = "0s"', "timeout", "is a duration of zero"),
    ],
)
def test_what_is_no_collector_is_one_error_at_its_place(
    written: str, place: str, wrong: str
) -> None:
    (error,) = loaded(f"tracing = {{ {written} }}").errors
    assert f"node.tracing.{place}: " in str(error)
    assert wrong in str(error)
