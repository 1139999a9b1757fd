"""Seeing that files changed, on a real directory."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path, PurePath

from headgate.compile.loaded import Watched
from headgate.providers.file.disk import DiskFiles
from headgate.providers.file.watch import DEBOUNCE_MS, STEP_MS, changes, directories, fingerprint

DEADLINE_S = 20.0


def watching(*files: Path, globs: tuple[Path, ...] = ()) -> Watched:
    return Watched(frozenset(files), frozenset(globs))


async def seen(watched: Watched, act: Callable[[], object], times: int = 1) -> int:
    """How many changes are told (at most `times`) after `act`."""
    told = changes(lambda: watched, debounce_ms=20, step_ms=5, look_anyway_ms=100)
    async with asyncio.timeout(DEADLINE_S):
        return await _count(told, act, times)


async def _count(told: AsyncIterator[None], act: Callable[[], object], times: int) -> int:
    first = asyncio.ensure_future(anext(told))
    await asyncio.sleep(0)
    act()
    await first
    count = 1
    while count < times:
        await anext(told)
        count += 1
    await told.aclose()  # type: ignore[attr-defined]
    return count


def test_a_file_that_is_written_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("a = 1")
    assert asyncio.run(seen(watching(path), lambda: path.write_text("a = 22")))


def test_a_file_that_is_replaced_is_seen(tmp_path: Path) -> None:
    path, new = tmp_path / "a.toml", tmp_path / ".a.toml.swp"
    path.write_text("a = 1")

    def replace() -> None:
        new.write_text("a = 2")
        new.replace(path)

    assert asyncio.run(seen(watching(path), replace))


def test_a_file_that_goes_and_comes_is_seen_even_with_its_directory(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "a.toml"
    assert directories(watching(path)) == {tmp_path}

    def make() -> None:
        path.parent.mkdir()
        path.write_text("a = 1")

    assert asyncio.run(seen(watching(path), make))
    assert asyncio.run(seen(watching(path), path.unlink))


def test_a_symlink_that_is_swapped_is_seen(tmp_path: Path) -> None:
    """As Kubernetes changes a mounted ConfigMap: a.toml → ..data/a.toml, ..data → a directory."""
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "a.toml").write_text(f"a = {version}")
    (tmp_path / "..data").symlink_to("1")
    path = tmp_path / "a.toml"
    path.symlink_to("..data/a.toml")

    def swap() -> None:
        (tmp_path / "..next").symlink_to("2")
        (tmp_path / "..next").replace(tmp_path / "..data")

    assert asyncio.run(seen(watching(path), swap))


def test_what_a_symlink_leads_to_is_watched(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "real.toml").write_text("a = 1")
    path = tmp_path / "here" / "a.toml"
    path.parent.mkdir()
    path.symlink_to(elsewhere / "real.toml")
    assert directories(watching(path)) == {path.parent, elsewhere}
    assert asyncio.run(seen(watching(path), lambda: (elsewhere / "real.toml").write_text("a = 2 ")))


def test_permissions_that_change_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text("key")
    assert asyncio.run(seen(watching(path), lambda: path.chmod(0)))


def test_a_new_file_that_an_include_matches_is_seen(tmp_path: Path) -> None:
    watched = watching(globs=(tmp_path / "*.toml",))
    assert asyncio.run(seen(watched, lambda: (tmp_path / "new.toml").write_text("")))


def test_waiting_costs_few_looks_and_a_change_is_told_within_150_ms() -> None:
    assert 1000 / STEP_MS < 15
    assert 2 * STEP_MS <= 150
    assert DEBOUNCE_MS <= 2 * STEP_MS


def test_other_files_of_the_directory_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("a = 1")
    watched = watching(path)
    before = fingerprint(watched)
    (tmp_path / "other.toml").write_text("")
    assert fingerprint(watched) == before
    os.utime(path, ns=(1, 1))
    assert fingerprint(watched) != before


def test_files_on_disk_are_found_by_pattern(tmp_path: Path) -> None:
    for name in ("b.toml", "a.toml", "c.yaml"):
        (tmp_path / name).write_text("x")
    (tmp_path / "d.toml").mkdir()
    files = DiskFiles()
    assert files.glob(tmp_path / "*.toml") == [tmp_path / "a.toml", tmp_path / "b.toml"]
    assert files.glob(tmp_path / "nothing.toml") == []
    assert files.is_directory(tmp_path)
    assert files.read(PurePath(tmp_path / "a.toml")) == b"x"
