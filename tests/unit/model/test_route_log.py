"""`routes.NAME.access_log`: all of a route's requests in the log, some, or none."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.plan.objects import Route

CONFIG = """
[listeners.web]
address = "127.0.0.1:1"
default = true

[routes.a]
respond = {{ status = 204 }}
{line}
"""


def loaded(line: str) -> "tuple[int | None, list[str]]":
    files = MemoryFiles({"a.toml": CONFIG.format(line=line)})
    done = load([PurePath("a.toml")], files, {"SHARE": "7", "NO": "false"})
    routes = [one.value for one in done.plan.objects.values()] if done.plan else []
    percent = [one.observed.access_log_percent for one in routes if isinstance(one, Route)]
    return (percent[0] if percent else None), [str(found) for found in done.diagnostics]


@pytest.mark.parametrize(
    ("line", "percent"),
    [
        ("", 100),
        ("access_log = true", 100),
        ("access_log = false", 0),
        ("access_log = 1", 1),
        ("access_log = 100", 100),
        ('access_log = "${env:SHARE}"', 7),
        ('access_log = "${env:NO}"', 0),
    ],
)
def test_a_share_is_a_percentage(line: str, percent: int) -> None:
    assert loaded(line) == (percent, [])


@pytest.mark.parametrize("value", ["0", "101", '"off"', "1.5", "[]"])
def test_what_is_no_share_is_explained(value: str) -> None:
    percent, (found,) = loaded(f"access_log = {value}")
    assert percent is None
    assert "a.toml:8:14: routes.a.access_log: " in found
    assert found.endswith("write true, false, or a percentage from 1 to 100")
