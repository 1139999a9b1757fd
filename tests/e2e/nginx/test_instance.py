"""The instance against a real nginx: who its processes are, what a test sees and leaves behind."""

import os
import shutil
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from nginx_alive import AliveNginx
from peers import ROOT_ONLY, unavailable
from waiting import DEADLINE_S, until

from headgate.engines.nginx.capabilities import Binary, probe
from headgate.engines.nginx.common.types import Process
from headgate.engines.nginx.instance import NginxInstance, Place, bubblewrap
from headgate.engines.nginx.observe.status import stub_status


def test_the_master_is_found_by_its_pid_file_and_by_its_title(alive: AliveNginx) -> None:
    by_file = alive.instance.master()
    by_title = NginxInstance(Place(conf=str(alive.conf))).master()
    assert by_file is not None
    assert by_file == by_title


def test_a_pid_file_of_another_process_is_not_believed(alive: AliveNginx) -> None:
    foreign = alive.folder / "foreign.pid"
    foreign.write_text(f"{os.getpid()}\n")
    place = Place(conf=str(alive.conf), pid_path=str(foreign))
    assert NginxInstance(place).master() == alive.instance.master()


def test_an_instance_with_another_config_is_not_taken_for_this_one(alive: AliveNginx) -> None:
    place = Place(conf="/nowhere/nginx.conf", pid_path=alive.place.pid_path)
    assert NginxInstance(place).master() is None


def test_workers_of_an_old_generation_are_told_from_new_ones(alive: AliveNginx) -> None:
    before = alive.instance.workers()
    with socket.create_connection(("127.0.0.1", alive.port)) as held:
        # A request that is not whole keeps its worker from leaving.
        held.sendall(b"GET / HTTP/1.1\r\n")
        until(lambda: is_reading(alive), "the request's arrival")
        alive.instance.signal("HUP")
        until(lambda: any(w.shutting_down for w in alive.instance.workers()), "a leaving worker")

        def are_new() -> bool:
            fresh = {w.pid for w in alive.instance.workers() if not w.shutting_down}
            return len(fresh) == 2 and not fresh & {w.pid for w in before}

        until(are_new, "new ones")
        leaving = [w for w in alive.instance.workers() if w.shutting_down]
        assert {(w.pid, w.started) for w in leaving} <= {(w.pid, w.started) for w in before}


def test_a_signal_never_reaches_another_process_of_the_same_pid(alive: AliveNginx) -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as bystander:
        stale = Process(bystander.pid, started=1)
        with pytest.raises(ProcessLookupError):
            alive.instance.signal_to(stale, "TERM")
        assert bystander.poll() is None
        bystander.kill()


def test_a_valid_config_passes_and_the_test_leaves_nothing_behind(
    alive: AliveNginx, folder: Path
) -> None:
    candidate = folder / "candidate" / "nginx.conf"
    candidate.parent.mkdir()
    extra = f"""
    server {{ listen unix:{folder}/new.sock; access_log {folder}/new.log; }}
    proxy_cache_path {folder}/cache keys_zone=c:1m;
    """
    candidate.write_text(alive.text("two", extra).replace("nginx.pid", "other.pid"))
    # A config of others, since a release of ours writes in `redirected` only.
    others = NginxInstance(replace(alive.place, redirected=()))
    assert others.test(str(candidate)).ok
    if os.geteuid() == 0 and bubblewrap.found():
        assert sorted(path.name for path in folder.iterdir()) == [
            "candidate",
            "logs",
            "release",
            "run",
        ]
        assert not (alive.run / "other.pid").exists()
    assert alive.body() == "one"


def test_an_error_is_told_with_file_and_line(alive: AliveNginx) -> None:
    alive.write("two", "no_such_thing on;")
    tested = alive.instance.test(str(alive.conf))
    line = 1 + alive.conf.read_text().splitlines().index("    no_such_thing on;")
    assert not tested.ok
    assert tested.problems == (f'unknown directive "no_such_thing" in {alive.conf}:{line}',)


def test_a_server_name_that_is_silently_ignored_is_a_problem(alive: AliveNginx) -> None:
    listen = f"listen 127.0.0.1:{alive.port}; server_name a.example;"
    alive.write("two", f"server {{ {listen} }} server {{ {listen} }}")
    tested = alive.instance.test(str(alive.conf))
    assert not tested.ok
    assert tested.problems[0].startswith('conflicting server name "a.example"')


@ROOT_ONLY
def test_a_test_as_root_has_few_rights_and_a_tree_of_its_own(alive: AliveNginx) -> None:
    # What a hostile config could have run stands here as a plain program in the same sandbox.
    victim = alive.folder / "victim"
    victim.write_text("untouched\n")
    script = f"echo gone > {victim}; cat {victim}; grep CapEff /proc/self/status; ls /proc"
    outcome = alive.instance.sandbox().run([["/bin/sh", "-c", script]])
    assert outcome.isolation == "copy", outcome.why
    said = outcome.results[0].printed.split()
    assert said[0] == "untouched"
    assert "Read-only file system" in outcome.results[0].said
    assert victim.read_text() == "untouched\n"
    # chown, dac_override, fowner, net_bind_service: bits 0, 1, 3, 10
    assert said[2] == f"{1 << 0 | 1 << 1 | 1 << 3 | 1 << 10:016x}"
    assert str(os.getpid()) not in said


@ROOT_ONLY
def test_a_test_reaches_no_socket_of_the_host_by_its_path(alive: AliveNginx) -> None:
    python = shutil.which("python3", path=os.defpath)
    if python is None:
        unavailable("no system Python to connect with")
    script = f"import socket; socket.socket(socket.AF_UNIX).connect('{alive.socket}')"
    ran = alive.instance.sandbox().run([[python, "-c", script]]).results[0]
    assert "PermissionError" in ran.said


@ROOT_ONLY
def test_a_test_may_not_signal_anybody(alive: AliveNginx) -> None:
    master = alive.instance.master()
    assert master is not None
    command = ["/bin/sh", "-c", f"kill -TERM {master.pid} && echo sent"]
    ran = alive.instance.sandbox().run([command]).results[0]
    assert "sent" not in ran.printed
    assert alive.instance.is_alive(master)


def test_a_test_that_hangs_is_ended_and_said_so(alive: AliveNginx) -> None:
    command = ["/bin/sh", "-c", "echo begun >&2; exec sleep 600"]
    ran = alive.instance.sandbox().run([command], timeout_s=10.0).results[0]
    assert ran.timed_out
    assert ran.said == "begun\n"


def test_output_is_cut_and_the_command_still_ends(alive: AliveNginx) -> None:
    command = ["/bin/sh", "-c", "head -c 3000000 /dev/zero; echo done >&2"]
    ran = alive.instance.sandbox().run([command], output_bytes=1000).results[0]
    assert (ran.code, len(ran.printed), ran.said) == (0, 1000, "done\n")


def test_what_an_instance_reads_is_dumped_whole(alive: AliveNginx) -> None:
    (alive.release / "more.conf").write_bytes(b"# caf\xe9 \xff\n")
    alive.write("one", "include more.conf;")
    dump = alive.instance.dump()
    assert f"# configuration file {alive.conf}:".encode() in dump
    assert b"# caf\xe9 \xff\n" in dump


def test_the_holder_of_a_port_is_named_and_we_are_not_in_our_own_way(alive: AliveNginx) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        for address in (f"127.0.0.1:{taken}", f"0.0.0.0:{taken}"):
            assert f"(pid {os.getpid()})" in str(alive.instance.holder(address))
        assert alive.instance.holder(f"127.0.0.2:{taken}") is None
        assert alive.instance.holder(f"[::1]:{taken}") is None
    assert alive.instance.holder(f"127.0.0.1:{alive.port}") is None


@ROOT_ONLY
def test_a_file_below_a_closed_folder_is_not_readable_by_workers(alive: AliveNginx) -> None:
    closed = alive.folder / "closed"
    closed.mkdir(0o700)
    inside = closed / "htpasswd"
    inside.write_text("a:b")
    inside.chmod(0o644)
    assert alive.instance.kept_from_workers(str(inside)) == str(closed)
    closed.chmod(0o755)
    assert alive.instance.kept_from_workers(str(inside)) is None
    inside.chmod(0o600)
    assert alive.instance.kept_from_workers(str(inside)) == str(inside)
    assert alive.instance.kept_from_workers(str(closed / "missing")) == str(closed / "missing")


def test_only_modules_of_the_binarys_own_folders_may_be_loaded(
    alive: AliveNginx, binary: Path
) -> None:
    known = probe(Binary(str(binary))).modules
    if not known:
        unavailable("this nginx has no dynamic modules")
    assert alive.instance.may_load(known[0].path)
    brought = alive.folder / Path(known[0].path).name
    brought.write_bytes(Path(known[0].path).read_bytes())
    assert not alive.instance.may_load(str(brought))


def test_stop_lets_workers_finish_and_start_brings_it_back(alive: AliveNginx) -> None:
    assert alive.instance.stop()
    assert alive.instance.master() is None
    alive.instance.start()
    until(lambda: alive.body() == "one", "an answer")


def test_stop_ends_what_does_not_finish_in_time(alive: AliveNginx) -> None:
    with socket.create_connection(("127.0.0.1", alive.port)) as held:
        held.sendall(b"GET / HTTP/1.1\r\n")
        until(lambda: is_reading(alive), "the request's arrival")
        assert not alive.instance.stop(deadline_s=0.2)
    assert alive.instance.master() is None


def test_digests_of_disk_and_process_differ_once_the_binary_is_replaced(
    folder: Path, binary: Path
) -> None:
    copied = folder / "nginx"
    copied.write_bytes(binary.read_bytes())
    copied.chmod(0o755)
    with AliveNginx(folder, copied) as nginx:
        before = nginx.instance.binary_digest()
        assert nginx.instance.running_digest() == before
        fresh = folder / "nginx.new"
        fresh.write_bytes(binary.read_bytes() + b"\0")
        fresh.chmod(0o755)
        fresh.replace(copied)
        assert nginx.instance.running_digest() == before
        assert nginx.instance.binary_digest() != before
        assert nginx.instance.binary() == str(copied)


def is_reading(nginx: AliveNginx) -> bool:
    """Whether a worker has the beginning of a request, and waits for the rest of its head."""
    return stub_status(f"unix:{nginx.socket}:/stub_status", DEADLINE_S).reading >= 1
