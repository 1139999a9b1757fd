"""`routes.NAME.access_log`: all of a route's requests in the log, some, or none."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.plan.objects import Observed, Route

CONFIG = """
[listeners.web]
address = "127.0.0.1:1"
default = true

[routes.a]
respond = {{ status = 204 }}
{line}
"""


ERRORS = ((500, 599),)


def observed(line: str) -> "tuple[Observed | None, list[str]]":
    files = MemoryFiles({"a.toml": CONFIG.format(line=line)})
    done = load([PurePath("a.toml")], files, {"SHARE": "7", "NO": "false"})
    routes = [one.value for one in done.plan.objects.values()] if done.plan else []
    found = [one.observed for one in routes if isinstance(one, Route)]
    return (found[0] if found else None), [str(one) for one in done.diagnostics]


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
    statuses = ERRORS if percent else ()
    assert observed(line) == (Observed(percent, statuses), [])


@pytest.mark.parametrize(
    ("table", "wanted"),
    [
        ("", Observed(0, ERRORS)),
        ("share = 7", Observed(7, ERRORS)),
        ('statuses = "4xx"', Observed(0, ((400, 499),))),
        ('statuses = ["5xx", 404, "400-403"]', Observed(0, ((400, 403), (404, 404), (500, 599)))),
        ('statuses = [], slower_than = "1s"', Observed(0, (), 1000)),
        ('slower_than = "250ms", share = "${env:SHARE}"', Observed(7, ERRORS, 250)),
    ],
)
def test_a_table_chooses_by_status_and_time(table: str, wanted: Observed) -> None:
    assert observed(f"access_log = {{ {table} }}") == (wanted, [])


@pytest.mark.parametrize("value", ["0", "101", '"off"', "1.5", "[]"])
def test_what_is_no_share_is_explained(value: str) -> None:
    one, (found,) = observed(f"access_log = {value}")
    assert one is None
    assert "a.toml:8:14: routes.a.access_log: " in found
    assert "write true, false, a percentage from 1 to 100, or a table such as" in found


@pytest.mark.parametrize(
    ("table", "path", "told"),
    [
        ("share = 0", "share", "write true, false, or a percentage from 1 to 100"),
        ('statuses = ["6xx"]', "statuses[0]", '"6xx" is not a status'),
        ('slower_than = "fast"', "slower_than", "fast"),
        ('share = true, statuses = ["4xx"]', "share", "nothing is left to choose"),
        ("status = 404", "status", "statuses"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(table: str, path: str, told: str) -> None:
    one, (found,) = observed(f"access_log = {{ {table} }}")
    assert one is None
    assert f"routes.a.access_log.{path}: " in found
    assert told in found
