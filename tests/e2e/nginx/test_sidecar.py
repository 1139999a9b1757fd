"""nginx in another container that shares our pid and network namespaces, with its own root."""

from pathlib import Path

import pytest
from nginx_container import (
    DOCKER_CAPS,
    INSIDE,
    WEB,
    ContainerNginx,
    as_user,
    bounded,
    takes_namespaces,
)
from peers import unavailable
from waiting import until

from headgate.engines.nginx.instance import NginxInstance, Place


@pytest.fixture(autouse=True)
def _namespaces() -> None:
    takes_namespaces()


def place(nginx: ContainerNginx) -> Place:
    """Where it is."""
    return Place(conf=str(nginx.conf), pid_path=str(nginx.shared / "run/nginx.pid"))


def test_root_finds_tests_probes_and_reloads_it(folder: Path, binary: Path) -> None:
    with ContainerNginx(folder, binary) as nginx:
        nginx.write("two")
        seen = nginx.agent()
        until(lambda: nginx.body() == "two", "the reload")
        assert seen["master"] == seen["by_title"] == nginx.process.pid
        assert seen["workers"] == 1
        assert seen["isolation"] == "fence"
        assert seen["test"] == {"ok": True, "problems": [], "warnings": []}
        assert seen["HUP"] is None
        assert "start it in its container" in str(seen["start"])


def test_its_own_binary_is_asked_in_its_own_root(folder: Path, binary: Path) -> None:
    with ContainerNginx(folder, binary) as nginx:
        instance = NginxInstance(place(nginx))
        assert instance.binary() == INSIDE
        assert not Path(INSIDE).exists()
        assert instance.binary_digest() == instance.running_digest()
        probed = nginx.agent()["probe"]
        assert isinstance(probed, dict)
        assert probed["digest"] == instance.binary_digest()
        assert probed["accepted"] > 50
        dump = instance.dump()
        assert b"# configuration file /etc/nginx/only_inside.conf:" in dump
        assert not Path("/etc/nginx/only_inside.conf").exists()


def test_a_test_in_another_root_is_fenced_and_needs_nothing_of_ours(
    folder: Path, binary: Path
) -> None:
    # Our own Python's library is not in there: nothing may be imported once inside.
    with ContainerNginx(folder, binary) as nginx:
        outcome = NginxInstance(place(nginx)).isolation()
        assert (outcome.isolation, outcome.why) == ("fence", "")


def test_a_bad_config_is_told_and_only_its_logs_are_made_in_its_root(
    folder: Path, binary: Path
) -> None:
    with ContainerNginx(folder, binary) as nginx:
        extra = "access_log /var/lib/nginx/new.log; include /etc/nginx/not_there.conf;"
        nginx.write("two", f"server {{ listen 127.0.0.1:1; {extra} }}")
        tested = NginxInstance(place(nginx)).test_running()
        assert not tested.ok
        assert 'open() "/etc/nginx/not_there.conf" failed (2: ' in tested.problems[0]
        nginx.write("two", "server { listen 127.0.0.1:1; access_log /var/lib/nginx/new.log; }")
        before = {path for path in nginx.root.rglob("*") if not path.is_relative_to(folder)}
        assert NginxInstance(place(nginx)).test_running().ok
        made = {path for path in nginx.root.rglob("*") if not path.is_relative_to(folder)} - before
        assert made <= {nginx.root / "var/lib/nginx/new.log"}


def test_a_file_is_looked_for_in_its_root(folder: Path, binary: Path) -> None:
    with ContainerNginx(folder, binary) as nginx:
        instance = NginxInstance(place(nginx))
        inside = "/etc/nginx/only_inside.conf"
        assert instance.kept_from_workers(inside) is None
        (nginx.root / "etc/nginx/only_inside.conf").chmod(0o600)
        # A worker is root until it has taken its user.
        until(lambda: instance.kept_from_workers(inside) == inside, "its user")
        (nginx.root / "etc/link").symlink_to("/etc/nginx/absolute")
        (nginx.root / "etc/nginx/absolute").write_text("")
        assert instance.kept_from_workers("/etc/link") is None


def test_its_user_with_cap_kill_reloads_and_says_what_a_test_takes(
    folder: Path, binary: Path
) -> None:
    with ContainerNginx(folder, binary) as nginx:
        nginx.write("two")
        seen = nginx.agent(*as_user(WEB, "+kill"))
        until(lambda: nginx.body() == "two", "the reload")
        assert seen["uid"] == WEB
        assert seen["master"] == nginx.process.pid
        assert seen["may_signal"] is True
        assert seen["HUP"] is None
        assert seen["test"] == (
            f"right missing: running its binary: /proc/{nginx.process.pid}/root cannot be entered"
            f" as uid {WEB}; it takes uid 0 with CAP_SYS_PTRACE, or the uid of its master without"
            " capabilities"
        )


def test_without_rights_it_is_seen_and_each_missing_right_is_named(
    folder: Path, binary: Path
) -> None:
    with ContainerNginx(folder, binary) as nginx:
        nginx.write("two")
        seen = nginx.agent(*as_user(WEB))
        assert seen["master"] == nginx.process.pid
        assert seen["workers"] == 1
        assert seen["may_signal"] is False
        assert seen["HUP"] == (
            f"right missing: SIGHUP to the nginx master {nginx.process.pid} (uid 0) was refused as"
            f" uid {WEB}; it takes CAP_KILL or the same uid as the master (uid 0)"
        )
        assert "CAP_SYS_PTRACE" in str(seen["test"])
        assert nginx.body() == "one"


def test_the_uid_of_a_master_without_root_is_enough_for_everything(
    folder: Path, binary: Path
) -> None:
    with ContainerNginx(folder, binary, uid=WEB) as nginx:
        nginx.write("two")
        seen = nginx.agent(*as_user(WEB))
        if "chroot" in str(seen["test"]):
            unavailable("user namespaces are not allowed here")
        until(lambda: nginx.body() == "two", "the reload")
        assert seen["isolation"] == "fence"
        assert seen["test"] == {"ok": True, "problems": [], "warnings": []}
        assert seen["HUP"] is None


def test_two_more_capabilities_let_another_user_test_a_root_masters_config(
    folder: Path, binary: Path
) -> None:
    with ContainerNginx(folder, binary) as nginx:
        nginx.write("two")
        seen = nginx.agent(*as_user(WEB, "+kill,+sys_ptrace,+sys_chroot"))
        until(lambda: nginx.body() == "two", "the reload")
        assert seen["isolation"] == "fence"
        assert seen["test"] == {"ok": True, "problems": [], "warnings": []}
        assert seen["HUP"] is None
        assert [path.name for path in nginx.shared.iterdir() if path.name.startswith(".")] == []


def test_dockers_default_capabilities_are_enough_and_what_is_less_is_said(
    folder: Path, binary: Path
) -> None:
    with ContainerNginx(folder, binary, caps=DOCKER_CAPS) as nginx:
        nginx.write("two")
        seen = nginx.agent(bounded(DOCKER_CAPS))
        until(lambda: nginx.body() == "two", "the reload")
        assert seen["isolation"] == "fence"
        tested = seen["test"]
        assert isinstance(tested, dict)
        assert tested["ok"]
        assert tested["warnings"] == []
        assert seen["HUP"] is None
