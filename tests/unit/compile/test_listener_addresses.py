"""A node that opens listeners at addresses of its own, in place of those of the shared config."""

import json
from pathlib import PurePath

from memory_files import MemoryFiles

from headgate.compile.compiler import Compiler
from headgate.compile.lints import lints
from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.compile.sources import Given, Trust
from headgate.plan.objects import Listener

SHARED = """
[listeners.web]
address = ["0.0.0.0:80", "[::]:80"]
default = true
[listeners.other]
address = "127.0.0.1:8002"
[routes.all]
respond = { status = 200 }
"""
PATHS = [PurePath("own.toml"), PurePath("shared.toml")]


def files(own: str, shared: str = SHARED) -> MemoryFiles:
    return MemoryFiles({"own.toml": own, "shared.toml": shared})


def addresses(loaded: Loaded) -> dict[str, tuple[str, ...]]:
    assert loaded.plan is not None, [str(one) for one in loaded.diagnostics]
    return {
        key.name: entry.value.addresses
        for key, entry in loaded.plan.objects.items()
        if isinstance(entry.value, Listener)
    }


def test_a_listener_opens_where_the_node_says_and_the_others_where_the_config_says() -> None:
    own = '[node.listener_addresses]\nweb = "127.0.0.1:8001"\n'
    found = addresses(load(PATHS, files(own), {}))
    assert found == {"web": ("127.0.0.1:8001",), "other": ("127.0.0.1:8002",)}


def test_a_change_of_it_alone_moves_the_listener_there_and_back() -> None:
    compiler, on_disk = Compiler(), files("[node]\n")
    assert addresses(compiler.load(PATHS, on_disk, {}))["web"] == ("0.0.0.0:80", "[::]:80")
    on_disk.content["own.toml"] = (
        '[node.listener_addresses]\nweb = ["127.0.0.1:1", "127.0.0.1:2"]\n'
    )
    assert addresses(compiler.load(PATHS, on_disk, {}))["web"] == ("127.0.0.1:1", "127.0.0.1:2")
    on_disk.content["own.toml"] = "[node]\n"
    assert addresses(compiler.load(PATHS, on_disk, {}))["web"] == ("0.0.0.0:80", "[::]:80")


def test_it_holds_for_what_a_provider_writes() -> None:
    spec = {"address": "0.0.0.0:80", "default": True}
    document = json.dumps({"listeners": {"web": spec}, "routes": {"all": {"respond": {}}}})
    on_disk = MemoryFiles(
        {"own.toml": '[node.listener_addresses]\nweb = "127.0.0.1:8001"\n', "web.json": document}
    )
    given = Given(PurePath("web.json"), Trust.QUARANTINE, PurePath())
    loaded = load([PurePath("own.toml"), given], on_disk, {})
    assert addresses(loaded) == {"web": ("127.0.0.1:8001",)}
    assert not loaded.quarantined


def test_an_address_that_another_listener_has_is_refused() -> None:
    own = '[node.listener_addresses]\nweb = ["127.0.0.1:8001", "127.0.0.1:8002"]\n'
    loaded = load(PATHS, files(own), {})
    assert loaded.plan is None
    assert any("127.0.0.1:8002" in str(one) for one in loaded.errors)


def test_a_name_that_no_listener_has_is_warned_of_with_its_place() -> None:
    own = '[node.listener_addresses]\nweb = "127.0.0.1:8001"\nwep = "127.0.0.1:8003"\n'
    (warning,) = lints(load(PATHS, files(own), {}))
    assert (warning.file, warning.line, warning.path) == (
        "own.toml",
        3,
        "node.listener_addresses.wep",
    )
    assert warning.message == 'there is no listener "wep" to open here'


def test_what_is_no_address_is_an_error() -> None:
    (error,) = load(PATHS, files('[node.listener_addresses]\nweb = "everywhere"\n'), {}).errors
    assert error.path.startswith("node.listener_addresses.web")
