"""Measures the REST list of 100 objects among many, against a real `headgate master`.

On SQLite, or on the empty PostgreSQL database that `DATABASE_URL` names. Objects are put into the
database while no master runs; requests come one after the other over one connection, each for
another part of the list. Prints JSON.
"""

import argparse
import asyncio
import base64
import json
import os
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx2

from headgate.master.ids import new_id

_BAR_S: Final = 0.05
_PASSWORD: Final = "correct horse battery"  # noqa: S105 - of a master that lives for a minute
_COLUMNS: Final = (
    "organisation_id",
    "workspace_id",
    "id",
    "kind",
    "name",
    "path",
    "spec",
    "fleets",
    "changed_at",
    "changed_by",
    "version",
)


@contextmanager
def running(data: Path, *, is_new: bool = False) -> Any:
    """A master for the block; its URL and the token of its set-up link, if it printed one."""
    headgate = str(Path(sys.executable).with_name("headgate"))
    command = [headgate, "master", "--data", str(data), "--listen", "127.0.0.1:0"]
    command += ["--agents-listen", "127.0.0.1:0"]
    with (data.parent / "log").open("w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield _told(process, data.parent / "log", is_new)
        finally:
            process.terminate()
            process.wait()


def _told(process: "subprocess.Popen[bytes]", log: Path, is_new: bool) -> tuple[str, str]:
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        text = log.read_text()
        if link := re.search(r"(https?://\S+)/setup#(\S+)", text):
            return link[1], link[2]
        if not is_new and (found := re.search(r"https?://127\.0\.0\.1:\d+", text)):
            return found[0], ""
        time.sleep(0.1)
    raise SystemExit(f"lists: the master did not start\n{log.read_text()}")


def rows(owner: dict[str, str], count: int) -> list[tuple[object, ...]]:
    """Returns routes of a workspace, as rows."""
    spec = json.dumps({"hosts": ["a.example"], "upstream": "api"})
    return [
        (
            owner["organisation_id"],
            owner["id"],
            new_id(number),
            "routes",
            f"r{number:06}",
            f"routes/r{number:06}.json",
            spec,
            "{}",
            0,
            "bench",
            1,
        )
        for number in range(count)
    ]


def fill(data: Path, url: str, values: list[tuple[object, ...]]) -> None:
    """Puts the rows into the database of a master that does not run."""
    names = ", ".join(_COLUMNS)
    if not url:
        marks = ", ".join("?" * len(_COLUMNS))
        with sqlite3.connect(data / "master.db") as connection:
            statement = f"INSERT INTO resources ({names}) VALUES ({marks})"  # noqa: S608 - ours
            connection.executemany(statement, values)
        connection.close()
        return

    async def copied() -> None:
        connection = await asyncpg.connect(url)
        await connection.copy_records_to_table("resources", records=values, columns=_COLUMNS)
        await connection.execute("ANALYZE resources")
        await connection.close()

    asyncio.run(copied())


def measured(client: httpx2.Client, count: int, requests: int) -> list[float]:
    """Returns how long each list took, in seconds; a tenth of the requests is not counted."""
    chosen, found = random.Random(1), []  # noqa: S311 - which part is asked for
    for number in range(requests + requests // 10):
        key = f"routes/r{chosen.randrange(count - 100):06}.json"
        cursor = base64.urlsafe_b64encode(key.encode()).decode()
        began = time.perf_counter()
        answer = client.get(f"/workspaces/default/resources?limit=100&cursor={cursor}")
        took = time.perf_counter() - began
        if answer.status_code != 200 or len(answer.json()["items"]) != 100:
            raise SystemExit(f"lists: {answer.status_code} {answer.text[:300]}")
        if number >= requests // 10:
            found.append(took)
    return sorted(found)


def main() -> None:
    """Prints p50 and p99, and exits with 1 if p99 is over the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=500)
    options = parser.parse_args()
    url = os.environ.get("DATABASE_URL", "")
    with tempfile.TemporaryDirectory(prefix="hg-lists-") as folder:
        data = Path(folder) / "data"
        with (
            running(data, is_new=True) as (base, token),
            httpx2.Client(base_url=f"{base}/api/v1") as client,
        ):
            body = {"token": token, "name": "ann", "password": _PASSWORD}
            session = client.post("/auth/setup", json=body).json()["access_token"]
            client.headers["authorization"] = f"Bearer {session}"
            owner = client.get("/workspaces/default").json()
        fill(data, url, rows(owner, options.objects))
        with running(data) as (base, _), httpx2.Client(base_url=f"{base}/api/v1") as client:
            client.headers["authorization"] = f"Bearer {session}"
            took = measured(client, options.objects, options.requests)
    p99 = took[int(len(took) * 0.99)]
    report = {
        "database": "postgresql" if url else "sqlite",
        "objects": options.objects,
        "requests": len(took),
        "p50_ms": round(took[len(took) // 2] * 1_000, 2),
        "p99_ms": round(p99 * 1_000, 2),
        "load": os.getloadavg()[0],
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    raise SystemExit(p99 > _BAR_S)


if __name__ == "__main__":
    main()
