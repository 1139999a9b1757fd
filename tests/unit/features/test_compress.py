"""`compress`: what reaches the plan, and what is refused with its place."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.features.middleware.compress.spec import CompressNode
from headgate.features.nodes import node_of
from headgate.plan.middleware import Step

CONFIG = """
[listeners.web]
address = "127.0.0.1:1"
default = true

[routes.a]
respond = {{ status = 204 }}

[middlewares.m.compress]
{lines}
"""


def made(lines: str) -> tuple[list[object], list[str]]:
    """The nodes in the plan, and what is wrong."""
    done = load([PurePath("a.toml")], MemoryFiles({"a.toml": CONFIG.format(lines=lines)}), {})
    steps = [one.value for one in done.plan.objects.values()] if done.plan else []
    wrong = [str(found).partition("middlewares.m.compress")[2] for found in done.errors]
    return [node_of(one) for one in steps if isinstance(one, Step)], wrong


def test_without_keys_it_has_the_core_s_defaults() -> None:
    assert made("") == ([CompressNode()], [])


def test_every_key_reaches_the_plan() -> None:
    lines = """
types = ["Text/HTML", "text/html", "application/json"]
min_size = "off"
algorithms = ["gzip", "zstd", "gzip"]
gzip_level = 1
brotli_level = 0
zstd_level = 12
"""
    node = CompressNode(
        types=("text/html", "application/json"),
        min_bytes=0,
        codings=("gzip", "zstd"),
        gzip_level=1,
        brotli_level=0,
        zstd_level=12,
    )
    assert made(lines) == ([node], [])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("types = []", ".types: the list is empty; write at least one"),
        ("algorithms = []", ".algorithms: the list is empty; write at least one"),
        (
            'types = ["text/html; charset=utf-8"]',
            '.types[0]: "text/html; charset=utf-8" is not a type; '
            'write a type such as "text/html", without parameters',
        ),
    ],
)
def test_mistakes_are_explained(lines: str, message: str) -> None:
    assert made(lines) == ([], [message])


@pytest.mark.parametrize(
    ("key", "value"),
    [("gzip_level", 0), ("gzip_level", 10), ("zstd_level", 13), ("brotli_level", 10)],
)
def test_a_level_has_its_bounds(key: str, value: int) -> None:
    _, (found,) = made(f"{key} = {value}")
    assert found.startswith(f".{key}: ")
