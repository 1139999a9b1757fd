"""Asks a master which route a request takes at the node of an agent."""

import sys
from collections.abc import Iterator
from typing import Literal

import msgspec

from headgate.cli.explain import text
from headgate.cli.output import OK, as_json, printable
from headgate.cli.remote.client import Json, Master
from headgate.cli.remote.kinds import find, kind_named
from headgate.compile.explanation import Explanation
from headgate.compile.routing import Question

Config = Literal["serving", "resources"]


def explain(master: Master, asked: Question, agent: str, config: Config, output: str) -> int:
    """Writes the master's explanation; returns the exit code. Raises MasterError."""
    found = find(kind_named("agent"), agent, master)
    path = f"/workspaces/{master.workspace}/agents/{found['id']}/explain"
    said = master.ask("POST", path, {**msgspec.to_builtins(asked), "config": config})
    if output == "json":
        sys.stdout.write(as_json(said) + "\n")
    else:
        sys.stdout.writelines(f"{printable(line)}\n" for line in _lines(said))
    return OK


def _lines(said: Json) -> Iterator[str]:
    number = said["revision"]
    what = "the workspace's resources" if number is None else f"revision {number}"
    yield f"agent {said['name']}, {what}"
    yield from text(msgspec.convert(said["explanation"], Explanation))
