"""`listeners.NAME.http2`: what it becomes in the plan, and what is refused with its place."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.kernel.ids import ObjectName
from headgate.plan.http2 import Http2, Http2Budgets, Http2Output, Http2Timeouts, Http2Windows
from headgate.plan.kinds import ObjectKey
from headgate.plan.objects import Listener

BASE = """
[routes.all]
respond = { status = 204 }
[listeners.web]
address = "127.0.0.1:8000"
default = true
"""

EVERY = """
[listeners.web.http2]
streams = 1
dispatched = 2
bodies = 3
header_list = "4KiB"
continuations = 5
windows = { initial = "16KiB", max = "17KiB", connection = "64KiB" }
output = { frames = "65KiB", control_frames = 10, answers = "66KiB" }

[listeners.web.http2.timeouts]
settings = "1s"
idle = "2s"
write = "3s"
drain = "4s"
ping_after = "5s"
ping = "6s"

[listeners.web.http2.budgets]
resets = 11
reset_wait = "7ms"
settings = 12
pings = 13
priorities = 14
other_frames = 15
small_data = 16
small_messages = 17
empty_data = 1
window_updates = 2
work = 100
"""


def loaded(rest: str) -> Loaded:
    return load([PurePath("a.toml")], MemoryFiles({"a.toml": BASE + rest}), {})


def http2(rest: str) -> Http2:
    found = loaded(rest)
    assert found.plan is not None, [str(one) for one in found.errors]
    value = found.plan.objects[ObjectKey("listener", ObjectName("web"))].value
    assert isinstance(value, Listener)
    return value.http2


def test_what_is_not_written_has_the_cores_defaults() -> None:
    assert http2("") == Http2()
    spelled_out = (
        "http2 = { streams = 128, windows = {}, output = {}, budgets = {}, timeouts = {} }"
    )
    assert http2(spelled_out) == Http2()


def test_every_key_reaches_the_plan() -> None:
    assert http2(EVERY) == Http2(
        streams=1,
        dispatched=2,
        bodies=3,
        header_list_bytes=4096,
        continuations=5,
        windows=Http2Windows(16 << 10, 17 << 10, 64 << 10),
        output=Http2Output(65 << 10, 10, 66 << 10),
        budgets=Http2Budgets(11, 7, 12, 13, 14, 15, 16, 17, 1, 2, 100),
        timeouts=Http2Timeouts(1000, 2000, 3000, 4000, 5000, 6000),
    )


def test_windows_that_are_not_written_are_at_least_that_of_a_stream() -> None:
    made = http2('http2 = { windows = { initial = "2MiB" } }')
    assert made.windows == Http2Windows(2 << 20, 2 << 20, 2 << 20)


@pytest.mark.parametrize(
    ("written", "path", "wrong"),
    [
        ("{ streams = 0 }", "streams", "0 is out of range; write a whole number from 1 to 10000"),
        ("{ dispatched = 10001 }", "dispatched", "write a whole number from 1 to 10000"),
        ("{ bodies = 0 }", "bodies", "0 is not a limit; write a whole number from 1 to 10000, or"),
        ('{ header_list = "1B" }', "header_list", 'write a size from "1KiB" to "16MiB"'),
        ("{ continuations = 0 }", "continuations", "write a whole number from 1 to 1000"),
        ("{ max_streams = 5 }", "max_streams", "the key is unknown"),
        ('{ windows = { initial = "1KiB" } }', "windows.initial", 'from "16KiB" to "64MiB"'),
        (
            '{ windows = { initial = "64KiB", max = "32KiB" } }',
            "windows.max",
            '"32KiB" is smaller than `initial`; write at least "64KiB"',
        ),
        (
            '{ windows = { initial = "2MiB", connection = "1MiB" } }',
            "windows.connection",
            '"1MiB" is smaller than `initial`; write at least "2MiB"',
        ),
        ('{ output = { frames = "1KiB" } }', "output.frames", 'from "64KiB" to "1GiB"'),
        ("{ output = { control_frames = 9 } }", "output.control_frames", "from 10 to 1000000"),
        ("{ budgets = { settings = 9 } }", "budgets.settings", "from 10 to 1000000"),
        ("{ budgets = { resets = -1 } }", "budgets.resets", "from 10 to 1000000"),
        ('{ budgets = { reset_wait = "2m" } }', "budgets.reset_wait", 'from "1ms" to "1m"'),
        (
            "{ budgets = { small_data = 20, small_messages = 19 } }",
            "budgets.small_messages",
            "19 is less than `small_data`; write at least 20",
        ),
        ("{ budgets = { work = 99 } }", "budgets.work", "from 100 to 10000000"),
        ('{ timeouts = { write = "off" } }', "timeouts.write", '"off" is not a duration'),
        ('{ timeouts = { ping_after = "1ms" } }', "timeouts.ping_after", 'from "1s" to "24h"'),
    ],
)
def test_a_wrong_limit_is_one_error_at_its_place(written: str, path: str, wrong: str) -> None:
    (error,) = loaded(f"http2 = {written}").errors
    assert "a.toml:7:" in str(error)
    assert f"listeners.web.http2.{path}: " in str(error)
    assert wrong in str(error)
