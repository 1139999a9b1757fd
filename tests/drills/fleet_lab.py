"""The parts of the fleet drill: a master that may be killed, nodes in namespaces, who writes and
who watches. Everything goes into one history."""

import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

import asking
from agent_master import OWN
from history import Allowed, Down, History, Outcome, Request, Seen, Step, Timeline, Write
from master_process import PASSWORD, call
from running_node import HEADGATE, RunningNode
from star import CENTRE, Star
from waiting import until

from headgate.cli import calls

W: Final = "/api/v1/workspaces/default"
WRITTEN: Final = "/api/v1/workspaces/written"
"""The writer has a workspace of its own: what is published must not change while it is checked."""
REST, GRPC, PORT, INNER, DEAD = 8080, 8443, 9000, 9001, 9002
PATIENCE_S: Final = 600.0
_CHANGEOVER_S: Final = 1.0
"""While workers change over, old and new ones answer side by side."""
_LOOK_S: Final = 0.3
_WRITE_S: Final = 0.1
_KEYS: Final = 4
_ENDPOINTS: Final = ("config", "data plane")


class Master:
    """`headgate master` at the middle of the star, at fixed ports."""

    def __init__(self, folder: Path, database_url: str | None) -> None:
        self.folder = folder
        self.log = folder / "master.log"
        self._environment = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"}
        if database_url is not None:
            self._environment["DATABASE_URL"] = database_url
        self.process: subprocess.Popen[bytes]

    def start(self) -> Self:
        """Starts it, and returns once it answers."""
        listen = ("--listen", f"{CENTRE}:{REST}", "--agents-listen", f"{CENTRE}:{GRPC}")
        command = [str(HEADGATE), "master", "--data", str(self.folder / "data"), *listen]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--fleet-tls"], stdout=log, stderr=log, env=self._environment
            )
        until(self._answers, "the master answers", deadline_s=PATIENCE_S)
        return self

    def kill(self) -> None:
        """Ends it as a power cut would."""
        self.process.kill()
        self.process.wait()

    def set_up_token(self) -> str:
        """The token of the set-up link that it printed."""
        return self.log.read_text().partition("/setup#")[2].split()[0]

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text(errors="replace")[-2000:]
        try:
            call(f"https://{CENTRE}:{REST}/api/v1/health", context=trusting_anybody())
        except OSError:
            return False
        return True


def trusting_anybody() -> ssl.SSLContext:
    """The drill's own client asks before it has anything to trust."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Person:
    """Somebody at the REST API, whose writes go into the history; for one thread."""

    def __init__(self, history: History, set_up_token: str = "") -> None:
        self._history = history
        self._context = trusting_anybody()
        self._token = ""
        if set_up_token:
            body = {"token": set_up_token, "name": "ann", "password": PASSWORD}
            self._token = str(self.ask("/api/v1/auth/setup", body)["access_token"])

    def ask(self, path: str, body: object = None, method: str | None = None) -> Any:
        """One request; logs in again if need be. Raises OSError, HTTPError among them."""
        url = f"https://{CENTRE}:{REST}{path}"
        try:
            return call(url, body, self._token, self._context, method)
        except urllib.error.HTTPError as error:
            if error.code != 401 or path.startswith("/api/v1/auth"):
                raise
        given = {"name": "ann", "password": PASSWORD}
        self._token = str(self.ask("/api/v1/auth/login", given)["access_token"])
        return call(url, body, self._token, self._context, method)

    def write(self, key: str, value: str, path: str, body: object, method: str) -> Any:
        """One write; None if it was not acknowledged."""
        begun, answer = time.monotonic(), None
        outcome: Outcome = "unknown"
        try:
            answer = self.ask(path, body, method)
            outcome = "acknowledged"
        except urllib.error.HTTPError as error:
            outcome = "refused" if error.code < 500 else "unknown"
        except OSError:
            pass
        self._history.writes.append(Write(key, value, begun, time.monotonic(), outcome))
        return answer

    def put(self, path: str, spec: object) -> None:
        """Makes a resource of the config."""
        self.ask(f"{W}/resources/{path}", {"spec": spec}, "PUT")

    def publish(self, number: int, *, is_served: bool) -> int:
        """Publishes revision `number`, in which every node answers with that."""
        self.put("routes/answer", {"listeners": ["inner"], "respond": {"body": str(number)}})
        begun = time.monotonic()
        made = self.ask(f"{W}/revisions", {"fleet": "edge", "is_served": is_served})
        ended = time.monotonic()
        assert made["number"] == number, f"{made['number']} came for {number}"
        key, value = f"revision/{number}", made["hash"]
        self._history.writes.append(Write(key, value, begun, ended, "acknowledged"))
        return number

    def all(self, path: str, workspace: str = W) -> list[dict[str, Any]]:
        """Every item of a list."""
        items: list[dict[str, Any]] = []
        after = ""
        while True:
            page = self.ask(f"{workspace}/{path}?limit=100{after}")
            items += page["items"]
            if not page["next"]:
                return items
            after = f"&cursor={page['next']}"

    def read_back(self) -> None:
        """Puts what the store has into the history."""
        found = self._history.found
        for one in self.all("resources", WRITTEN):
            found[f"{one['kind']}/{one['name']}"] = one["spec"]["endpoints"][0]
        for one in self.all("revisions"):
            found[f"revision/{one['number']}"] = one["hash"]


class Node(RunningNode):
    """`headgate agent` at an end of the star, with a client that asks it all the time."""

    reads_a_file = False

    def __init__(self, folder: Path, star: Star, name: str, engine: str, token: str) -> None:
        folder.mkdir()
        self.name = name
        self._before = star.before(name)
        self._command = (*self._before, *RunningNode.program)
        self.program = self._command
        self._arguments = ("--engine", engine)
        self.answers = folder / "answers"
        self._clients: subprocess.Popen[bytes] | None = None
        super().__init__(folder, OWN, *self._arguments, HEADGATE_AGENT_TOKEN=token)

    def _start(self, command: list[str], *arguments: str, **env: str) -> "subprocess.Popen[bytes]":
        own = ["--config", str(self.config)]
        url = f"grpcs://{CENTRE}"
        return super()._start(["agent", "--master-url", url, *own], *arguments, **env)

    def ask_all_the_time(self) -> None:
        """Starts its client."""
        program = [sys.executable, asking.__file__, str(PORT), str(self.answers)]
        self._clients = subprocess.Popen([*self._before, *program])

    def end_asking(self, history: History) -> int:
        """Ends its client; puts its requests into the history. Returns how many there were."""
        if self._clients is None:
            return 0
        self._clients.terminate()
        self._clients.wait()
        rows = [json.loads(line) for line in self.answers.read_text().splitlines()]
        for begun, ended, body, error in rows:
            history.requests.append(Request(self.name, begun, ended, error))
            if not error:
                seen = Seen(self.name, int(body), begun, ended + _CHANGEOVER_S)
                history.seen.append(seen)
        return len(rows)

    def control(self) -> int:
        """The pid of its control process; 0 while there is none."""
        with suppress(calls.NoNodeError, KeyError, ValueError):
            found = self.status()["control"]
            assert isinstance(found, dict)
            return int(found["pid"])
        return 0

    def lines(self) -> list[str]:
        """What it said since its last start."""
        return self.log.read_text(errors="replace").splitlines()

    def is_connected(self) -> bool:
        """Whether it has a live session."""
        return self.metric("headgate_master_connected") == 1

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text(errors="replace")[-2000:]
        return self.admin_status("/ready") == 200

    def revision(self) -> int:
        """The revision that it proved to serve; 0 while there is none."""
        with suppress(calls.NoNodeError, KeyError, TypeError):
            return int(self.status()["master"]["serving"]["revision"])  # type: ignore[index]
        return 0

    def restart(self, history: History, by: signal.Signals = signal.SIGKILL) -> None:
        """Ends the whole node, which costs what it does meanwhile, and starts it again."""
        before = self.control()
        begun = time.monotonic()
        self.process.send_signal(by)
        self.process.wait()
        self._end_nginx()
        self.process = self._start(["run", str(self.config)], *self._arguments)

        def is_ready() -> bool:
            # The former control process answers for a moment after its supervisor was killed.
            return self.control() not in {0, before} and self._is_ready()

        until(is_ready, f"{self.name} is ready", deadline_s=PATIENCE_S)
        ended = time.monotonic()
        history.down += [Down(self.name, one, begun, ended) for one in _ENDPOINTS]


class Writer:
    """Writes resources without a pause, also while the master or its database is away."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Ends it after the write under way."""
        self._ends.set()
        self._thread.join()

    def _run(self) -> None:
        person = Person(self._history)
        number = 0
        while not self._ends.wait(_WRITE_S):
            number += 1
            name, value = f"w{number % _KEYS}", f"127.0.0.1:{1024 + number % 60_000}"
            spec = {"spec": {"endpoints": [value]}}
            key = f"upstreams/{name}"
            with suppress(OSError):  # logging in failed
                person.write(key, value, f"{WRITTEN}/resources/{key}", spec, "PUT")


class Watcher:
    """Reads where each agent stands and how far each rollout is, as often as it gets answers."""

    def __init__(self, history: History) -> None:
        self.latest: dict[str, dict[str, Any]] = {}
        self._history = history
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Ends it."""
        self._ends.set()
        self._thread.join()

    def texts(self, rollout: str) -> list[str]:
        """The lines of a rollout's timeline, as they were read last."""
        lines = self.latest.get(rollout, {}).get("timeline", [])
        return [f"{one['kind']}: {one['text']}" for one in lines]

    def _run(self) -> None:
        person = Person(self._history)
        while not self._ends.wait(_LOOK_S):
            with suppress(OSError):
                self._look(person)

    def _look(self, person: Person) -> None:
        begun = time.monotonic()
        for one in person.all("agents"):
            serving = one["revisions"]["serving"]
            if serving is not None:
                name = f"{one['name']}/{one['id']} by the master"
                self._history.seen.append(Seen(name, serving, begun, time.monotonic()))
        for one in person.all("rollouts"):
            found = person.ask(f"{W}/rollouts/{one['id']}")
            steps = tuple(Step(at["at"], at["kind"], at["text"]) for at in found["timeline"])
            self._history.timelines.append(Timeline(one["id"], time.monotonic(), steps))
            self.latest[one["id"]] = found


def config_of(person: Person) -> None:
    """Makes the writer's workspace, and the resources of the fleet's config: a proxied answer, with
    a dead endpoint beside the good one."""
    person.ask("/api/v1/organisations/main/workspaces", {"name": "written"})
    person.put("listeners/web", {"address": f"127.0.0.1:{PORT}", "default": True})
    person.put("listeners/inner", {"address": f"127.0.0.1:{INNER}"})
    endpoints = [f"127.0.0.1:{INNER}", f"127.0.0.1:{DEAD}"]
    person.put("upstreams/app", {"endpoints": endpoints})
    person.put("routes/all", {"listeners": ["web"], "upstream": "app"})


def allow_back(history: History, revision: int) -> None:
    """From now on nodes may go back to this revision."""
    history.allowed.append(Allowed(revision, time.monotonic()))


def endpoints_of(names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """What has to answer at each node: with the node up, there is always one."""
    return dict.fromkeys(names, _ENDPOINTS)
