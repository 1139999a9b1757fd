"""Drifted files, three ways: what was written, what is there, what would be written now."""

from pathlib import Path

import pytest

from headgate.engines.nginx.drift import (
    Desired,
    Edit,
    Finding,
    Seen,
    Sides,
    Standing,
    State,
    reported,
)

RELEASE = "releases/7-0a1b2c3d4e5f"
WROTE = {f"{RELEASE}/a.conf": b"one;\ntwo;\n", f"{RELEASE}/site.key": b"key one\n"}
PLACE = Standing("report", "held by ann: night fix", "look")


def edit(path: str = "a.conf", how: str = "edited") -> Edit:
    """A difference in the release."""
    return Edit(f"{RELEASE}/{path}", how, "d")  # type: ignore[arg-type]


def shown(
    root: Path, now: dict[str, bytes] | None, *edits: Edit, secrets: frozenset[str] = frozenset()
) -> list[tuple[str, str, str]]:
    """The diff, the word and the second diff of each file."""
    finding = Finding(7, (State.DISK_DRIFT,), edits)
    seen = Seen()
    seen.saw(finding, 100.0)
    found = reported(
        finding, Desired(7, str(root), {}), seen, Sides(WROTE.get, now, secrets), PLACE
    )
    assert (found.policy, found.held, found.alarm) == PLACE
    assert found.total == len(edits)
    return [(one.diff, one.next, one.next_diff) for one in found.files]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A release in which somebody changed a line."""
    (tmp_path / RELEASE).mkdir(parents=True)
    (tmp_path / RELEASE / "a.conf").write_text("one;\nmine;\n")
    (tmp_path / RELEASE / "site.key").write_text("key two\n")
    return tmp_path


@pytest.mark.parametrize(
    ("now", "word", "lines"),
    [
        (None, "unknown", ()),
        ({}, "none", ()),
        ({"a.conf": b"one;\ntwo;\n"}, "same", ()),
        ({"a.conf": b"one;\nmine;\n"}, "disk", ()),
        ({"a.conf": b"one;\nthree;\n"}, "other", ("-two;", "+three;")),
    ],
)
def test_a_file_says_what_would_be_written_now(
    root: Path, now: dict[str, bytes] | None, word: str, lines: tuple[str, ...]
) -> None:
    ((diff, found, other),) = shown(root, now, edit())
    assert {"-two;", "+mine;"} <= set(diff.splitlines())
    assert found == word
    assert set(lines) <= set(other.splitlines())
    assert bool(lines) == bool(other)


def test_what_was_added_and_what_is_gone(root: Path) -> None:
    (root / RELEASE / "new.conf").write_text("new;\n")
    (root / RELEASE / "a.conf").unlink()
    gone, new = shown(
        root, {"a.conf": b"one;\ntwo;\n"}, edit(how="missing"), edit("new.conf", "added")
    )
    assert (gone[1], new[1]) == ("same", "none")
    assert "+++ /dev/null" in gone[0]
    assert "--- /dev/null" in new[0]


def test_keys_are_not_shown_and_secrets_are_left_out(root: Path) -> None:
    (root / RELEASE / "a.conf").write_text(
        'one;\nproxy_set_header Authorization "abcdef";\nxyzzy42;\n'
    )
    key, text = shown(root, None, edit("site.key"), edit(), secrets=frozenset({"xyzzy42"}))
    assert key[0] == "(the contents are not shown)\n"
    assert "abcdef" not in text[0]
    assert "xyzzy42" not in text[0]
    assert "+proxy_set_header Authorization (secret)" in text[0].splitlines()


def test_a_secret_is_left_out_as_nginx_has_it(root: Path) -> None:
    (root / RELEASE / "a.conf").write_text(
        'one;\n"~\\\\A(?:dGhpcy5p\\\\+2Nx9w==)\\\\z" 1;\nadd_header x "pa${hg_dollar}s\\"w";\n'
    )
    secrets = frozenset({"dGhpcy5p+2Nx9w==", 'pa$$s"w'})
    ((diff, _, _),) = shown(root, None, edit(), secrets=secrets)
    assert '+"~\\\\A(?:(secret))\\\\z" 1;' in diff.splitlines()
    assert '+add_header x "(secret)";' in diff.splitlines()


def test_a_long_diff_says_how_much_more_there_is(root: Path) -> None:
    (root / RELEASE / "a.conf").write_text("".join(f"line {n};\n" for n in range(5_000)))
    ((diff, _, _),) = shown(root, None, edit())
    assert len(diff) < 9_000
    assert diff.splitlines()[-1].endswith("more lines)")


def test_each_file_says_since_when_it_differs() -> None:
    seen, one, two = Seen(), edit(), edit("b.conf")
    seen.saw(Finding(7, (State.DISK_DRIFT,), (one,)), 100.0)
    seen.saw(Finding(7, (State.DISK_DRIFT,), (one, two)), 200.0)
    assert (seen.since, seen.of(one.path), seen.of(two.path)) == (100.0, 100.0, 200.0)
    seen.saw(Finding(7, (State.IN_SYNC,)), 300.0)
    assert seen.since == 0.0
    seen.saw(Finding(7, (State.DISK_DRIFT,), (one,)), 400.0)
    assert seen.of(one.path) == 400.0
