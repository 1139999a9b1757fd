"""`node.access_log.otlp`: what it becomes in the plan, and what is refused with its place."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.kernel.ids import ObjectName
from headgate.plan.kinds import ObjectKey
from headgate.plan.settings import AccessLog, LogSink, OtlpExport, Settings, StdoutSink

BASE = """
[listeners.web]
address = "127.0.0.1:8000"
default = true
[routes.all]
respond = { status = 204 }
"""
FILES: dict[str, str | bytes] = {"key": "Bearer s3cret\n"}
ENV = {"KEY": "hidden", "LOG": "/var/log/a"}


def loaded(rest: str) -> Loaded:
    return load([PurePath("a.toml")], MemoryFiles(FILES | {"a.toml": BASE + rest}), ENV)


def log_of(rest: str) -> AccessLog | None:
    found = loaded(rest)
    assert found.plan is not None, [str(one) for one in found.errors]
    value = found.plan.objects[ObjectKey("settings", ObjectName("node"))].value
    assert isinstance(value, Settings)
    return value.access_log


def export(**more: object) -> OtlpExport:
    known = {"endpoint": "http://c:4318", "service_name": "headgate", "timeout_ms": 10_000}
    return OtlpExport(**known | more)  # type: ignore[arg-type]


def test_it_stands_beside_a_sink_or_in_its_place() -> None:
    otlp = '[node.access_log.otlp]\nendpoint = "http://c:4318"\n'
    stdout = LogSink(stdout=StdoutSink())
    assert log_of(otlp) == AccessLog("json", stdout, otlp=export())
    alone = '[node.access_log]\nformat = "common"\nsink = "off"\n'
    assert log_of(alone + otlp) == AccessLog("common", None, otlp=export())
    assert log_of('[node.access_log]\nsink = "stdout"\n') == AccessLog("json", stdout)


def test_its_secrets_are_hidden_and_other_texts_of_the_log_are_not() -> None:
    rest = """[node.access_log]
sink = { path = "${env:LOG}" }
[node.access_log.otlp]
endpoint = "http://c:4318"
headers = { Authorization = { file = "key" }, x-key = "${env:KEY}" }
timeout = "2s"
"""
    log = log_of(rest)
    assert log is not None
    headers = {"authorization": "Bearer s3cret", "x-key": "hidden"}
    assert log.otlp == export(timeout_ms=2_000, headers=headers)
    assert loaded(rest).secrets == {"Bearer s3cret", "hidden"}


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        (
            '[node.access_log]\nsink = "off"',
            "node.access_log.sink: no sink and no collector gets the lines; name a collector in "
            '`otlp`, or write access_log = "off" in [node]',
        ),
        ('[node.access_log]\nsink = "none"', '"none" is not a sink; write "stdout", "off", {'),
        ('[node.access_log.otlp]\nservice_name = "a"', "node.access_log.otlp"),
        (
            '[node.access_log.otlp]\nendpoint = "http://c"\ntls = {}',
            "an endpoint with http has no TLS",
        ),
        (
            '[node.access_log.otlp]\nendpoint = "http://c"\nheaders = { host = "a" }',
            '"host" belongs to the export',
        ),
        (
            '[node.access_log.otlp]\nendpoint = "http://c"\nsample = 1',
            "node.access_log.otlp.sample",
        ),
    ],
)
def test_a_mistake_is_one_error_at_its_place(rest: str, said: str) -> None:
    (error,) = loaded(rest).errors
    assert said in str(error)
