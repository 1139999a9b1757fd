"""Where `node.nginx.imported` may be said."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.compile.loaded import Loaded


def loaded(keys: str) -> Loaded:
    text = f'[node]\nengine = "nginx"\n[node.nginx]\nimported = "/srv/import"\n{keys}\n'
    return load([PurePath("h.toml")], MemoryFiles({"h.toml": text}), {})


def test_an_nginx_whose_config_is_ours_may_run_an_import() -> None:
    node = loaded("").node
    assert node is not None
    assert node.nginx.imported == "/srv/import"


@pytest.mark.parametrize(
    ("keys", "at"),
    [
        ('mode = "guest"\nstart = "systemd"', "imported"),
        ('mode = "observe"\nstart = "systemd"', "imported"),
        ('endpoints = "lua"', "endpoints"),
    ],
)
def test_what_it_contradicts_is_refused_at_its_key(keys: str, at: str) -> None:
    found = loaded(keys).diagnostics
    assert [one.path for one in found] == [f"node.nginx.{at}"]


def test_its_path_is_absolute() -> None:
    found = loaded("").diagnostics
    assert not found
    text = '[node]\nengine = "nginx"\n[node.nginx]\nimported = "import"\n'
    wrong = load([PurePath("h.toml")], MemoryFiles({"h.toml": text}), {}).diagnostics
    assert [one.path for one in wrong] == ["node.nginx.imported"]
