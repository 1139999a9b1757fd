"""LINT of one release after the other: what is read anew, and what is known."""

from collections.abc import Callable
from pathlib import Path

import pytest

from headgate.engines.nginx.apply import checks as module
from headgate.engines.nginx.apply.checks import Checks, Limits
from headgate.engines.nginx.apply.conftree import Conf, DiskFiles, read_conf
from headgate.engines.nginx.common.types import Generation, Rendered, RenderedFile
from headgate.engines.nginx.instance import NginxInstance, Place
from headgate.engines.nginx.releases.store import Release, Store

Stage = Callable[[int, str], Release]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    store = Store(tmp_path)

    def make(generation: int, zone: str) -> Release:
        text = f"http {{ limit_req_zone {zone} zone=z:1m rate=1r/s; }}".encode()
        return store.stage(
            Rendered((RenderedFile("nginx.conf", text),), ()), Generation(generation)
        )

    return make


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were asked for, in order."""
    asked: list[Path] = []

    def spy(entry: Path, files: DiskFiles | None = None) -> Conf:
        asked.append(entry)
        return read_conf(entry, files)

    monkeypatch.setattr(module, "read_conf", spy)
    return asked


def checks(root: Path, entry: Path | None = None) -> Checks:
    place = Place(conf="nginx.conf", prefix="", pid_path="nginx.pid")
    name = str(entry) if entry is not None else None
    return Checks(NginxInstance(place), Limits(), entry=name, resolve=lambda _: True)


def codes(one: Checks, release: Release, running: Release | None) -> list[str]:
    return [finding.code for finding in one.lint(release, running)]


def test_a_release_that_was_linted_is_not_read_again_to_compare_with(
    tmp_path: Path, stage: Stage, read: list[Path]
) -> None:
    lints = checks(tmp_path)
    first, refused, second = stage(1, "$a"), stage(2, "$b"), stage(3, "$a")
    assert codes(lints, first, None) == []
    assert codes(lints, refused, first) == ["zone_clash"]
    assert codes(lints, second, first) == []
    assert read == [first.conf, refused.conf, second.conf]


def test_a_release_that_others_edited_is_read_again_to_compare_with(
    tmp_path: Path, stage: Stage
) -> None:
    """They may have had it reloaded: a clash is with what is there now."""
    lints = checks(tmp_path)
    first, second = stage(1, "$a"), stage(2, "$a")
    assert codes(lints, first, None) == []
    first.conf.chmod(0o640)
    first.conf.write_text(first.conf.read_text().replace("$a", "$b"))
    assert codes(lints, second, first) == ["zone_clash"]


def test_a_file_that_others_add_is_read_too(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def make(generation: int, text: str) -> Release:
        files = (RenderedFile("nginx.conf", text.encode()), RenderedFile("http/a.conf", b"#"))
        return store.stage(Rendered(files, ()), Generation(generation))

    zone = "limit_req_zone {} zone=z:1m rate=1r/s;"
    first = make(1, "http { include http/*.conf; }")
    second = make(2, f"http {{ include http/*.conf; {zone.format('$a')} }}")
    lints = checks(tmp_path)
    assert codes(lints, first, None) == []
    (first.path / "http").chmod(0o750)
    (first.path / "http/b.conf").write_text(zone.format("$b"))
    assert codes(lints, second, first) == ["zone_clash"]


def test_after_a_start_what_runs_is_read(tmp_path: Path, stage: Stage, read: list[Path]) -> None:
    first, second = stage(1, "$a"), stage(2, "$b")
    assert codes(checks(tmp_path), second, first) == ["zone_clash"]
    assert sorted(read) == [first.conf, second.conf]


def test_the_files_of_others_are_read_each_time(
    tmp_path: Path, stage: Stage, read: list[Path]
) -> None:
    entry = tmp_path / "their.conf"
    entry.write_text(f"include {tmp_path}/current/nginx.conf;")
    lints = checks(tmp_path, entry)
    first, second = stage(1, "$a"), stage(2, "$a")
    assert codes(lints, first, None) == []
    assert codes(lints, second, first) == []
    assert read == [entry] * 3
