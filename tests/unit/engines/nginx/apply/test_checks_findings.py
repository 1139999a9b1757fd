"""What LINT, TEST and PREFLIGHT find in a release, together, beside an nginx that is pretended."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from tls_authority import Authority

from headgate.engines.nginx.apply import checks, preflight
from headgate.engines.nginx.apply.causes import Finding
from headgate.engines.nginx.apply.checks import Checks, Limits
from headgate.engines.nginx.common import types
from headgate.engines.nginx.common.types import (
    Generation,
    Instance,
    Process,
    Rendered,
    RenderedFile,
    RightMissingError,
)
from headgate.engines.nginx.observe.processes import InstanceFigures
from headgate.engines.nginx.releases.store import Release, Store

SITE = "# route shop\nserver {\n    listen 80;\n}\n"


class Told:
    """An nginx of which everything is told beforehand; each address is held by somebody else."""

    def __init__(self) -> None:
        self.is_up = True
        self.tested = types.Tested(True)
        self.confs: list[str] = []
        self.upgrades = [False]
        self.kept: Callable[[str], str | None] = lambda path: path

    def master(self) -> Process | None:
        return Process(1, 1) if self.is_up else None

    def workers(self) -> tuple[Process, ...]:
        return (Process(2, 1),)

    def is_upgrading(self) -> bool:
        return self.upgrades.pop(0) if len(self.upgrades) > 1 else self.upgrades[0]

    def test(self, conf: str) -> types.Tested:
        self.confs.append(conf)
        return self.tested

    def holder(self, address: str) -> str | None:
        return f"the holder of {address}"

    def kept_from_workers(self, path: str) -> str | None:
        return self.kept(path)

    def checks(self, **more: object) -> Checks:
        made = {"limits": Limits(), "resolve": lambda _: False, **more}
        return Checks(cast(Instance, self), **made)  # type: ignore[arg-type]


@pytest.fixture
def nginx() -> Told:
    return Told()


def staged(
    root: Path, at: int, files: Mapping[str, str], *listeners: str, zone: str = ""
) -> Release:
    rendered = tuple(RenderedFile(path, text.encode()) for path, text in files.items())
    zones = {"z": zone} if zone else {}
    return Store(root).stage(Rendered(rendered, listeners, zones), Generation(at))


def codes(found: tuple[Finding, ...]) -> list[str]:
    return [one.code for one in found]


def test_what_nginx_says_has_its_place_and_its_warnings_are_no_errors(
    nginx: Told, tmp_path: Path
) -> None:
    release = staged(tmp_path, 1, {"nginx.conf": "http { include a.conf; }", "a.conf": SITE})
    nginx.tested = types.Tested(
        False,
        (f'nginx: [emerg] unknown directive "x" in {release.path}/a.conf:3',),
        (
            f"nginx: [warn] it is odd in {tmp_path}/current/a.conf:2",
            f"nginx: [warn] it is odd in {tmp_path}/current/none.conf:2",
        ),
    )
    error, *warnings = nginx.checks().test(release)
    assert (error.code, error.file, error.line) == ("syntax", "a.conf", 3)
    assert (error.object, error.is_error) == ("route shop", True)
    assert [(one.file, one.object, one.is_error) for one in warnings] == [
        ("a.conf", "route shop", False),
        ("none.conf", "", False),
    ]
    nginx.tested = types.Tested(True)
    assert nginx.checks(entry="/their.conf").test(release) == ()
    nginx.tested = types.Tested(False)
    assert nginx.checks().test(release) == (Finding("nginx", "nginx -t failed without a word"),)
    assert nginx.confs == [str(release.conf), "/their.conf", str(release.conf)]


def test_preflight_looks_at_the_host_and_only_at_listeners_that_are_new(
    nginx: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "figures", lambda *_: InstanceFigures(None, ()))
    monkeypatch.setattr(preflight, "_meminfo", lambda: 0)
    monkeypatch.setattr(preflight, "_resident", lambda _: 1)
    first = staged(tmp_path, 1, {"nginx.conf": ""}, "*:80")
    second = staged(tmp_path, 2, {"nginx.conf": "#"}, "*:80", "*:81")
    one = nginx.checks(limits=Limits(draining_cap=0, folders=(tmp_path, tmp_path / "none")))
    found = one.preflight(second, first)
    assert codes(found) == ["missing_file", "port_held", "draining", "memory"]
    assert found[1].text == "*:81 is held by the holder of *:81"
    for running, is_up in ((None, True), (first, False)):
        nginx.is_up = is_up
        assert codes(one.preflight(second, running)).count("port_held") == 2, "nobody else is us"
    nginx.upgrades = [True]
    monkeypatch.setattr(checks, "_UPGRADE_S", 0.0)
    assert one.preflight(second, first) == (preflight.upgrading(),)


@pytest.mark.parametrize(
    ("upgrades", "is_one", "asked_until"),
    [([False], False, 0.0), ([True, True, False], False, 0.5), ([True], True, 0.5)],
)
def test_only_a_second_master_that_stays_is_an_upgrade(
    nginx: Told,
    monkeypatch: pytest.MonkeyPatch,
    upgrades: list[bool],
    is_one: bool,
    asked_until: float,
) -> None:
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[-1], sleep=lambda s: now.append(now[-1] + 5 * s))
    monkeypatch.setattr(checks, "time", clock)
    nginx.upgrades = upgrades
    assert nginx.checks().is_upgrading() is is_one
    assert now[-1] == asked_until


CONF = """load_module /tmp/evil.so;
working_directory /no/such;
http {{
    server {{ server_name a; ssl_certificate {cert}; ssl_certificate_key {key}; }}
    server {{ server_name a; ssl_certificate /no/such/$http_x; auth_basic_user_file users; }}
    server {{ server_name b; location / {{ proxy_pass http://gone.example; }} }}
}}
"""


def test_lint_tells_all_that_is_wrong_with_a_release(nginx: Told, tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("one", "a")
    conf = CONF.format(cert=pair.cert_file, key=pair.key_file)
    running = staged(tmp_path, 1, {"nginx.conf": ""}, "*:80", "*:81", "*:82", zone="a")
    release = staged(tmp_path, 2, {"nginx.conf": conf, "users": ""}, "*:81", zone="b")
    found = nginx.checks(permits=lambda _: False, clock=lambda: 4e9).lint(release, running)
    wrong = [
        "foreign_module",
        "duplicate_name",
        "zone_clash",
        "worker_init",
        "expired",
        "certificate",
        "password_file",
        "unresolvable",
        "listener_gone",
    ]
    assert codes(found) == wrong
    assert found[-1] == Finding("listener_gone", "no longer listens on *:80, *:82", is_error=False)

    def unknown(path: str) -> str | None:
        raise RightMissingError(path)

    nginx.kept = unknown
    found = nginx.checks(clock=lambda: 4e9).lint(release, None)
    without = {"foreign_module", "zone_clash", "password_file", "listener_gone"}
    assert codes(found) == [code for code in wrong if code not in without]


def test_of_a_config_that_cannot_be_read_lint_tells_this_alone(nginx: Told, tmp_path: Path) -> None:
    release = staged(tmp_path, 1, {"nginx.conf": "working_directory /no/such; http {"})
    assert codes(nginx.checks().lint(release, None)) == ["syntax"]
