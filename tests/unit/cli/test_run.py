"""What `headgate run` prepares before it becomes the supervisor."""

import importlib.util
import json
import os
import pwd
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import headgate
from headgate.cli.run import (
    RunRequest,
    compile_supervisor,
    node_settings,
    supervisor_command,
    supervisor_of,
)
from headgate.compile.settings import NodeSettings
from headgate.node import nginx_rights
from headgate.node.options import Options

SUPERVISOR = Path(headgate.__path__[0]) / "supervisor"
CONTROL = [sys.executable, "-P", "-m", "headgate.node", "{}"]


def _copied(packages: Path) -> Path:
    """A supervisor that nobody has compiled."""
    copy = packages / "headgate" / "supervisor"
    shutil.copytree(SUPERVISOR, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def test_the_supervisor_never_compiles_itself(tmp_path: Path) -> None:
    copy = _copied(tmp_path)
    compile_supervisor(tmp_path)
    sources = list(copy.glob("*.py"))
    assert sources
    missing = [
        one.name for one in sources if not Path(importlib.util.cache_from_source(str(one))).exists()
    ]
    assert not missing


def test_where_bytecode_cannot_be_written_the_node_starts_all_the_same(tmp_path: Path) -> None:
    copy = _copied(tmp_path)
    (copy / "__pycache__").write_text("in the way")
    compile_supervisor(tmp_path)
    assert (copy / "__pycache__").is_file()


_BECOMES = """
import json, sys
from headgate.cli import run
sys.stdout.write("told ")
sys.stderr.write("warned ")
getattr(run, sys.argv[1])(json.loads(sys.argv[2]))
"""
_SHOWS = """
import importlib.util, json, os, sys
from pathlib import Path
status = Path("/proc/self/status").read_text()
source = Path(sys.argv[1], "headgate", "supervisor", "__init__.py")
compiled = importlib.util.cache_from_source(str(source))
few = "NoNewPrivs:\\t1" in status
early = json.loads(sys.argv[2]).get("early")
if early:
    os.close(early[1])
    early = os.waitstatus_to_exitcode(os.waitpid(early[0], 0)[1])
print(os.getpid(), os.environ["GRPC_VERBOSITY"], Path(compiled).exists(), few, early)
"""


def _became(function: str, told: dict[str, object], folder: Path, **variables: str) -> list[str]:
    """Returns what a process says after it gave itself up for another that shows its state."""
    packages = _copied(folder).parents[1]
    command = [sys.executable, "-c", _SHOWS, str(packages), json.dumps(told)]
    environment = {**os.environ, **variables, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment["PYTHONUNBUFFERED"] = ""  # what it says is in a buffer when it is replaced
    with subprocess.Popen(
        [sys.executable, "-c", _BECOMES, function, json.dumps(command)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        words = process.communicate()[0].split()
    assert words[:3] == ["told", "warned", str(process.pid)], "it is the same process"
    return words[3:]


def test_the_supervisor_has_few_rights_no_code_to_compile_and_a_quiet_grpc(tmp_path: Path) -> None:
    me = pwd.getpwuid(os.geteuid()).pw_name
    told = {"has_data_plane": True, "user": me, "access_log": None, "control": CONTROL}
    state = {"state_dir": str(tmp_path / "state")}
    assert _became("become", {**told, **state}, tmp_path) == ["NONE", "True", "True", "0"]


def test_that_of_an_nginx_does_not_touch_the_state_directory(tmp_path: Path) -> None:
    told = {"has_data_plane": False, "user": None, "access_log": None, "keeps": ["kill"]}
    state = {"state_dir": str(tmp_path / "state"), "control": CONTROL}
    assert _became("become", {**told, **state}, tmp_path) == ["NONE", "True", "True", "0"]
    assert not (tmp_path / "state").exists()


def test_an_agent_of_several_instances_has_as_few_and_the_verbosity_that_it_is_given(
    tmp_path: Path,
) -> None:
    assert _became("become_agent", {}, tmp_path, GRPC_VERBOSITY="DEBUG") == [
        "DEBUG",
        "True",
        "True",
        "None",
    ]


def _supervisor(request: RunRequest, settings: NodeSettings) -> dict[str, object]:
    """Returns what a supervisor is told, with the options of its control process in their place."""
    told: dict[str, object] = json.loads(supervisor_command(request, settings, Path("/s"))[-1])
    command = told.pop("control")
    assert isinstance(command, list)
    assert command[:-1] == [sys.executable, "-P", "-m", "headgate.node"]
    return {**told, "options": Options.decode(command[-1])}


def test_a_supervisor_is_a_python_with_its_modules_alone() -> None:
    packages = str(Path(headgate.__path__[0]).parent)
    for told, name in ((supervisor_of({}), "__main__"), (supervisor_of({"a": 1}, "x"), "x")):
        assert told[:4] == [sys.executable, "-I", "-S", "-c"]
        assert f"from headgate.supervisor.{name} import main;" in told[4]
        assert told[5] == packages
    assert json.loads(supervisor_of({"a": 1})[6]) == {"a": 1}


def test_a_supervisor_is_told_what_the_config_says() -> None:
    request = RunRequest([Path("/a.toml")], None, None, None, [], None, watch=True)
    settings = NodeSettings((), (), None, 3, "warn", user="web", access_log="/l", drain_s=20.0)
    assert _supervisor(request, settings) == {
        "state_dir": "/s",
        "workers": 3,
        "log_level": "warn",
        "has_data_plane": True,
        "control_grace_s": 3.0,
        "user": "web",
        "access_log": "/l",
        "instance": "",
        "options": Options("/s", ["/a.toml"], user="web"),
    }


def test_the_command_line_decides_before_the_config_and_a_draining_nginx_has_its_time() -> None:
    request = RunRequest(
        [], 5, ["a:1"], [], ["h"], "debug", watch=False, engine="nginx", master="m", name="n"
    )
    request = replace(request, upgrade_command=Path("/u"), instance="i", agent_dir="/g")
    settings = NodeSettings((), (), None, 3, "warn", drain_s=20.0, title="t", labels={"a": "b"})
    assert _supervisor(request, settings) == {
        "state_dir": "/s",
        "workers": 5,
        "log_level": "debug",
        "has_data_plane": False,
        "control_grace_s": 23.0,
        "user": None,
        "access_log": None,
        "instance": "i",
        "keeps": sorted(nginx_rights.kept_for(settings.nginx)),
        "options": Options(
            *("/s", [], ["a:1"], [], ["h"], "debug", 5),
            watch=False,
            engine="nginx",
            engine_is_forced=True,
            master="m",
            name="n",
            upgrade_command="/u",
            instance="i",
            agent_dir="/g",
            title="t",
            labels={"a": "b"},
        ),
    }


def test_a_config_that_serves_nothing_is_refused_by_its_name_unless_it_may(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "a.toml"
    config.write_text("[node]\nworkers = 3\n")
    assert node_settings([config]) is None
    assert capsys.readouterr().err.startswith(f"{config}: the config has neither a listener nor")
    settings = node_settings([config], may_be_empty=True)
    assert settings is not None
    assert (settings.workers, capsys.readouterr().err) == (3, "")
