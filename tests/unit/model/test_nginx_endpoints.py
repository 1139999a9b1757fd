"""Where `node.nginx.endpoints = "lua"` may be said."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.compile.loaded import Loaded


def loaded(keys: str) -> Loaded:
    text = f'[node]\nengine = "nginx"\n[node.nginx]\n{keys}\n'
    return load([PurePath("h.toml")], MemoryFiles({"h.toml": text}), {})


def test_a_reload_is_the_default() -> None:
    node = loaded("").node
    assert node is not None
    assert node.nginx.endpoints == "reload"


@pytest.mark.parametrize("start", ["own", "systemd"])
def test_lua_is_for_an_nginx_whose_config_is_ours(start: str) -> None:
    node = loaded(f'endpoints = "lua"\nstart = "{start}"').node
    assert node is not None
    assert node.nginx.endpoints == "lua"


@pytest.mark.parametrize(
    "keys",
    [
        'mode = "guest"\nstart = "systemd"',
        'mode = "observe"\nstart = "systemd"',
        'start = "external"',
    ],
)
def test_elsewhere_it_is_refused_at_its_key(keys: str) -> None:
    found = loaded(f'endpoints = "lua"\n{keys}').diagnostics
    assert [one.path for one in found] == ["node.nginx.endpoints"]
