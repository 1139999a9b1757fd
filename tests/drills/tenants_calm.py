"""The tenant that sends few requests: reads and conditional writes at a fixed rate, and the events
of its workspace. Latency counts from the time at which a request was due, answered late or not.
"""

import asyncio
import contextlib
import itertools
import json
import time
from typing import Any, Final, NamedTuple

import drill_parts  # noqa: F401 - it makes the tests' support importable
from tenants_talk import Answer, Talk
from waiting import until_async
from websockets.asyncio.client import connect

OBJECTS: Final = 20
_OPEN_S: Final = 45


class Sample(NamedTuple):
    """A request of the stream."""

    kind: str
    due: float
    ended: float
    outcome: str
    """The status, or how it failed."""


class Seen(NamedTuple):
    """An event that came over the WebSocket."""

    seq: int
    type: str
    object: str
    at: float


class Calm:
    """A client of one workspace. Belongs to one event loop."""

    def __init__(self, place: tuple[str, int], own: str, workspace: str, token: str) -> None:
        self._place = place
        self._own = own
        self._workspace = workspace
        self._token = token
        self._idle: list[Talk] = []
        self._numbers = itertools.count()
        self._locks = [asyncio.Lock() for _ in range(OBJECTS)]
        self.versions = [0] * OBJECTS
        self.written = [""] * OBJECTS
        """The content of each object, as it was acknowledged last."""
        self.due: dict[str, list[float]] = {}
        """The times at which the acknowledged writes of each object were due, in turn."""
        self.seen: list[Seen] = []

    async def stream(self, rate: float, seconds: float) -> list[Sample]:
        """Sends requests for so long, each when it is due; returns them once all have ended."""
        begun, tasks = time.monotonic(), []
        for place in range(round(rate * seconds)):
            due = begun + place / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            tasks.append(asyncio.create_task(self._one(next(self._numbers), due)))
        return list(await asyncio.gather(*tasks))

    async def _one(self, number: int, due: float) -> Sample:
        kind = "write" if number % 2 else "read"
        index = number // 2 % OBJECTS
        try:
            if kind == "read":
                outcome = str((await self.ask("GET", f"/routes/{name(index)}")).status)
            else:
                outcome = await self.write(index, str(number), due)
        except (OSError, EOFError) as error:
            outcome = type(error).__name__
        return Sample(kind, due, time.monotonic(), outcome)

    async def write(self, index: int, text: str, due: float) -> str:
        """Writes an object if it is as this client left it; the status."""
        async with self._locks[index]:
            before = self.versions[index]
            on = {"if_match": f'"{before}"'} if before else {"if_none_match": "*"}
            spec = {"spec": {"respond": {"body": text}}}
            answer = await self.ask("PUT", f"/routes/{name(index)}", spec, **on)
            if answer.status == 200:
                self.versions[index], self.written[index] = answer.json["version"], text
                self.due.setdefault(f"routes/{name(index)}", []).append(due)
            return str(answer.status)

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """One request for a resource, on an idle connection or a new one."""
        talk = None
        while self._idle and talk is None:
            talk = self._idle.pop()
            if not talk.is_fresh:
                talk.close()
                talk = None
        talk = talk or await Talk.open(*self._place, self._own)
        where = f"/api/v1/workspaces/{self._workspace}/resources{path}"
        answer = await talk.ask(method, where, self._token, body, **headers)
        self._idle.append(talk)
        return answer

    async def watch(self, ready: asyncio.Event) -> None:
        """Records every event of the workspace until it is cancelled."""
        host, port = self._place
        async with connect(
            f"ws://{host}:{port}/api/v1/events?workspace={self._workspace}",
            additional_headers={"authorization": f"Bearer {self._token}"},
            open_timeout=_OPEN_S,
            local_addr=(self._own, 0),
        ) as socket:
            ready.set()
            async for text in socket:
                event: dict[str, Any] = json.loads(text)
                told = event.get("seq", 0), event["type"], event.get("object", "")
                self.seen.append(Seen(*told, time.monotonic()))

    async def until_told(self) -> None:
        """Waits until an event came for each acknowledged write, but not for ever."""
        with contextlib.suppress(AssertionError):
            await until_async(lambda: len(self.seen) >= sum(map(len, self.due.values())))

    def event_latencies(self) -> list[tuple[float, float]]:
        """Returns the time at which each write was due, and how long after that its event came."""
        left = {path: list(times) for path, times in self.due.items()}
        found = []
        for one in self.seen:
            path = one.object.partition("/resources/")[2] or one.object
            if left.get(path):
                due = left[path].pop(0)
                found.append((due, one.at - due))
        return found

    def close(self) -> None:
        """Ends its connections."""
        for talk in self._idle:
            talk.close()


def name(index: int) -> str:
    """The name of an object."""
    return f"calm-{index}"
