"""A module that attacks its host while `nginx -t` loads it: nothing of the host is touched."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from nginx_alive import AliveNginx
from peers import ROOT_ONLY, peer

from headgate.engines.nginx.instance import bubblewrap
from headgate.engines.nginx.instance.instance import NginxInstance
from headgate.engines.nginx.instance.needs import Needs
from headgate.engines.nginx.instance.place import Place
from headgate.engines.nginx.instance.sandbox import Outcome

SOURCE = Path(__file__).parents[2] / "support" / "attack" / "module.c"


LEFT = "attack-left"
"""The name of the process that the attack leaves behind, in its source."""


def left_by(pid: int) -> str:
    """The name that it has in the attack on a bystander; of 15 bytes at most."""
    return f"left-{pid}"


@pytest.fixture(params=["bubblewrap", "alone"])
def confined(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How commands are confined."""
    if request.param == "alone":
        monkeypatch.setattr(bubblewrap, "found", lambda: None)
    else:
        peer("bwrap")
    return str(request.param)


@contextmanager
def attacked(nginx: AliveNginx, module: Path) -> Iterator[tuple[Outcome, Path, int]]:
    """The outcome of a test with the module in its config, a victim's file and a bystander."""
    victim = nginx.folder / "victim"
    victim.write_text("untouched")
    victim.chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as listener, bystander() as pid:
        port = listener.getsockname()[1]
        build_module(module, victim, nginx, port, pid)
        conf = nginx.release / "attacked.conf"
        conf.write_text(f"load_module {module};\n" + nginx.text("two"))
        needs = Needs((str(nginx.run), str(nginx.logs)))
        arguments = [str(nginx.binary), "-t", *nginx.place.arguments(str(conf))]
        yield nginx.instance.sandbox().run([arguments], needs=needs), victim, pid
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


@contextmanager
def bystander() -> Iterator[int]:
    """A process of ours that an attack may want to end."""
    with subprocess.Popen(["/bin/sleep", "600"]) as process:
        yield process.pid
        assert process.poll() is None
        process.kill()


def build_module(module: Path, victim: Path, nginx: AliveNginx, port: int, pid: int) -> None:
    """Compiles the attack with its targets."""
    text = SOURCE.read_text()
    assert LEFT in text
    # Another attack may run at the same time: what each leaves has a name of its own.
    source = module.with_suffix(".c")
    source.write_text(text.replace(LEFT, left_by(pid)))
    compiler = shutil.which("cc")
    assert compiler is not None
    words = {"VICTIM": victim, "LOGS": nginx.logs, "SOCKET": nginx.socket}
    numbers = {"PORT": port, "VICTIM_PID": pid}
    defines = [f'-D{name}="{value}"' for name, value in words.items()]
    defines += [f"-D{name}={value}" for name, value in numbers.items()]
    command = [compiler, "-shared", "-fPIC", "-w", "-O1", *defines, "-o", str(module), str(source)]
    subprocess.run(command, check=True)


@ROOT_ONLY
def test_an_attacking_module_gets_nowhere(alive: AliveNginx, confined: str) -> None:
    with attacked(alive, alive.folder / "ngx_attack_module.so") as (outcome, victim, pid):
        assert outcome.isolation == {"bubblewrap": "copy", "alone": "fence"}[confined], outcome.why
        lines = [line.split() for line in outcome.results[0].said.splitlines()]
        results = {words[1]: int(words[2]) for words in lines if words[:1] == ["attack:"]}
        assert results.pop("done") == 0
        assert len(results) > 40
        assert {name for name, code in results.items() if code == 0} == set()
        assert (victim.read_text(), victim.stat().st_mode & 0o777) == ("untouched", 0o644)
        assert victim.stat().st_uid == 0
        assert not (alive.logs / "evil.log").is_symlink()
        assert left_by(pid) not in names_of_processes()
        assert (Path("/proc") / str(pid)).exists()
    assert alive.body() == "one"


def names_of_processes() -> set[str]:
    """The names of all that run."""
    found = set()
    for file in Path("/proc").glob("[0-9]*/comm"):
        try:
            found.add(file.read_text().strip())
        except OSError:
            continue
    return found


@ROOT_ONLY
def test_without_bubblewrap_a_test_says_what_stays_open(
    alive: AliveNginx, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bubblewrap, "found", lambda: None)
    tested = alive.instance.test(str(alive.conf))
    assert tested.ok
    assert any("bubblewrap (bwrap) is not installed" in one for one in tested.warnings)


@ROOT_ONLY
def test_with_bubblewrap_nothing_is_said(alive: AliveNginx) -> None:
    peer("bwrap")
    assert alive.instance.test(str(alive.conf)).warnings == ()


@ROOT_ONLY
@pytest.mark.usefixtures("confined")
def test_a_config_of_others_is_tested_with_its_own_logs_and_names(alive: AliveNginx) -> None:
    place = Place(conf=str(alive.conf), pid_path=alive.place.pid_path, binary=str(alive.binary))
    extra = f"""
    server {{ listen unix:{alive.folder}/new.sock; access_log {alive.folder}/new.log; }}
    proxy_cache_path {alive.folder}/cache keys_zone=c:1m;
    upstream named {{ server localhost:1; }}
    server {{ listen 127.0.0.1:{alive.port}; server_name b; location / {{
        proxy_pass http://localhost:9;
    }} }}
    """
    candidate = alive.release / "candidate.conf"
    candidate.write_text(alive.text("two", extra))
    tested = NginxInstance(place).test(str(candidate))
    assert tested.problems == ()
