"""`headgate nginx status` tells each fact of a driven nginx in a line of its own."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from headgate.cli import calls, manage
from headgate.cli.nginx import status as command
from headgate.cli.nginx.status import text
from headgate.cli.program import program
from headgate.engines.nginx.apply.here import NotHereError
from headgate.engines.nginx.health.managed import LastApply, Managed, ManagedWorker
from headgate.engines.status import EngineStatus, NginxStatus

BARE = Managed(
    root="/s/nginx",
    binary="/usr/sbin/nginx",
    master=None,
    is_upgrading=False,
    workers=(),
    links={},
    releases=(),
    desired=None,
    on_disk=None,
    running=(),
    drift=(),
    edits=(),
    hold=None,
    is_boot_safe=False,
    boot_safe_why="no release",
    last_apply=None,
    problems=(),
)
ABOUT = NginxStatus(root="/s/nginx", mode="full", applied=5, rejected=1)
NODE = EngineStatus(kind="nginx", state="serving", nginx=ABOUT)
WORKERS = (
    ManagedWorker(8, False, 1.0, 2 << 20),
    ManagedWorker(9, True, 61.0, 3 << 20),
    ManagedWorker(10, False, 1.0, 1 << 20),
)
WELL = msgspec.structs.replace(BARE, drift=("in sync",), running=(3, 4), master=7, workers=WORKERS)
Command = Callable[..., tuple[int, str]]


def lines(**changed: object) -> dict[str, str]:
    shown = text(msgspec.structs.replace(BARE, **changed))
    return {line[:13].strip(): line[13:] for line in shown.splitlines()}


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (None, "does not run, or does not answer"),
        (
            EngineStatus(kind="nginx", state="unknown", why="nginx is not known yet"),
            "runs, unknown: nginx is not known yet",
        ),
        (NODE, "runs, 5 applied, 1 rejected"),
        (
            msgspec.structs.replace(
                NODE,
                state="degraded",
                nginx=msgspec.structs.replace(ABOUT, warning="disk full"),
            ),
            "runs, 5 applied, 1 rejected, DEGRADED; disk full",
        ),
    ],
)
def test_it_tells_whether_the_node_runs(node: EngineStatus | None, said: str) -> None:
    assert lines(node=node)["node"] == said


def test_where_nothing_runs_it_says_so() -> None:
    found = lines()
    assert found["state"] == "no release"
    assert found["generation"] == "desired none, on disk none, running none"
    assert found["processes"] == "no master runs"
    assert found["hold"] == "none"
    assert found["boot safe"] == "NO: no release"
    assert found["last apply"] == "none"


def test_processes_are_counted_by_what_they_do() -> None:
    shown = lines(master=7, workers=WORKERS, is_upgrading=True)
    assert (
        shown["processes"]
        == "master 7, 2 workers, 1 draining, 6 MiB, a binary upgrade is under way"
    )
    assert shown[""] == "worker 9 drains, started 61 s ago, 3 MiB"


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        ("served", "generation 4 serves ("),
        ("open", "generation 4 open at swap ("),
        ("undone", "generation 4 undone at swap, back to 3 ("),
    ],
)
def test_the_last_apply_says_how_it_ended(ended: str, said: str) -> None:
    back = "3" if ended == "undone" else ""
    last = LastApply(4, ended, "swap", 0.0, went_back_to=back)  # type: ignore[arg-type]
    assert lines(last_apply=last)["last apply"].startswith(said)


def test_a_node_that_runs_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def answer(state: Path) -> SimpleNamespace:
        asked.append(state)
        return SimpleNamespace(engine=NODE)

    monkeypatch.setattr("headgate.engines.nginx.health.managed.managed", lambda root: BARE)
    monkeypatch.setattr(manage, "status", answer)
    with pytest.raises(typer.Exit):  # the nginx of BARE does not run
        command.status(root=tmp_path / "nginx")
    assert asked == [tmp_path]
    assert "node         runs, 5 applied, 1 rejected" in capsys.readouterr().out


@pytest.fixture
def every(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[Path, Managed]:
    """The nginx of each folder; no node runs."""
    found: dict[Path, Managed] = {}

    def managed(root: Path) -> Managed:
        if root not in found:
            raise NotHereError(f"no nginx is driven from {root}")
        return found[root]

    def away(_: Path) -> SimpleNamespace:
        raise calls.NoNodeError("away")

    monkeypatch.setattr("headgate.engines.nginx.health.managed.managed", managed)
    monkeypatch.setattr(manage, "status", away)
    return found


@pytest.fixture
def run(tmp_path: Path) -> Command:
    def ran(*words: str) -> tuple[int, str]:
        line = ["nginx", "status", "--state-dir", str(tmp_path), *words]
        done = CliRunner().invoke(program(), line)
        return done.exit_code, done.output

    return ran


def test_an_nginx_is_well_if_it_is_in_sync_and_nothing_hides_how_it_is(
    tmp_path: Path, every: dict[Path, Managed], run: Command
) -> None:
    root = tmp_path / "nginx"
    assert run() == (1, f"headgate: no nginx is driven from {root}\n")
    every[root] = WELL
    code, said = run()
    assert (code, said.splitlines()[0]) == (0, "state        in sync")
    code, said = run("-o", "json")
    assert (code, json.loads(said)["master"]) == (0, 7)
    for worse in ({"drift": ("in sync", "foreign")}, {"problems": ("unreadable",)}):
        every[root] = msgspec.structs.replace(WELL, **worse)
        assert run()[0] == 1


def test_each_instance_of_an_agent_has_a_line(
    tmp_path: Path, every: dict[Path, Managed], run: Command
) -> None:
    places = {name: tmp_path / "instances" / name / "nginx" for name in ("in", "outer", "z")}
    for place in places.values():
        place.parent.mkdir(parents=True)
    every[places["outer"]] = WELL
    every[places["z"]] = msgspec.structs.replace(BARE, problems=("unreadable",))
    assert run() == (
        1,
        f"in     no nginx is driven from {places['in']}\n"
        "outer  in sync; generation 3 and 4 runs; master 7, 2 workers, 1 draining, 6 MiB\n"
        "z      no release; generation none runs; no master runs; unreadable\n",
    )
    every[places["in"]] = WELL
    assert run()[0] == 1
    every[places["z"]] = WELL
    code, said = run("-o", "json")
    assert (code, list(json.loads(said))) == (0, ["in", "outer", "z"])
    for words in (("--instance", "outer"), ("--root", str(places["outer"]))):
        code, said = run(*words)
        assert (code, said.splitlines()[0]) == (0, "state        in sync")
