"""What is kept before a heal, and what of it may be read by whom."""

from pathlib import Path

import msgspec
import pytest

from headgate.engines.nginx.drift import Artefacts, Desired, Edit, Finding, State, diff_of

KEY = b"-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n"
ORIGINAL = {
    "r/nginx.conf": b"a;\nb;\n",
    "r/gone.conf": b"was;\n",
    "r/site.pem": KEY,
    "r/users.htpasswd": b"a:hash1\n",
    "r/data.bin": b"\xff\x00",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A release that somebody changed in every way."""
    (tmp_path / "r").mkdir()
    (tmp_path / "r/nginx.conf").write_text("a;\nc;")
    (tmp_path / "r/new.conf").write_text("new;\n")
    (tmp_path / "r/site.pem").write_bytes(KEY.replace(b"secret", b"hidden"))
    (tmp_path / "r/users.htpasswd").write_bytes(b"a:hash2\n")
    (tmp_path / "r/data.bin").write_bytes(b"\xfe\x00")
    (tmp_path / "current").symlink_to("elsewhere")
    return tmp_path


FINDING = Finding(
    7,
    (State.DISK_DRIFT,),
    (
        Edit("current", "link"),
        Edit("r/data.bin", "edited", "d1"),
        Edit("r/gone.conf", "missing"),
        Edit("r/new.conf", "added", "d2"),
        Edit("r/nginx.conf", "edited", "d3"),
        Edit("r/site.pem", "edited", "d4"),
        Edit("r/users.htpasswd", "edited", "d5"),
    ),
)


def desired(root: Path) -> Desired:
    """Only its root is needed."""
    return Desired(7, str(root), {})


def test_the_diff_leads_from_what_should_be_to_what_is(root: Path) -> None:
    diff = diff_of(desired(root), FINDING, ORIGINAL.get)
    assert "current: link\n" in diff
    assert "--- a/r/gone.conf\n+++ /dev/null\n@@ -1 +0,0 @@\n-was;\n" in diff
    assert "--- /dev/null\n+++ b/r/new.conf\n@@ -0,0 +1 @@\n+new;\n" in diff
    assert "@@ -1,2 +1,2 @@\n a;\n-b;\n+c;\n\\ No newline at end of file\n" in diff
    assert "r/data.bin: edited, sha256 d1\n" in diff


def test_secrets_are_in_no_diff(root: Path) -> None:
    diff = diff_of(desired(root), FINDING, ORIGINAL.get)
    assert "r/site.pem: edited, sha256 d4\n" in diff
    assert "r/users.htpasswd: edited, sha256 d5\n" in diff
    for secret in ("secret", "hidden", "hash1", "hash2"):
        assert secret not in diff


def test_everything_found_is_kept_for_our_eyes_alone(root: Path, tmp_path: Path) -> None:
    artefacts = Artefacts(tmp_path / "drift", clock=lambda: 0.0)
    kept = artefacts.keep(desired(root), FINDING, ORIGINAL.get)
    folder = Path(kept.folder)
    assert folder.name == "19700101T000000.000-7"
    assert (folder / "files/r/nginx.conf").read_text() == "a;\nc;"
    assert (folder / "files/r/site.pem").stat().st_mode & 0o777 == 0o600
    assert (folder / "files/current").readlink() == Path("elsewhere")
    assert (folder / "changes.diff").read_text() == kept.diff
    assert msgspec.json.decode((folder / "about.json").read_bytes(), type=Finding) == FINDING
    assert folder.stat().st_mode & 0o777 == 0o700


def test_two_of_the_same_moment_do_not_overwrite_each_other(root: Path, tmp_path: Path) -> None:
    artefacts = Artefacts(tmp_path / "drift", clock=lambda: 1.5)
    folders = {artefacts.keep(desired(root), FINDING, ORIGINAL.get).folder for _ in range(3)}
    assert len(folders) == 3


def test_only_the_newest_twenty_stay(root: Path, tmp_path: Path) -> None:
    times = iter(range(100))
    artefacts = Artefacts(tmp_path / "drift", clock=lambda: next(times) / 1000)
    folders = [artefacts.keep(desired(root), FINDING, ORIGINAL.get).folder for _ in range(25)]
    assert sorted(map(str, (tmp_path / "drift").iterdir())) == folders[5:]


def test_what_cannot_be_kept_is_an_error(root: Path, tmp_path: Path) -> None:
    (tmp_path / "drift").write_text("in the way")
    with pytest.raises(OSError, match="drift"):
        Artefacts(tmp_path / "drift").keep(desired(root), FINDING, ORIGINAL.get)
