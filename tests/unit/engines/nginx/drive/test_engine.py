"""When an engine asks its binary again what it accepts."""

import os
from pathlib import Path

import pytest

from headgate.compile.settings import NginxSettings
from headgate.engines.nginx.capabilities import Binary, Probed, cache
from headgate.engines.nginx.common.types import Capabilities
from headgate.engines.nginx.drive.engine import NginxEngine


def test_a_module_that_is_installed_replaced_or_removed_is_probed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "modules"
    folder.mkdir()
    build = f"configure arguments: --modules-path={folder}"
    asked: list[list[str]] = []

    def probed(binary: Binary, build: str) -> Probed:
        names = sorted(one.name for one in folder.iterdir())
        asked.append(names)
        return Probed(Capabilities(binary.digest(), build, "nginx", frozenset(names), {}), ())

    monkeypatch.setattr(Binary, "build", lambda _: build)
    monkeypatch.setattr(cache, "probed", probed)
    engine = NginxEngine(tmp_path / "nginx", NginxSettings(binary="/bin/true"))
    module = folder / "ngx_stream_module.so"

    assert engine._probe().accepted == set()
    assert engine._probe() is engine._probe()
    module.touch()
    assert engine._probe().accepted == {module.name}
    os.utime(module, ns=(1, 1))
    engine._probe()
    module.unlink()
    assert engine._probe().accepted == set()
    assert asked == [[], [module.name], [module.name]], "the first one's answer was kept"
