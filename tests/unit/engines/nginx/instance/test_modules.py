"""Which module files there are, and what has to be loaded before what."""

from pathlib import Path

import pytest

from headgate.engines.nginx.capabilities.probe import loads
from headgate.engines.nginx.common.types import Capabilities
from headgate.engines.nginx.instance.modules import (
    Module,
    built_with,
    files,
    fingerprint,
    order,
    short,
)

BUILD = """nginx version: nginx/1.22.1
configure arguments: --with-cc-opt='-g -O2 -fPIC' --prefix=/usr/share/nginx
 --conf-path=/etc/nginx/nginx.conf --modules-path=/usr/lib/nginx/modules --with-compat
"""


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("prefix", "/usr/share/nginx"),
        ("modules-path", "/usr/lib/nginx/modules"),
        ("with-cc-opt", "-g -O2 -fPIC"),
        ("pid-path", None),
    ],
)
def test_options_of_the_build_are_read(option: str, value: str | None) -> None:
    assert built_with(BUILD, option) == value


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/usr/lib/nginx/modules/ngx_stream_module.so", "stream"),
        ("/m/ngx_http_lua_module.so", "http_lua"),
        ("/m/ndk_http_module.so", "ndk_http"),
        ("/m/otel.so", "otel"),
    ],
)
def test_a_module_goes_by_its_short_name(path: str, name: str) -> None:
    assert short(path) == name


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Debian's layout in a root of its own, with a module elsewhere and a dangling line."""
    modules = tmp_path / "usr/lib/nginx/modules"
    modules.mkdir(parents=True)
    (modules / "ngx_stream_module.so").write_text("")
    (modules / "readme").write_text("")
    (tmp_path / "usr/share/nginx").mkdir(parents=True)
    (tmp_path / "usr/share/nginx/modules").symlink_to("../../lib/nginx/modules")
    (tmp_path / "opt").mkdir()
    (tmp_path / "opt/ngx_http_own_module.so").write_text("")
    enabled = tmp_path / "etc/nginx/modules-enabled"
    enabled.mkdir(parents=True)
    (enabled / "50-stream.conf").write_text("load_module modules/ngx_stream_module.so;\n")
    (enabled / "60-own.conf").write_text(
        "# load_module /opt/ngx_http_no_module.so;\nload_module /opt/ngx_http_own_module.so;\n"
    )
    (enabled / "70-gone.conf").symlink_to("/usr/share/nginx/modules-available/gone.conf")
    return tmp_path


def test_modules_are_those_of_the_path_and_those_that_lines_name(root: Path) -> None:
    found = files(root, BUILD, "/etc/nginx/nginx.conf")
    assert found == (
        "/opt/ngx_http_own_module.so",
        "/usr/lib/nginx/modules/ngx_stream_module.so",
    )


def test_without_a_modules_folder_there_are_none(tmp_path: Path) -> None:
    assert files(tmp_path, BUILD, "/etc/nginx/nginx.conf") == ()


def test_a_module_that_was_replaced_shows(root: Path) -> None:
    paths = files(root, BUILD, "/etc/nginx/nginx.conf")
    before = fingerprint(root, paths)
    assert fingerprint(root, paths) == before
    (root / "opt/ngx_http_own_module.so").write_text("more")
    assert fingerprint(root, paths) != before


KNOWN = {
    "ndk_http": Module("ndk_http", "/m/ndk.so"),
    "http_lua": Module("http_lua", "/m/lua.so", needs=("/m/ndk.so",)),
    "broken": Module("broken", "/m/broken.so", "no"),
}


def test_what_is_needed_comes_first_and_once() -> None:
    assert order(["ndk_http", "http_lua"], KNOWN) == ("/m/ndk.so", "/m/lua.so")
    assert order(["http_lua"], KNOWN) == ("/m/ndk.so", "/m/lua.so")
    assert order([], KNOWN) == ()


def test_a_module_that_is_missing_or_does_not_load_is_no_way() -> None:
    assert order(["http_lua", "broken"], KNOWN) is None
    assert order(["stream"], KNOWN) is None


def test_the_files_for_what_is_used_are_in_the_order_they_need() -> None:
    modules = {"ndk_http": "/m/ndk.so", "http_lua": "/m/lua.so", "stream": "/m/stream.so"}
    capabilities = Capabilities("d", "b", "v", frozenset({"lua_balancer", "stream"}), modules)
    assert loads(capabilities, ["stream", "lua_balancer"]) == (
        "/m/ndk.so",
        "/m/lua.so",
        "/m/stream.so",
    )
