"""The tenant that sends too many requests, in a process of its own: `tenants.py` starts it.

It reads a job as one line of JSON, says `ready`, waits for a line, and floods until the next one.
Then it goes on until each kind of request was refused once, which on a slow machine may come late,
finishes the requests in flight, and writes what it got as one line of JSON.
"""

import asyncio
import contextlib
import itertools
import json
import sys
import time
from collections import Counter
from typing import Any, Final

from tenants_talk import Answer, Talk

KINDS: Final = ("reads", "writes", "wrong tokens")
_REFUSED: Final = 429
_DONE: Final = 200
_PATIENCE_S: Final = 60.0


class Flood:
    """The connections of one flood, and what they got."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._job = job
        self._ends = asyncio.Event()
        self._is_refused = asyncio.Event()
        self.statuses: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
        self.without_wait = 0
        """Refusals that did not say when to come again."""
        self.written: Counter[str] = Counter()
        """Writes that were acknowledged, by object."""

    async def run(self) -> None:
        """Floods until the input says so and each kind was refused."""
        each = self._job["connections"]
        at = [self._keep(kind, number) for kind in KINDS for number in range(each[kind])]
        flooding = asyncio.gather(*at)
        await asyncio.to_thread(sys.stdin.readline)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                await self._is_refused.wait()
        self._ends.set()
        await flooding

    async def _keep(self, kind: str, number: int) -> None:
        """One request after the other; on a new connection if the master ends one."""
        turns = itertools.count()
        while not self._ends.is_set():
            try:
                talk = await Talk.open(self._job["host"], self._job["port"], self._own(kind))
                while not self._ends.is_set() and talk.is_fresh:
                    self._count(kind, number, await self._ask(talk, kind, number, next(turns)))
                talk.close()
            except (OSError, EOFError):
                self.statuses[kind]["connection lost"] += 1

    def _own(self, kind: str) -> str:
        return str(self._job["addresses"][kind])

    async def _ask(self, talk: Talk, kind: str, number: int, turn: int) -> Answer:
        place, token = self._job["place"], self._job["token"]
        if kind == "reads":
            return await talk.ask("GET", f"{place}/resources?limit=100", token)
        if kind == "wrong tokens":
            token = f"hgt_{time.monotonic_ns():x}"
        path = f"{place}/resources/routes/{_name(kind, number)}"
        spec = {"respond": {"body": f"{self._job['round']}.{turn}"}}
        return await talk.ask("PUT", path, token, {"spec": spec})

    def _count(self, kind: str, number: int, answer: Answer) -> None:
        self.statuses[kind][str(answer.status)] += 1
        if answer.status == _REFUSED and not answer.headers.get("retry-after", "").isdigit():
            self.without_wait += 1
        if all(one[str(_REFUSED)] for one in self.statuses.values()):
            self._is_refused.set()
        if answer.status == _DONE and kind != "reads":
            self.written[_name(kind, number)] += 1


def _name(kind: str, number: int) -> str:
    return f"{kind.replace(' ', '-')}-{number}"


async def main() -> None:
    """Does one job."""
    flood = Flood(json.loads(sys.stdin.readline()))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    began = time.monotonic()
    await flood.run()
    told = {
        "seconds": time.monotonic() - began,
        "cpu_s": time.process_time(),
        "statuses": flood.statuses,
        "without_wait": flood.without_wait,
        "written": flood.written,
    }
    sys.stdout.write(f"{json.dumps(told)}\n")


if __name__ == "__main__":
    asyncio.run(main())
