"""`headgate nginx render` and `diff` with the real nginx: what comes out is accepted, no secret."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from peers import peer
from ports import free_port
from real_nginx import RealNginx
from running_node import HEADGATE, RunningNode, Upstream, config, get
from tls_authority import Authority, Pair
from waiting import DEADLINE_S, until

from headgate.cli.nginx.rendering import written

_CONFIG = """
[listeners.web]
address = "127.0.0.1:{port}"
protocol = "http"
default = true
tls = {{ default_certificate = "site" }}

[certificates.site]
cert_file = "{cert}"
key_file = "{key}"

[routes.shop]
hosts = ["shop.example"]
upstream = "app"
middlewares = [{{ request_headers = {{ set = {{ x-token = {{ file = "{token}" }} }} }} }}]
{more}
[upstreams.app]
endpoints = ["127.0.0.1:9001"]
"""


class _Case:
    """A config in a file, and the commands on it."""

    def __init__(self, folder: Path, pair: Pair) -> None:
        self.folder = folder
        self.config = folder / "headgate.toml"
        self._pair = pair
        self._port = free_port()
        self.write()

    def write(self, more: str = "", content: str = "first-secret") -> None:
        """Writes the config; `more` belongs to the route, `content` is a header's value."""
        pair = self._pair
        token = self.folder / "token"
        text = _CONFIG.format(
            port=self._port, cert=pair.cert_file, key=pair.key_file, more=more, token=token
        )
        self.config.write_text(text)
        token.write_text(content)

    def run(self, verb: str, *options: str) -> "subprocess.CompletedProcess[str]":
        """A verb on the config."""
        return subprocess.run(
            [HEADGATE, "nginx", verb, self.config, *options],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S * 3,
            check=False,
            env=os.environ | {"HEADGATE_STATE_DIR": str(self.folder / "s")},
        )


@pytest.fixture
def case(folder: Path) -> _Case:
    peer("nginx")
    return _Case(folder, Authority(folder).issue("site", "shop.example"))


def test_what_is_written_is_accepted_by_nginx(case: _Case, binary: Path) -> None:
    done = case.run("render", "--output-dir", str(case.folder / "out"))
    assert done.returncode == 0, done.stderr
    assert "files in" in done.stdout
    (case.folder / "s/nginx/run").mkdir(parents=True)
    (case.folder / "s/nginx/logs").mkdir()
    tested = subprocess.run(
        [binary, "-t", "-q", "-e", "stderr", "-c", case.folder / "out/nginx.conf"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert tested.returncode == 0, tested.stderr
    keys = [path for path in (case.folder / "out").rglob("*") if "PRIVATE" in _text(path)]
    assert keys
    assert all(key.stat().st_mode & 0o77 == 0 for key in keys)


@pytest.mark.parametrize("kind", ["text", "json"])
def test_what_is_printed_holds_no_secret(case: _Case, kind: str) -> None:
    done = case.run("render", "--output", kind)
    assert done.returncode == 0, done.stderr
    assert "shop.example" in done.stdout
    assert "PRIVATE KEY" not in done.stdout
    assert "first-secret" not in done.stdout
    if kind == "json":
        files = {one["path"]: one for one in json.loads(done.stdout)}
        assert "nginx.conf" in files
        assert any(one["is_secret"] for one in files.values())


def test_what_this_nginx_cannot_do_is_told_with_its_place(case: _Case) -> None:
    case.write('timeouts = { request = "5s" }\n')
    done = case.run("render")
    assert done.returncode == 78
    line = case.config.read_text().splitlines().index('timeouts = { request = "5s" }') + 1
    assert done.stderr.startswith(f"{case.config}:{line}:")
    assert "nginx has no limit for a whole request" in done.stderr
    assert done.stdout == ""


def test_a_config_that_is_wrong_is_told_as_check_does(case: _Case) -> None:
    case.write("nonsense = 1\n")
    done = case.run("render")
    assert done.returncode == 78
    assert "nonsense" in done.stderr


def test_a_binary_that_is_none_is_said(case: _Case) -> None:
    done = case.run("render", "--binary", str(case.folder / "none"))
    assert done.returncode == 1
    assert "none" in done.stderr


def test_a_diff_shows_what_an_apply_would_change_and_no_secret(case: _Case, folder: Path) -> None:
    state = folder / "state"
    state.mkdir()
    with RealNginx(state, blind=True) as nginx:
        made = written([case.config], nginx.root, str(nginx.binary), 1)
        release = nginx.store.stage(made.rendered, 1)  # type: ignore[arg-type]
        nginx.store.link("current", release.name)
        same = case.run("diff", "--root", str(state))
        assert (same.returncode, same.stdout) == (0, "nothing would change\n"), same.stderr

        case.write('match = [{ path = { exact = "/cart" } }]\n', "second-secret")
        Authority(folder).issue("site", "shop.example")
        done = case.run("diff", "--root", str(state))
    assert done.returncode == 0, done.stderr
    assert "/cart" in done.stdout
    assert "--- current/http/shop.example.conf" in done.stdout
    assert "x-token (not shown)" in done.stdout
    assert "content (not shown)" in done.stdout
    for secret in ("first-secret", "second-secret", "PRIVATE KEY"):
        assert secret not in done.stdout


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""


def test_a_diff_goes_by_the_names_and_the_orders_that_the_node_has(
    folder: Path, port: int, one: Upstream, two: Upstream
) -> None:
    peer("nginx")
    endpoints = f'["app.invalid:{one.port}", "{two.address}"]'
    text = config(port, one.address, extra='engine = "nginx"')
    node = RunningNode(folder, text.replace(f'["{one.address}"]', endpoints))
    (node.state / "nginx").mkdir(parents=True)
    (node.state / "nginx/addresses.json").write_text('{"app.invalid": ["127.0.0.1"]}')
    with node:
        node.until_ready()
        drained = node.command("endpoint", "app", two.address, "drain")
        assert drained.returncode == 0, drained.stderr
        until(lambda: {get(port) for _ in range(6)} == {(200, b"one")}, "the drain")
        same = node.command("nginx", "diff", str(node.config))
        assert (same.returncode, same.stdout) == (0, "nothing would change\n"), same.stderr
