"""A master that answers the commands of people as a test has said, and keeps what they asked.

Commands find it by a context of their own in a folder of the test.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx2
import pytest

from headgate.cli import main as entry
from headgate.cli.remote import contexts
from headgate.cli.remote.contexts import Context, Contexts

URL = "http://127.0.0.1:1"
SHOP = "/workspaces/shop"
_MOST: Final = 500
"""More requests than any command of a test needs."""


@dataclass(frozen=True)
class Asked:
    """One request of a command."""

    method: str
    path: str
    query: dict[str, str]
    headers: httpx2.Headers
    body: object
    queries: list[tuple[str, str]] = field(default_factory=list)
    """Its parameters in their order, with those that are there more than once."""


@dataclass
class ScriptedMaster:
    """`answers` holds the body of each answer, or a list of bodies of which the last one stays.
    What is not there is answered with 404."""

    answers: dict[str, object] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        """Returns what the test said for `METHOD /path`."""
        assert len(self.asked) < _MOST, "a command asks without end"
        path = request.url.path.removeprefix("/api/v1")
        body = json.loads(request.content) if request.content else None
        query = dict(request.url.params)
        every = request.url.params.multi_items()
        self.asked.append(Asked(request.method, path, query, request.headers, body, every))
        found = self.answers.get(key := f"{request.method} {path}")
        if key not in self.answers:
            return httpx2.Response(404, json={"detail": f"{key} is not scripted"})
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        if isinstance(found, int):
            return httpx2.Response(found, json={"detail": f"answered {found}"})
        return httpx2.Response(204) if found is None else httpx2.Response(200, json=found)

    def bodies(self, method: str, path: str) -> list[object]:
        """Returns the bodies of the requests to one place."""
        return [one.body for one in self.asked if (one.method, one.path) == (method, path)]


def installed(monkeypatch: pytest.MonkeyPatch, home: Path) -> ScriptedMaster:
    """Puts a master in the place of the network, and a context "up" for it in the folder."""
    master = ScriptedMaster()
    client: Callable[..., httpx2.Client] = httpx2.Client

    def scripted(**options: object) -> httpx2.Client:
        return client(**options | {"transport": httpx2.MockTransport(master.answer)})

    monkeypatch.setattr(httpx2, "Client", scripted)
    monkeypatch.setattr(httpx2, "HTTPTransport", lambda **_: httpx2.MockTransport(master.answer))
    monkeypatch.setenv("HEADGATE_CONFIG_HOME", str(home))
    monkeypatch.delenv("HEADGATE_CONTEXT", raising=False)
    known = Contexts().holding("up", Context(URL, "access", "refresh", "shop"))
    contexts.save(contexts.place({"HEADGATE_CONFIG_HOME": str(home)}), known)
    return master


def left(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Runs the whole command line; returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["headgate", *arguments])
    with pytest.raises(SystemExit) as end:
        entry.main()
    return int(end.value.code or 0)
