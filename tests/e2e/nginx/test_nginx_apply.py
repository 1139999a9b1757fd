"""Applying to the real nginx: what is proven, what is kept when nothing serves, who may stop it."""

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from peers import unavailable
from ports import free_port
from real_nginx import Client, RealNginx, foreign_listener
from waiting import DEADLINE_S, until

from headgate.engines.nginx.apply.applier import Applier
from headgate.engines.nginx.apply.checks import Checks, Limits
from headgate.engines.nginx.apply.evidence import Expectation, Observation, Probe
from headgate.engines.nginx.apply.guard import guard
from headgate.engines.nginx.apply.hold import release_hold, set_hold
from headgate.engines.nginx.apply.journal import JOURNAL, Journal, Record, encode
from headgate.engines.nginx.apply.looking import Looker
from headgate.engines.nginx.apply.results import Applied, Rejected
from headgate.engines.nginx.common.types import Generation, Rendered, RenderedFile, ServedName
from headgate.engines.nginx.instance import NginxInstance
from headgate.engines.nginx.releases.lock import locked
from headgate.engines.nginx.releases.names import ReleaseName

NAME = "tls.example"
SITE_OF = """
server {{
    listen 127.0.0.1:{port};
    server_name site.example;
    location / {{ {location} }}
}}
"""


@pytest.fixture
def nginx(folder: Path) -> Iterator[RealNginx]:
    """An nginx that serves generation 1."""
    with RealNginx(folder) as running:
        running.must_apply()
        yield running


def test_the_first_apply_starts_nginx_and_the_next_reload_it(folder: Path) -> None:
    with RealNginx(folder) as nginx:
        first = nginx.must_apply()
        master = nginx.instance.master()
        with Client(nginx.port) as client:
            second = nginx.must_apply()
            until(lambda: b"generation 2\n" in client.bodies, "its answer")
        assert nginx.instance.master() == master
        assert nginx.links() == {
            "current": str(second.release),
            "previous": str(first.release),
            "known_good": str(second.release),
        }
        assert client.lost == []
        assert set(client.bodies) == {b"generation 1\n", b"generation 2\n"}
        assert (nginx.root / "current" / "nginx.conf").samefile(
            nginx.store.path(second.release) / "nginx.conf"
        )


def test_an_apply_takes_its_steps_in_order_and_is_verified_after_its_reload(
    nginx: RealNginx,
) -> None:
    result = nginx.must_apply()
    assert result.verified_s > result.reload_s
    steps = [one.step for one in nginx.phases if one.generation == 2]
    assert steps[:3] == ["fetch", "stage", "lint"]
    assert steps[-3:] == ["soak", "commit", "done"]


def test_it_is_told_once_that_nginx_was_told_and_never_of_a_refused_release(
    nginx: RealNginx,
) -> None:
    told: list[str] = []

    def apply(**change: object) -> None:
        nginx.applier.apply(
            lambda generation: nginx.rendered(generation, **change),  # type: ignore[arg-type]
            applied=lambda: told.append(nginx.phases[-1].step),
        )

    apply()
    assert told == ["verify"]
    apply(main="no_such_directive;")
    assert told == ["verify"]


def test_a_first_release_that_does_not_serve_leaves_nothing_behind(folder: Path) -> None:
    with RealNginx(folder, blind=True) as nginx:
        result = nginx.must_refuse(main="working_directory /no/such/folder;")
        assert result.cause.code == "worker_init"
        assert nginx.links()["current"] == "None"
        until(lambda: nginx.instance.master() is None, "the end of the master")


def test_a_probe_of_the_user_that_fails_undoes_the_release(folder: Path) -> None:
    with RealNginx(folder, blind=True) as nginx:
        nginx.must_apply()
        probe = Probe(f"127.0.0.1:{nginx.port}", "site.example")
        location = 'root /; auth_basic "r"; auth_basic_user_file htpasswd/none;'
        closed = SITE_OF.format(port=nginx.port, location=location)
        with Client(nginx.port) as client:
            result = nginx.applier.apply(
                lambda generation: nginx.rendered(generation, site=closed), probes=(probe,)
            )
        assert isinstance(result, Rejected)
        assert result.outcome == "PARTIAL"
        assert "got 403, not 200" in result.cause.text or "got 401, not 200" in result.cause.text
        assert nginx.generation() == 1
        assert client.lost == []


def test_a_worker_that_crashes_while_the_release_soaks_undoes_it(folder: Path) -> None:
    def crash(point: str) -> None:
        if point == "soak:recorded" and running.store.names()[-1].generation == 2:
            worker = [one for one in running.instance.workers() if not one.shutting_down][-1]
            os.kill(worker.pid, signal.SIGSEGV)
            # Its master says so: a look before that would see no crash.
            until(lambda: "exited on signal 11" in running.error_log.read_text(), "the crash")

    with RealNginx(folder, soak_s=2.0, on_step=crash) as running:
        running.must_apply()
        result = running.must_refuse()
        assert (result.step, result.outcome, result.cause.code) == (
            "soak",
            "PARTIAL",
            "worker_crash",
        )
        assert running.generation() == 1


def test_a_fault_of_our_own_after_the_swap_is_undone_too(
    nginx: RealNginx, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = Looker.look

    def fails(self: Looker, expected: Expectation, *, deep: bool = False) -> Observation:
        if expected.generation == 2:
            raise ZeroDivisionError("a bug")
        return look(self, expected, deep=deep)

    monkeypatch.setattr(Looker, "look", fails)
    result = nginx.must_refuse()
    assert (result.step, result.cause.code) == ("verify", "internal")
    assert "ZeroDivisionError: a bug" in result.cause.text
    assert (nginx.generation(), result.is_degraded) == (1, False)


def test_a_fault_of_the_renderer_is_raised_and_changes_nothing(nginx: RealNginx) -> None:
    def render(_: Generation) -> Rendered:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        nginx.applier.apply(render)
    assert nginx.links()["current"].startswith("1-")
    assert nginx.must_apply().generation == 3


def test_where_the_old_release_does_not_serve_either_it_is_said(folder: Path) -> None:
    def take_old_port(point: str) -> None:
        if point == "rollback:recorded" and not taken:
            taken.append(foreign_listener_at(old_port))

    taken: list[socket.socket] = []
    with RealNginx(folder, blind=True, on_step=take_old_port) as nginx:
        old_port = nginx.port
        nginx.must_apply()
        nginx.port = free_port()
        wrong = (ServedName(f"127.0.0.1:{nginx.port}", NAME, ("00" * 32,)),)
        result = nginx.must_refuse(names=wrong)
        assert result.is_degraded
        assert result.serving is None
        assert "NO RELEASE IS PROVEN TO SERVE" in result.text()
        assert nginx.links()["current"].startswith("1-"), "what is known good stays on disk"
        nginx.port = old_port
        taken[0].close()
        nginx.must_apply()
        assert nginx.generation() == 3


def foreign_listener_at(port: int) -> socket.socket:
    """Takes a port as soon as nginx has left it."""
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    def is_free() -> bool:
        try:
            taken.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True

    until(is_free, "the port")
    taken.listen()
    return taken


@pytest.mark.parametrize("how", ["rotated", "removed", "absent", "cut"])
def test_a_log_that_changes_under_way_is_followed_or_unknown(folder: Path, how: str) -> None:
    def change(point: str) -> None:
        moment = "preflight:done" if how == "absent" else "signal:recorded"
        if point != moment or running.store.names()[-1].generation == 1:
            return
        if how == "cut":
            os.truncate(running.error_log, 0)
            return
        moved = running.error_log.rename(running.root / "logs" / "error.log.1")
        if how in {"removed", "absent"}:
            moved.unlink()
        else:
            running.error_log.touch()

    with RealNginx(folder, blind=True, on_step=change) as running:
        running.must_apply()
        with running.error_log.open("a") as log:
            log.write("something\n" * 1000)
        result = running.must_apply()
        unknown = [caveat for caveat in result.caveats if "log is unknown" in caveat]
        assert bool(unknown) == (how in {"absent", "cut"})
        assert not unknown or result.verified_s > 3.0, "without a log it takes longer"


def test_a_hold_stops_applies_until_it_ends(nginx: RealNginx) -> None:
    set_hold(nginx.root, 60, "night fix", "ann")
    result = nginx.must_refuse()
    assert (result.cause.code, result.is_transient) == ("held", True)
    assert "night fix" in result.cause.text
    assert release_hold(nginx.root)
    nginx.must_apply()


def test_two_do_not_apply_at_once(nginx: RealNginx) -> None:
    with locked(nginx.root):
        result = nginx.must_refuse()
    assert (result.cause.code, result.is_transient) == ("busy", True)


def test_too_many_old_generations_that_drain_stop_an_apply(nginx: RealNginx) -> None:
    checks = Checks(nginx.instance, Limits(draining_cap=1))
    nginx.applier = Applier(nginx.store, nginx.instance, nginx.settings(0.1), checks=checks)
    with foreign_listener() as silent, pinned(nginx, silent):
        result = nginx.must_refuse()
        assert (result.step, result.cause.code) == ("preflight", "draining")
        assert result.is_transient


@contextmanager
def pinned(nginx: RealNginx, upstream: socket.socket) -> Iterator[None]:
    """A request that an old generation waits for, since its upstream says nothing."""
    location = "proxy_pass http://{}:{};".format(*upstream.getsockname())
    nginx.must_apply(site=SITE_OF.format(port=nginx.port, location=location))
    nginx.until_drained()
    upstream.settimeout(DEADLINE_S)
    with socket.create_connection(("127.0.0.1", nginx.port)) as link:
        link.sendall(b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n")
        held, _ = upstream.accept()  # a worker has the request: it cannot leave without an answer
        with held:
            nginx.must_apply()
            until(lambda: any(one.shutting_down for one in nginx.instance.workers()), "draining")
            yield


class TestFullDisk:
    """A disk of 1 MiB (row 21 of the fault matrix)."""

    @pytest.fixture
    def small(self, folder: Path) -> Iterator[RealNginx]:
        if os.geteuid() != 0:
            unavailable("mounting a small disk takes root")
        done = subprocess.run(
            ["/bin/mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=False
        )
        if done.returncode != 0:
            unavailable("no tmpfs can be mounted here")
        try:
            with RealNginx(folder) as nginx:
                nginx.must_apply()
                yield nginx
        finally:
            subprocess.run(["/bin/umount", "-l", folder], check=True)

    def test_a_release_that_does_not_fit_is_refused_in_words(self, small: RealNginx) -> None:
        with Client(small.port) as client:
            result = small.must_refuse(files={"certs/big": os.urandom(2 << 20)})
        assert (result.step, result.cause.code) == ("stage", "no_space")
        assert "no space left" in result.cause.text
        assert small.generation() == 1
        assert client.lost == []
        small.must_apply()

    def test_an_open_journal_that_cannot_be_closed_stops_applies(self, small: RealNginx) -> None:
        journal = Journal(small.root / JOURNAL)
        used = journal.path.stat().st_size + len(encode(Record(2, "fetch", detail="x"))) - 1
        page = os.sysconf("SC_PAGE_SIZE")
        journal.append(Record(2, "fetch", detail="x" * (page - used % page)))
        filler = small.root / "logs" / "filler"
        fill(filler)
        result = small.must_refuse()
        assert (result.step, result.is_transient) == ("fetch", True)
        filler.unlink()
        small.must_apply()

    def test_a_disk_that_others_fill_stops_applies_and_harms_nothing(
        self, small: RealNginx
    ) -> None:
        filler = small.root / "logs" / "filler"
        fill(filler)
        result = small.must_refuse()
        assert result.step in {"fetch", "stage"}
        assert small.generation() == 1
        assert small.store.verify(choose_current(small)) == ()
        filler.unlink()
        small.must_apply()


def fill(path: Path) -> None:
    """Takes all the room there is."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x"):
            pass


def choose_current(nginx: RealNginx) -> ReleaseName:
    current = nginx.store.linked("current")
    assert current is not None
    return current


class TestBoot:
    """A host that reboots at any moment."""

    def test_an_unproven_release_is_not_what_nginx_starts_with(self, nginx: RealNginx) -> None:
        good = choose_current(nginx)
        bad = nginx.store.stage(
            nginx.rendered(Generation(2), main="working_directory /no/such/folder;"), Generation(2)
        ).name
        journal = Journal(nginx.root / JOURNAL)
        journal.append(Record(2, "swap", bad, (good,)))
        nginx.store.link("current", bad)
        nginx.instance.stop()
        found = guard(nginx.root)
        assert (found.current, found.was, found.is_safe) == (good, bad, True)
        assert "the apply of 2 was interrupted" in found.why
        nginx.instance.start()
        until(lambda: nginx.generation() == 1, "generation 1")
        assert nginx.applier.recover() is None, "the guard has closed it"

    def test_a_release_with_missing_files_is_not_what_nginx_starts_with(
        self, nginx: RealNginx
    ) -> None:
        nginx.must_apply()
        current = choose_current(nginx)
        nginx.store.path(current).chmod(0o700)
        nginx.instance.stop()
        (nginx.store.path(current) / "nginx.conf").unlink()
        found = guard(nginx.root)
        assert found.current is not None and found.current.generation == 1
        nginx.instance.start()
        until(lambda: nginx.generation() == 1, "generation 1")

    def test_a_host_that_no_longer_resolves_is_undone_by_the_next_apply(
        self, nginx: RealNginx
    ) -> None:
        result = nginx.must_apply(http="upstream u { server localhost:80; }")
        assert [warning.code for warning in result.warnings] == ["resolved_at_start"]
        refused = nginx.must_refuse(http="upstream u { server no-such-host.invalid:80; }")
        assert refused.cause.code == "unresolvable"
        assert nginx.links()["current"] == str(result.release)
        nginx.instance.stop()
        guard(nginx.root)
        nginx.instance.start()
        until(lambda: nginx.generation() == 2, "a start with what was verified last")


def test_an_nginx_of_others_is_applied_to_as_a_guest(folder: Path) -> None:
    """Their nginx.conf has one line of ours; what it would refuse is found before any signal."""
    with RealNginx(folder) as nginx:
        theirs = folder / "theirs"
        theirs.mkdir()
        entry = theirs / "nginx.conf"
        main = next(one for one in nginx.rendered(Generation(1)).files if one.path == "nginx.conf")
        text = main.content.decode()
        ours = f"include {folder}/current/http/*.conf;"
        entry.write_text(
            text.replace("include generation.conf;", "").replace("include http/*.conf;", ours)
        )
        guest = as_guest(nginx, entry)
        assert isinstance(guest.applier.apply(guest_release(nginx)), Applied)
        assert guest.generation() == 1
        with Client(nginx.port) as client:
            refused = guest.applier.apply(guest_release(nginx, "nonsense;"))
            again = guest.applier.apply(guest_release(nginx, "# more"))
        assert isinstance(refused, Rejected)
        assert (refused.cause.code, refused.cause.file) == ("syntax", "http/extra.conf")
        assert isinstance(again, Applied)
        assert guest.generation() == 3
        assert client.lost == []


def as_guest(nginx: RealNginx, entry: Path) -> RealNginx:
    """The same nginx, started with a main file that is not ours."""
    place = replace(nginx.place, conf=str(entry), prefix=None)
    nginx.instance = NginxInstance(place)
    settings = replace(nginx.settings(0.1), entry=str(entry))
    nginx.applier = Applier(nginx.store, nginx.instance, settings)
    return nginx


def guest_release(nginx: RealNginx, extra: str = "") -> Callable[[Generation], Rendered]:
    def render(generation: Generation) -> Rendered:
        whole = nginx.rendered(generation, http=extra)
        by_path = {one.path: one.content for one in whole.files}
        return Rendered(
            files=(
                RenderedFile("http/00-generation.conf", by_path["generation.conf"]),
                RenderedFile("http/site.conf", by_path["http/site.conf"]),
                RenderedFile("http/extra.conf", by_path["http/extra.conf"]),
            ),
            listeners=whole.listeners,
        )

    return render
