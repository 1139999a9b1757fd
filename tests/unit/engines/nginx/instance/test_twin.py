"""The twin of a release: the same bytes but for the folders a root master writes in."""

from pathlib import Path

import pytest

from headgate.engines.nginx.instance.place import Place
from headgate.engines.nginx.instance.twin import twin_of


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A release as it is on disk: read-only, with a key."""
    release = tmp_path / "releases/7-abc"
    (release / "http").mkdir(parents=True)
    (release / "nginx.conf").write_bytes(
        f"pid {tmp_path}/run/nginx.pid;\n# caf\xe9\ninclude http/*.conf;\n".encode("latin-1")
    )
    (release / "http/shop.conf").write_text(f"access_log {tmp_path}/logs/access.log;\n")
    (release / "shop.key").write_bytes(f"{tmp_path}/run/ is no path in here\n".encode())
    for path in release.rglob("*"):
        path.chmod(0o550 if path.is_dir() else 0o440)
    release.chmod(0o550)
    return release


def test_folders_of_the_master_are_moved_and_nothing_else(release: Path, tmp_path: Path) -> None:
    redirected = (f"{tmp_path}/run", f"{tmp_path}/logs/")
    with twin_of(str(release / "nginx.conf"), redirected) as twin:
        conf = Path(twin.conf)
        text = conf.read_bytes()
        assert str(tmp_path).encode() not in text
        assert text.endswith(b"\n# caf\xe9\ninclude http/*.conf;\n")
        pid = Path(text.decode("latin-1").split()[1].rstrip(";"))
        assert pid.parent.is_dir()
        assert (conf.parent / "shop.key").read_bytes() == (release / "shop.key").read_bytes()
        assert (conf.parent / "shop.key").stat().st_mode & 0o077 == 0
        said = f"open() {pid} failed in {conf}:3"
        assert twin.original(said) == (
            f"open() {tmp_path}/run/nginx.pid failed in {release}/nginx.conf:3"
        )
    assert not conf.exists()
    assert not pid.parent.exists()


def test_a_twin_can_be_made_beside_what_is_shared(release: Path, tmp_path: Path) -> None:
    with twin_of(str(release / "nginx.conf"), (f"{tmp_path}/run",), str(tmp_path)) as twin:
        assert Path(twin.conf).is_relative_to(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["releases"]


@pytest.mark.parametrize(
    ("place", "arguments"),
    [
        (Place("/s/current/nginx.conf"), ["-c", "/s/r/7/nginx.conf"]),
        (
            Place("/s/current/nginx.conf", prefix="/s/current/", error_log="/s/e.log"),
            ["-c", "/s/r/7/nginx.conf", "-p", "/s/r/7/", "-e", "/s/e.log"],
        ),
        (
            Place("/s/current/nginx.conf", prefix="/usr/share/nginx"),
            ["-c", "/s/r/7/nginx.conf", "-p", "/usr/share/nginx"],
        ),
    ],
)
def test_a_prefix_that_is_the_configs_folder_moves_with_it(
    place: Place, arguments: list[str]
) -> None:
    assert place.arguments("/s/r/7/nginx.conf") == arguments
