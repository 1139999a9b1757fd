"""An agent of an older wheel with the master of this checkout, and the other way round.

    python tests/drills/older_agent.py --wheel dist/headgate-0.1.0-….whl [--engine native]

First the older wheel is the agent of a master of this checkout. It gets revisions, one of them with
a setting that its version does not know, is upgraded by a rollout to this checkout and goes back,
while a client asks all the time. Then the older wheel is the master of an agent of this checkout;
this checkout takes over that master's data, and the older master is started on them again. Each
step prints what was seen; the exit code is 1 when a step went otherwise than it should.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fault_upgrade import VERSIONS, packed
from master_process import MasterProcess
from older_stage import NEWER_PATH, PATIENCE_S, Site, master_of, program_of, site
from running_node import Load
from waiting import until

ENGINES = ("native", "nginx")
_COMMAND = """#!/bin/sh
set -eu
exec {python} -m pip --python {home}/bin/python --quiet --disable-pip-version-check \\
    install --no-index --no-deps --force-reinstall {folder}/headgate-"$1"-*.whl
"""


@dataclass
class Story:
    """The steps, and those that went otherwise than they should."""

    faults: list[str] = field(default_factory=list)

    def step(self, what: str, do: Callable[[], str]) -> None:
        """Tries a step; `do` returns what was seen, or fails with what is wrong."""
        try:
            text, is_fine = do(), True
        except (AssertionError, OSError, subprocess.SubprocessError, KeyError) as error:
            text, is_fine = f"{type(error).__name__}: {error}", False
            self.faults.append(what)
        sys.stdout.write(f"{'ok   ' if is_fine else 'FAULT'} {what}: {text}\n")
        sys.stdout.flush()


def older_agent(story: Story, folder: Path, wheels: dict[str, Path], engine: str) -> None:
    """The older wheel as the agent of this checkout's master."""
    program = program_of(folder / "venv", wheels[VERSIONS[0]])
    command = folder / "install-headgate"
    where = {"python": sys.executable, "home": folder / "venv"}
    command.write_text(_COMMAND.format(folder=wheels[VERSIONS[0]].parent, **where))
    command.chmod(0o755)
    with site(folder, MasterProcess, program, engine) as here:
        story.step("the older agent enrols and serves", lambda: here.plain("one"))
        story.step("a change is served", lambda: here.plain("two"))
        with Load(here.port) as load:
            story.step("a setting that it does not know", lambda: _refused(here))
            story.step("the next plain revision", lambda: here.plain("one"))
            story.step("a rollout upgrades it", lambda: _upgraded(here))
            story.step("the setting that it knows now", lambda: _served(here))
            story.step("another plain revision", lambda: here.plain("two"))
            story.step("it goes back to the older wheel", lambda: _back(here))
            story.step("a change after that", lambda: here.plain("one"))
        story.step("requests meanwhile", lambda: _without_loss(load))


def _refused(here: Site) -> str:
    """The agent names the setting and leaves out what needs it; everything else is served."""
    number = here.newer()
    said: list[str] = []

    def is_told() -> bool:
        agent = here.person.agent()
        error = agent["error"]
        if error is None or error["revision"] != number:
            return False
        said[:] = [f"{agent['phase']} {error['code']} {error['object']}: {error['text']}"]
        return True

    until(is_told, f"an error of revision {number}", deadline_s=PATIENCE_S)
    assert "middlewares" in said[0] and "few" in said[0], said[0]
    answers = {path: here.answer(path) for path in ("/", NEWER_PATH)}
    assert answers["/"] == "two", f"{answers}, after {said[0]}"
    assert answers[NEWER_PATH] in {"two", "503"}, f"{answers}, after {said[0]}"
    return f"{said[0]}; its answers: {answers}"


def _upgraded(here: Site) -> str:
    here.upgrade(VERSIONS[1])
    return f"{here.program()} runs"


def _served(here: Site) -> str:
    number = here.newer()
    here.until_serving(number)
    until(lambda: here.answer(NEWER_PATH) == "one", "the route with the setting")
    return f"revision {number} is {here.person.agent()['phase']}"


def _back(here: Site) -> str:
    here.undo(VERSIONS[0])
    here.until_answers("two")
    return f"{here.program()} runs and serves"


def _without_loss(load: Load) -> str:
    assert load.lost == [], f"{len(load.lost)} of {len(load.answers)} failed: {_kinds(load.lost)}"
    return f"{len(load.answers):,} answers, failures: none"


def _kinds(failures: list[str]) -> dict[str, int]:
    return dict(Counter(one[:120] for one in failures).most_common(5))


def older_master(story: Story, folder: Path, wheels: dict[str, Path], engine: str) -> None:
    """The older wheel as the master of this checkout's agent."""
    older = program_of(folder / "venv", wheels[VERSIONS[0]])
    present = program_of(folder / "venv-agent", wheels[VERSIONS[1]])
    with site(folder, master_of(older), present, engine) as here:
        story.step("an agent enrols at the older master", lambda: here.plain("one"))
        story.step("a change is served", lambda: here.plain("two"))
        with Load(here.port) as load:
            story.step("this checkout on the older master's data", lambda: _taken_over(here))
            story.step("a change is served", lambda: here.plain("one"))
            story.step("the older master on these data", lambda: here.refusal(older))
        story.step("requests meanwhile", lambda: _without_loss(load))


def _taken_over(here: Site) -> str:
    here.replace_master(MasterProcess)
    agent = here.person.agent()
    return f"the agent is {agent['state']}, {agent['phase']}, revisions {agent['revisions']}"


def main() -> int:
    """Reads the arguments and runs; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheel", type=Path, required=True, help="a wheel of an older version")
    parser.add_argument("--engine", action="append", choices=ENGINES)
    given = parser.parse_args()
    story = Story()
    parts = {"older agent": older_agent, "older master": older_master}
    with tempfile.TemporaryDirectory(prefix="hg-", ignore_cleanup_errors=True) as name:
        top = Path(name)
        wheels = {
            VERSIONS[0]: Path(shutil.copy(given.wheel, top)),
            VERSIONS[1]: packed(top, VERSIONS[1]),
        }
        for engine in given.engine or ENGINES:
            for number, (what, part) in enumerate(parts.items()):
                sys.stdout.write(f"== {what}, {engine}\n")
                folder = top / f"{engine}-{number}"
                folder.mkdir()
                part(story, folder, wheels, engine)
    sys.stdout.write(f"{len(story.faults)} steps went otherwise\n")
    return 1 if story.faults else 0


if __name__ == "__main__":
    sys.exit(main())
