"""Names of files and variables that the system gives as bytes without a text."""

import os
from pathlib import Path, PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.kernel.diagnostics import Diagnostic
from headgate.providers.file.disk import DiskFiles

GOOD = """
[listeners.web]
address = "127.0.0.1:8000"
default = true
[routes.r]
respond = { status = 200, body = "x" }
"""


def test_a_document_in_a_directory_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(GOOD)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xff.toml")).write_text("")
    found = load([tmp_path], DiskFiles(), {})
    assert found.plan is None
    assert found.diagnostics == (
        Diagnostic(
            file=f"{tmp_path}/b\\xff.toml",
            message="the name of the file is not UTF-8",
            allowed="rename or remove it",
        ),
    )


@pytest.mark.parametrize(
    "line",
    [
        'respond = { status = 200, body = "${env:V}" }',
        'respond = { status = 200 }\nhosts = ["${env:V}.example"]',
        'respond = { status = 200 }\nmatch = [{ headers.x-a = "${env:V}" }]',
        'respond = { status = 200 }\nmatch = [{ path.prefix = "/${env:V}" }]',
        'redirect = { to = "https://${env:V}/" }',
    ],
)
def test_a_variable_is_refused_where_it_stands(line: str) -> None:
    text = GOOD.replace('respond = { status = 200, body = "x" }', line)
    found = load([PurePath("a.toml")], MemoryFiles({"a.toml": text}), {"V": "a\udcff"})
    assert found.plan is None
    (one,) = (one for one in found.diagnostics if "variable" in one.message)
    assert (one.message, one.allowed) == (
        'the variable "V" is not UTF-8',
        "set it to text in UTF-8, or name another variable",
    )
    assert one.line == text.splitlines().index(line.splitlines()[-1]) + 1
