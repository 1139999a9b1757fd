"""`headgate nginx status` tells each fact of a driven nginx in a line of its own."""

from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
import typer

from headgate.cli import manage
from headgate.cli.nginx import status as command
from headgate.cli.nginx.status import text
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
    workers = (ManagedWorker(8, False, 1.0, 2 << 20), ManagedWorker(9, True, 61.0, 3 << 20))
    shown = lines(master=7, workers=workers, is_upgrading=True)
    assert (
        shown["processes"]
        == "master 7, 1 workers, 1 draining, 5 MiB, a binary upgrade is under way"
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
