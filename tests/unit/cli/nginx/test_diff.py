"""`headgate nginx diff`: with which release a config is compared, and what is shown."""

import json
from pathlib import Path

import pytest
from said_renderer import Renderer

from headgate.cli.nginx import rendering
from headgate.cli.nginx.rendering import BadConfigError
from headgate.engines.nginx.capabilities import NotProbedError
from headgate.engines.nginx.common.types import Generation, Rendered, RenderedFile
from headgate.engines.nginx.releases.names import ReleaseName
from headgate.engines.nginx.releases.store import Store
from headgate.engines.nginx.upkeep.standing import standing
from headgate.kernel.diagnostics import Diagnostic

KEY = b"-----BEGIN PRIVATE KEY-----\n"
OLD = (RenderedFile("a.key", KEY, 0o600), RenderedFile("nginx.conf", b"a;\n"))
NEW = (RenderedFile("a.key", KEY + b"b", 0o600), RenderedFile("nginx.conf", b"set $x s3cret;\n"))
SAID = (
    "a.key: changed, content (not shown)\n"
    "--- current/nginx.conf\n"
    "+++ new/nginx.conf\n"
    "@@ -1 +1 @@\n"
    "-a;\n"
    "+set $x (not shown);\n"
)


@pytest.fixture
def renderer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Renderer:
    one = Renderer("diff", tmp_path, Rendered(NEW, ()))
    monkeypatch.setattr(rendering, "written", one.written)
    return one


def release(root: Path) -> None:
    """Makes a release of the generation 4 the current one."""
    store = Store(root)
    store.link("current", store.stage(Rendered(OLD, ()), Generation(4)).name)


def test_a_config_is_compared_with_the_current_release(renderer: Renderer, tmp_path: Path) -> None:
    release(tmp_path / "nginx")
    assert renderer.run() == (0, SAID, "")
    code, out, _ = renderer.run("-o", "json")
    found = {one["path"]: one["change"] for one in json.loads(out)}
    assert (code, found["nginx.conf"]) == (0, "changed")
    renderer.rendered = Rendered(OLD, ())
    assert renderer.run() == (0, "nothing would change\n", "")
    other = tmp_path / "other"
    release(other)
    assert renderer.run("--root", str(other), "--binary", "/opt/nginx")[0] == 0
    configs = [Path("a.toml")]
    usual = (configs, tmp_path / "nginx", None, 4, standing)
    assert renderer.asked == [*[usual] * 3, (configs, other, "/opt/nginx", 4, standing)]


def test_without_a_release_everything_is_new(renderer: Renderer, tmp_path: Path) -> None:
    renderer.rendered = Rendered(NEW[:1], ())
    assert renderer.run() == (0, "a.key: added, content (not shown)\n", "")
    assert renderer.asked == [([Path("a.toml")], tmp_path / "nginx", None, 1, standing)]


def test_what_cannot_be_compared_is_said(renderer: Renderer, tmp_path: Path) -> None:
    renderer.error = BadConfigError([Diagnostic(file="a.toml", line=1, column=1, message="no")])
    assert renderer.run() == (78, "", "a.toml:1:1: no\n")
    renderer.error = NotProbedError("it says no")
    assert renderer.run() == (1, "", "headgate: it says no\n")
    renderer.error = None
    (tmp_path / "nginx").mkdir()
    Store(tmp_path / "nginx").link("current", ReleaseName(9, "0123456789ab"))
    code, out, err = renderer.run()
    assert (code, out) == (1, "")
    assert err.startswith("headgate: release 9-0123456789ab is not in the store")
