"""A config as nginx text: for which instance it is made, and what is said where it cannot be."""

import os
import pwd
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from headgate.cli.nginx import rendering
from headgate.cli.nginx.rendering import BadConfigError, refused, written
from headgate.cli.reading import read
from headgate.compile.loaded import Loaded
from headgate.engines.nginx.capabilities import Binary, NotProbedError
from headgate.engines.nginx.common.types import (
    CannotExpress,
    Capabilities,
    Generation,
    Rendered,
    RightMissingError,
    Target,
)

ABLE = Capabilities("", "", "nginx/1.26", frozenset())
MADE = Rendered((), ())
CONFIG = """\
[node]
engine = "nginx"
workers = 3
[node.nginx]
binary = "/opt/nginx"
user = "proxy"
shutdown_timeout = "7s"
[listeners.web]
address = "127.0.0.1:8000"
default = true
[routes.a]
hosts = ["a.example"]
respond = { status = 204 }
"""


class Nginx:
    """An nginx that accepts what the test says; it keeps whom it was asked about, and for what."""

    def __init__(self) -> None:
        self.asked: list[tuple[Binary, Path | None]] = []
        self.targets: list[Target] = []
        self.error: Exception | None = None
        self.made: Rendered | list[CannotExpress] = MADE

    def probe(self, binary: Binary, folder: Path | None) -> SimpleNamespace:
        self.asked.append((binary, folder))
        if self.error is not None:
            raise self.error
        return SimpleNamespace(capabilities=ABLE)

    def render(
        self, _: object, blobs: Mapping[object, bytes], target: Target, imported: str | None
    ) -> Rendered | list[CannotExpress]:
        assert (dict(blobs), imported) == ({}, None)
        self.targets.append(target)
        return self.made


@pytest.fixture
def nginx(monkeypatch: pytest.MonkeyPatch) -> Nginx:
    one = Nginx()
    monkeypatch.setattr(rendering, "probe", one.probe)
    monkeypatch.setattr(rendering, "render_config", one.render)
    monkeypatch.setattr(rendering, "system_roots", lambda: "roots")
    return one


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "a.toml"
    file.write_text(CONFIG)
    return file


def loaded(config: Path) -> Loaded:
    return read([config], {})


def test_it_is_rendered_for_the_instance_in_its_folder(
    tmp_path: Path, config: Path, nginx: Nginx
) -> None:
    made = written([config], tmp_path, None, 4)
    assert made.rendered is MADE
    assert made.loaded.plan is not None
    assert nginx.asked == [(Binary("/opt/nginx"), tmp_path)]
    assert nginx.targets == [
        Target(
            capabilities=ABLE,
            mode="full",
            generation=Generation(4),
            root=str(tmp_path),
            pid_path=f"{tmp_path}/run/nginx.pid",
            status_socket=f"{tmp_path}/run/status.sock",
            access_log=f"{tmp_path}/logs/access.log",
            error_log=f"{tmp_path}/logs/error.log",
            user="proxy",
            workers=3,
            system_roots="roots",
            shutdown_timeout_s=7.0,
            endpoints="reload",
        )
    ]


def test_the_binary_is_the_given_one_or_the_configs_or_the_usual_one(
    tmp_path: Path, config: Path, nginx: Nginx
) -> None:
    away = tmp_path / "away"
    written([config], away, "/mine/nginx", 1)
    config.write_text(CONFIG.replace('binary = "/opt/nginx"', ""))
    written([config], away, None, 1)
    assert nginx.asked == [(Binary("/mine/nginx"), None), (Binary("/usr/sbin/nginx"), None)]


@pytest.mark.parametrize(
    ("user_id", "known", "user"),
    [
        (1000, ("www-data",), None),
        (0, ("root", "nobody", "nginx"), "nginx"),
        (0, ("root",), None),
    ],
)
def test_the_workers_of_a_root_master_have_the_first_usual_user_that_there_is(
    user_id: int,
    known: tuple[str, ...],
    user: str | None,
    tmp_path: Path,
    nginx: Nginx,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = tmp_path / "a.toml"
    config.write_text(CONFIG.replace('user = "proxy"', ""))
    entries = [SimpleNamespace(pw_name=name) for name in known]
    monkeypatch.setattr(os, "geteuid", lambda: user_id)
    monkeypatch.setattr(pwd, "getpwall", lambda: entries)
    written([config], tmp_path, None, 1)
    assert [one.user for one in nginx.targets] == [user]


def test_a_config_with_errors_is_not_rendered(tmp_path: Path, config: Path, nginx: Nginx) -> None:
    config.write_text(CONFIG + 'upstream = "none"\n')
    with pytest.raises(BadConfigError) as wrong:
        written([config], tmp_path, None, 1)
    assert wrong.value.diagnostics
    assert wrong.value.diagnostics == tuple(loaded(config).errors)
    assert str(wrong.value) == f"{len(wrong.value.diagnostics)} problems"
    assert nginx.asked == []
    assert refused(loaded(config)) == ()


def test_what_this_nginx_cannot_do_is_told_where_the_user_wrote_it(
    tmp_path: Path, config: Path, nginx: Nginx
) -> None:
    nginx.made = [CannotExpress("route", "a", "respond.status", "nginx has no such status")]
    with pytest.raises(BadConfigError) as wrong:
        written([config], tmp_path, None, 1)
    said = (
        f"{config}:13:13: routes.a.respond.status: nginx has no such status (engine nginx);"
        ' change it, or write `engine = "native"` in [node]'
    )
    assert [str(one) for one in wrong.value.diagnostics] == [said]
    nginx.targets.clear()
    assert refused(loaded(config)) == wrong.value.diagnostics
    assert [(one.root, one.generation) for one in nginx.targets] == [("/nonexistent", 1)]


def test_a_check_finds_nothing_in_what_nginx_accepts_or_only_observes(
    config: Path, nginx: Nginx
) -> None:
    assert refused(loaded(config)) == ()
    assert len(nginx.asked) == 1
    observed = 'mode = "observe"\nstart = "external"\nconf = "/etc/nginx/nginx.conf"\n'
    config.write_text(f'[node]\nengine = "nginx"\n[node.nginx]\n{observed}')
    assert loaded(config).plan is not None
    assert refused(loaded(config)) == ()
    assert len(nginx.asked) == 1


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (NotProbedError("it says no"), "it says no"),
        (RightMissingError("be root"), "be root"),
        (FileNotFoundError(2, "No such file", "/opt/nginx"), "/opt/nginx: no such file"),
        (OSError("broken"), "broken"),
    ],
)
def test_without_an_nginx_to_ask_a_check_only_warns(
    error: Exception, why: str, config: Path, nginx: Nginx
) -> None:
    nginx.error = error
    (one,) = refused(loaded(config))
    assert str(one) == (
        f"{config}:5:1: warning: node.nginx.binary: what nginx refuses of this config is not"
        f" known: {why}; name an nginx that runs here as `binary`, or check where it runs"
    )
