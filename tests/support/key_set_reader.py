"""An issuer of a key set, and a config that is read again when the set is another one."""

import asyncio
import threading
from pathlib import Path

from headgate.kernel.ids import BlobId
from headgate.kernel.key_sets import KeySetUrl
from headgate.node.key_sets.failure import FetchError
from headgate.node.key_sets.fetch import Answer
from headgate.node.key_sets.keeper import KeySets
from headgate.node.key_sets.store import KeySetStore
from headgate.plan.digest import blob_id

ONE = KeySetUrl("https://login.example/keys", 3_600_000)
QUICK = KeySetUrl("https://login.example/keys", 1)
ENDING = QUICK._replace(max_stale_ms=1)


class Issuer:
    """Answers the same text, or fails."""

    def __init__(self, text: str = "one") -> None:
        self.text = text
        self.fails = False
        self.asked = 0
        self.goes_on = threading.Event()
        self.goes_on.set()

    def fetch(self, _: KeySetUrl) -> Answer:
        self.asked += 1
        self.goes_on.wait()
        if self.fails:
            raise FetchError("status", "it answers 404")
        return Answer(self.text, None)


def content(folder: Path) -> str:
    return (folder / f"{ONE.id}.json").read_text()


def read(folder: Path, *wanted: KeySetUrl) -> dict[str, BlobId | None]:
    """What a config has of these sets that is read now."""
    places = {one.id: folder / f"{one.id}.json" for one in wanted or (ONE,)}
    return {id_: blob_id(at.read_bytes()) if at.exists() else None for id_, at in places.items()}


def put(folder: Path, text: str, at: float) -> None:
    """What an earlier process left."""
    store = KeySetStore(folder)
    store.put(ONE.id, text, at, store.turn())


class Reader:
    """Reads the config again when it is told to, as the pipeline does."""

    def __init__(self, sets: KeySets, folder: Path, *wanted: KeySetUrl) -> None:
        self.sets, self.folder, self.wanted = sets, folder, wanted
        self.told: list[str] = []
        sets.on_new = self.reads

    async def first(self) -> bool:
        """Whether a config that was read is to be read again at once."""
        return await self.sets.first(self.wanted, read(self.folder, *self.wanted))

    def follow(self) -> None:
        """Serves what is there."""
        self.sets.follow(self.wanted, read(self.folder, *self.wanted))

    def reads(self) -> None:
        self.told.append(content(self.folder) if read(self.folder)[ONE.id] else "")
        asyncio.get_running_loop().call_soon(self.follow)
