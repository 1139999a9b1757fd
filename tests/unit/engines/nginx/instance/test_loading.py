"""Which libraries a config may load before it is tested."""

from pathlib import Path

import pytest

from headgate.engines.nginx.instance.loading import AllowList

BUILD = "configure arguments: --prefix=/usr/share/nginx --modules-path=/usr/lib/nginx/modules"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Debian's layout with a library that somebody brought."""
    (tmp_path / "usr/lib/nginx/modules").mkdir(parents=True)
    (tmp_path / "usr/lib/nginx/modules/ngx_stream_module.so").write_text("")
    (tmp_path / "usr/share/nginx").mkdir(parents=True)
    (tmp_path / "usr/share/nginx/modules").symlink_to("../../lib/nginx/modules")
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp/ngx_stream_module.so").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("value", "permitted"),
    [
        ("/usr/lib/nginx/modules/ngx_stream_module.so", True),
        ("modules/ngx_stream_module.so", True),
        ("/usr/lib/nginx/../nginx/modules/ngx_stream_module.so", True),
        ("/tmp/ngx_stream_module.so", False),
        ("modules/../../../../tmp/ngx_stream_module.so", False),
        ("modules/ngx_stream_module.so\0", False),
        ("/nowhere.so", False),
        ("", False),
    ],
)
def test_only_files_that_were_found_beside_the_binary_may_be_loaded(
    root: Path, value: str, permitted: bool
) -> None:
    allowed = AllowList.of(root, BUILD)
    assert allowed.permits(value) is permitted


def test_relative_paths_follow_the_instances_own_prefix(root: Path) -> None:
    allowed = AllowList.of(root, BUILD, "/tmp")
    assert not allowed.permits("modules/ngx_stream_module.so")
    assert not allowed.permits("ngx_stream_module.so")
