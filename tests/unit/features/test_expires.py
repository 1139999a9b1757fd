"""`expires`: its one key, its plan node, and what is wrong with it."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.features.middleware.expires.spec import Expires, ExpiresNode

BASE = """
[listeners.web]
address = "127.0.0.1:8000"
default = true
[routes.all]
middlewares = ["one"]
respond = {{ status = 200 }}
[middlewares.one.expires]
{keys}
"""


def errors(keys: str) -> list[str]:
    found = load([PurePath("a.toml")], MemoryFiles({"a.toml": BASE.format(keys=keys)}), {})
    return [str(one) for one in found.errors]


@pytest.mark.parametrize(
    ("after", "node", "does"),
    [
        ("1h", ExpiresNode(after_s=3600), "after 1h"),
        ("366d", ExpiresNode(after_s=31_622_400), "after 8784h"),
        ("1.5m", ExpiresNode(after_s=90), "after 90s"),
        ("now", ExpiresNode(), "now"),
        ("max", ExpiresNode(fixed="max"), "max"),
        ("past", ExpiresNode(fixed="past"), "past"),
    ],
)
def test_a_time_or_a_word_reaches_the_plan(after: str, node: ExpiresNode, does: str) -> None:
    made = Expires.model_validate({"after": after}).to_plan()
    assert (made, made.does) == (node, does)
    assert not errors(f'after = "{after}"')


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ('after = "1500ms"', 'write "30s", "5m" or "1h"'),
        ('after = "0s"', 'or "now", "max", "past"'),
        ('after = "367d"', 'or "now", "max", "past"'),
        ('after = "soon"', 'or "now", "max", "past"'),
        ("after = 5", 'or "now", "max", "past"'),
        ("", "after"),
    ],
)
def test_anything_else_is_told_at_its_place(keys: str, said: str) -> None:
    (wrong,) = errors(keys)
    assert said in wrong and "middlewares.one.expires" in wrong
