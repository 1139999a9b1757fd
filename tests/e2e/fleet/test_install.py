"""`deploy/install.sh`: what it writes, whom it lets read it, and that what it installs runs."""

import os
import shutil
import socket
import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest
from foreign_nginx import ForeignNginx
from installed_agent import GIVEN, SCRIPT, SECRET, adopted, agent, install, is_adopted
from master_operator import Operator, W, put
from master_process import master
from peers import peer, unavailable
from ports import free_port
from stand_in_wheel import ROOT, write_wheel
from tls_authority import Authority
from waiting import until

pytestmark = pytest.mark.timeout(900)  # an environment is made and pip runs in it


@pytest.fixture
def wheel(folder: Path) -> Path:
    """A wheel of this checkout."""
    return write_wheel(folder)


def test_it_is_clean_shell() -> None:
    done = subprocess.run(
        [peer("shellcheck"), SCRIPT, *(ROOT / "deploy" / "upgrade").iterdir()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_token_is_in_one_file_that_its_owner_alone_reads(folder: Path, wheel: Path) -> None:
    done = install(folder, "--engine", "native", str(wheel))
    assert done.returncode == 0, done.stdout + done.stderr
    kept = folder / "r/etc/headgate/agent.env"
    assert kept.stat().st_mode & 0o7777 == 0o600
    assert kept.read_text() == "".join(f"{key}={value}\n" for key, value in GIVEN.items())
    settings = (folder / "r/etc").rglob("*")
    assert [one for one in settings if one.is_file() and SECRET in one.read_text()] == [kept]
    assert SECRET not in done.stdout + done.stderr
    assert (folder / "r/etc/headgate/node.toml").read_text() == '[node]\nengine = "native"\n'
    said = subprocess.run(
        [folder / "r/opt/headgate/bin/headgate", "version"], capture_output=True, check=False
    )
    assert said.returncode == 0, said.stderr


def test_another_run_keeps_settings_and_needs_no_token(folder: Path, wheel: Path) -> None:
    assert install(folder, "--engine", "native", str(wheel)).returncode == 0
    settings = folder / "r/etc/headgate"
    (settings / "node.toml").write_text("[node]\n")
    done = install(folder, "--engine", "native", str(wheel), env={})
    assert done.returncode == 0, done.stderr
    assert (settings / "node.toml").read_text() == "[node]\n"
    assert SECRET in (settings / "agent.env").read_text()


@pytest.mark.parametrize(
    ("arguments", "env", "said"),
    [
        (["WHEEL"], {}, "set HEADGATE_MASTER_URL"),
        (["WHEEL"], {"HEADGATE_MASTER_URL": "https://a"}, "set HEADGATE_AGENT_TOKEN"),
        ([], GIVEN, "no wheel is named"),
        (["--upgrades", "--node", "b", "WHEEL"], GIVEN, "--upgrades is for the agent without"),
        (["nothing.whl"], GIVEN, "nothing.whl is not a file"),
        (["--engine", "haproxy", "WHEEL"], GIVEN, "write native or nginx"),
        (["--fast", "WHEEL"], GIVEN, "unknown option --fast"),
        (["WHEEL", "--engine"], GIVEN, "--engine takes a value"),
        (["--node", "a/b", "WHEEL"], GIVEN, "a/b is not a node name"),
        (["--node", "default", "WHEEL"], GIVEN, "default is taken by the agent without --node"),
        (
            ["--engine", "native", "--nginx-conf", "/a", "WHEEL"],
            GIVEN,
            "--nginx-conf is for --engine nginx",
        ),
        (["--engine", "nginx", "--nginx-conf", "a", "WHEEL"], GIVEN, "a is not an absolute path"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_written(
    folder: Path, wheel: Path, arguments: list[str], env: Mapping[str, str], said: str
) -> None:
    words = [str(wheel) if one == "WHEEL" else one for one in arguments]
    done = install(folder, *words, env=env)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert not (folder / "r").exists()


@pytest.mark.parametrize("node", ["", "inner"])
def test_systemd_understands_the_unit(folder: Path, wheel: Path, node: str) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        unavailable("systemd-analyze is missing")
    named = ["--node", node] if node else []
    assert install(folder, "--engine", "nginx", *named, str(wheel)).returncode == 0
    units = folder / "r/etc/systemd/system"
    unit = f"headgate-agent@{node}.service" if node else "headgate-agent.service"
    assert (units / f"{unit}.d/nginx.conf").exists()
    done = subprocess.run(
        [analyze, "verify", str(units / unit)],
        capture_output=True,
        text=True,
        env=os.environ | {"SYSTEMD_UNIT_PATH": f"{units}:"},
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if "headgate-agent" in line]
    absent = "/opt/headgate/bin/headgate is not executable"
    assert [line for line in said if absent not in line] == []


def test_what_is_installed_adopts_the_nginx_of_the_host(folder: Path, wheel: Path) -> None:
    binary = peer("nginx")
    folder.chmod(0o755)
    (folder / "m").mkdir()
    settings = folder / "r/etc/headgate"
    settings.mkdir(parents=True)
    with (
        master(folder / "m", "--listen", "127.0.0.1:0", "--fleet-tls") as running,
        ForeignNginx(folder, binary) as theirs,
    ):
        person = Operator(running)
        person.ask(f"{W}/fleets", {"name": "edge"})
        put(person, 80, "127.0.0.1:9")
        person.ask(f"{W}/revisions", {"fleet": "edge"})
        url = f"{person.base}?grpc={running.agents_port()}"
        token = person.ask(f"{W}/join-tokens", {"fleet": "edge"})["token"]
        # A machine of tests has several; a host with one needs no `conf`.
        (settings / "node.toml").write_text(
            f'[node]\nengine = "nginx"\nadmin = "off"\n[node.nginx]\nmode = "observe"\n'
            f'start = "external"\nconf = "{theirs.conf}"\n'
        )
        env = {"HEADGATE_MASTER_URL": url, "HEADGATE_AGENT_TOKEN": token}
        done = install(folder, "--engine", "nginx", str(wheel), env=env)
        assert done.returncode == 0, done.stderr
        with agent(folder) as state:
            until(lambda: adopted(state) == theirs.master, "the nginx is adopted", deadline_s=120)
            until(lambda: person.agent().get("state") == "connected", "a connected agent")
            (engine,) = person.agent()["facts"]["engines"]
            assert engine["engine"] == "nginx"


def test_a_host_with_two_nginx_has_an_agent_for_each(folder: Path, wheel: Path) -> None:
    binary = peer("nginx")
    folder.chmod(0o755)
    theirs = {}
    for node in ("inner", "outer"):
        (folder / node).mkdir(mode=0o755)
        theirs[node] = ForeignNginx(folder / node, binary)
    pair = Authority(folder).issue("site", "site.example")
    theirs["inner"].write(
        http=f"server {{ listen 127.0.0.1:{free_port()} ssl; server_name site.example;"
        f" ssl_certificate {pair.cert_file}; ssl_certificate_key {pair.key_file}; }}"
    )
    (folder / "m").mkdir()
    with (
        master(folder / "m", "--listen", "127.0.0.1:0", "--fleet-tls") as running,
        theirs["inner"],
        theirs["outer"],
    ):
        person = Operator(running)
        person.ask(f"{W}/fleets", {"name": "edge"})
        url = f"{person.base}?grpc={running.agents_port()}"
        for node, nginx in theirs.items():
            token = person.ask(f"{W}/join-tokens", {"fleet": "edge"})["token"]
            env = {"HEADGATE_MASTER_URL": url, "HEADGATE_AGENT_TOKEN": token}
            of_it = ["--engine", "nginx", "--node", node, "--nginx-conf", str(nginx.conf)]
            done = install(folder, *of_it, str(wheel), env=env)
            assert done.returncode == 0, done.stderr
        with agent(folder, "inner") as inner, agent(folder, "outer") as outer:
            for state, node in ((inner, "inner"), (outer, "outer")):
                ours = partial(is_adopted, state, theirs[node].master)
                until(ours, f"the nginx of {node} is adopted", deadline_s=120)

            def names() -> list[str]:
                return sorted(one["name"] for one in person.ask(f"{W}/agents")["items"])

            host = socket.gethostname()
            until(lambda: names() == [f"{host}-inner", f"{host}-outer"], "two agents")

            def certificates() -> list[str]:
                listed = person.ask(f"{W}/certificates")["items"]
                return [one["name"] for one in listed if one["names"] == ["site.example"]]

            until(lambda: certificates() == [str(pair.cert_file)], "the certificate", deadline_s=90)
