"""`decompress`: what reaches the plan, and what is refused with its place."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.features.middleware.decompress.spec import DecompressNode
from headgate.features.nodes import node_of
from headgate.plan.middleware import Step

CONFIG = """
[listeners.web]
address = "127.0.0.1:1"
default = true

[routes.a]
respond = {{ status = 204 }}

[middlewares.m.decompress]
{lines}
"""


def made(lines: str) -> tuple[list[object], list[str]]:
    """The nodes in the plan, and what is wrong."""
    done = load([PurePath("a.toml")], MemoryFiles({"a.toml": CONFIG.format(lines=lines)}), {})
    steps = [one.value for one in done.plan.objects.values()] if done.plan else []
    wrong = [str(found).partition("middlewares.m.decompress")[2] for found in done.errors]
    return [node_of(one) for one in steps if isinstance(one, Step)], wrong


def test_without_keys_it_has_the_core_s_defaults() -> None:
    assert made("") == ([DecompressNode()], [])


def test_every_key_reaches_the_plan() -> None:
    lines = """
algorithms = ["gzip", "deflate", "gzip"]
limit = "1MiB"
ratio = 7
layers = 2
unsupported = "pass"
"""
    node = DecompressNode(
        codings=("gzip", "deflate"), limit_bytes=1 << 20, ratio=7, layers=2, unsupported="pass"
    )
    assert made(lines) == ([node], [])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("algorithms = []", ".algorithms: the list is empty; write at least one"),
        (
            'limit = "0B"',
            '.limit: "0B" leaves no room at all; '
            'write a number and a unit: "512B", "64KiB", "10MiB", "1GB"',
        ),
    ],
)
def test_mistakes_are_explained(lines: str, message: str) -> None:
    assert made(lines) == ([], [message])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ratio", "0"),
        ("layers", "0"),
        ("layers", "4"),
        ("limit", '"off"'),
        ("algorithms", '["compress"]'),
        ("unsupported", '"no"'),
    ],
)
def test_bounds_cannot_be_left_out(key: str, value: str) -> None:
    _, (found,) = made(f"{key} = {value}")
    assert found.startswith(f".{key}")
