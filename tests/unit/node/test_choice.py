"""A config for another engine than the one that runs is refused, where nobody forced the engine."""

import pytest

from headgate.compile.settings import NodeSettings
from headgate.kernel.diagnostics import Diagnostic
from headgate.node.options import Options
from headgate.node.ports import Candidate
from headgate.node.serving.choice import same_engine
from headgate.plan.plan import Plan


def candidate(engine: str) -> Candidate:
    assert engine in ("native", "nginx")
    node = NodeSettings((), (), None, None, "info", engine)  # type: ignore[arg-type]

    def place(kind: str, name: str, path: str) -> Diagnostic:
        return Diagnostic(file="a.toml", line=2, path=f"{name}.{path}", message="")

    return Candidate(plan=Plan(), node=node, blobs={}, warnings=(), locate=place)


@pytest.mark.parametrize(("runs", "wanted"), [("native", "nginx"), ("nginx", "native")])
def test_another_engine_takes_a_restart(runs: str, wanted: str) -> None:
    options = Options(state_dir="/s", engine=runs)  # type: ignore[arg-type]
    [found] = same_engine(options)(candidate(wanted))
    assert (found.line, found.path) == (2, "node.engine")
    assert f'"{runs}"; restart it to run with "{wanted}"' in found.message


@pytest.mark.parametrize("wanted", ["native", "nginx"])
def test_what_the_command_line_chose_holds_whatever_the_config_says(wanted: str) -> None:
    options = Options(state_dir="/s", engine="nginx", engine_is_forced=True)
    assert same_engine(options)(candidate(wanted)) == ()


def test_the_engine_that_runs_is_no_objection() -> None:
    assert same_engine(Options(state_dir="/s", engine="nginx"))(candidate("nginx")) == ()
