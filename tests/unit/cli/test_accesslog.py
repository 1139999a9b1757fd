"""The requests of a log file, as commands read them."""

from pathlib import Path

import pytest

from headgate.cli.accesslog import read_file
from headgate.compile.routing import Question


def test_a_log_file_is_read_also_where_it_is_not_text(tmp_path: Path) -> None:
    line = b'192.0.2.7 - - [20/Nov/2026:08:59:02 +0000] "GET /a HTTP/1.1" 200 1\n'
    log = tmp_path / "access.log"
    log.write_bytes(line + b"\xff\n" + line)
    logged = read_file(log, "https://a.example")
    assert logged.questions == [(Question("https://a.example/a", client="192.0.2.7"), 2)]
    assert logged.skipped == 1
    assert read_file(log).skipped == 3, "their host is not known"
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "none.log")
