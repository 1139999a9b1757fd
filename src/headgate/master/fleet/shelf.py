"""Data that many sessions send at the same time: manifests as they were read, what makes one of
another, and blobs. Bounded."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping

from headgate.fleet import chunk_codec
from headgate.fleet.frames import Chunk, Chunks
from headgate.fleet.manifest import Manifest, added, address, difference, parse
from headgate.fleet.master_events import Changes, Contents
from headgate.master.fleet.book import FleetBook
from headgate.master.once import Once

_MANIFESTS = 64
_DIFFERENCES = 64
_BLOB_BYTES = 64 << 20


class Shelf:
    """Keeps the newest manifests, by bytes and by hash, and the blobs asked for last."""

    def __init__(self) -> None:
        self.by_hash: dict[str, Manifest] = {}
        self._changes: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._contents: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._by_bytes: OrderedDict[bytes, tuple[str, Manifest]] = OrderedDict()
        self._blobs: OrderedDict[str, bytes] = OrderedDict()
        self._blob_bytes = 0
        self._reading = asyncio.Lock()
        self._filling: Once[None] = Once()

    def listed(self, text: bytes) -> Manifest:
        """Returns the manifest with these canonical bytes. Raises Invalid if it is none."""
        found = self._by_bytes.get(text)
        if found is None:
            found = (address(text), parse(text))
            self._by_bytes[text] = found
            self.by_hash[found[0]] = found[1]
            if len(self._by_bytes) > _MANIFESTS:
                _, (old, _) = self._by_bytes.popitem(last=False)
                self.by_hash.pop(old, None)
        self._by_bytes.move_to_end(text)
        return found[1]

    def changes_to(self, text: bytes) -> Changes:
        """Returns what finds the difference that leads to this manifest; the same one is made once
        for all agents."""
        self.listed(text)
        target, listed = self._by_bytes[text]

        def changes(base: str) -> bytes | None:
            known = self.by_hash.get(base)
            if known is None:
                return None
            found = self._changes.get((base, target))
            if found is None:
                found = self._changes[base, target] = difference(known, listed)
                if len(self._changes) > _DIFFERENCES:
                    self._changes.popitem(last=False)
            return found

        return changes

    async def fill(
        self, book: FleetBook, agent_id: str, text: bytes, base: str, room: int
    ) -> Contents:
        """Returns what finds the contents, of at most so many bytes, that an offer of this manifest
        brings along. They are made here, once for all agents that serve the manifest with the hash
        `base` ("": none); for one that is not known here there are none."""
        listed = self.listed(text)
        target, _ = self._by_bytes[text]
        key = (base, target)
        known = self.by_hash.get(base)

        async def filled() -> None:
            sizes = {entry.sha256: entry.size for entry in added(known, listed)}
            wanted = list(_fitting(sizes, room))
            found = await self.blobs(book, agent_id, wanted)
            if len(found) < len(wanted):
                return  # of an agent that was revoked meanwhile, perhaps: the next one asks again
            self._contents[key] = _encoded(found)
            if len(self._contents) > _DIFFERENCES:
                self._contents.popitem(last=False)

        if key not in self._contents and base != target and (known or not base):
            await self._filling.do(key, filled)
        return lambda of: self._contents.get((of, target), b"")

    async def blobs(
        self, book: FleetBook, agent_id: str, hashes: Iterable[str]
    ) -> dict[str, bytes]:
        """Returns the blobs that the agent's manifest names, from the book if nobody asked before.
        Whoever comes meanwhile waits: most ask for the same ones at the same moment."""
        wanted = dict.fromkeys(hashes)
        found = self._known(wanted)
        if len(found) < len(wanted):
            async with self._reading:
                found |= self._known(one for one in wanted if one not in found)
                missing = [one for one in wanted if one not in found]
                read = await book.blobs(agent_id, missing) if missing else {}
                self._keep(read)
                found |= read
        return found

    def _known(self, hashes: Iterable[str]) -> dict[str, bytes]:
        found = {one: self._blobs[one] for one in hashes if one in self._blobs}
        for one in found:
            self._blobs.move_to_end(one)
        return found

    def _keep(self, read: Mapping[str, bytes]) -> None:
        for sha256, body in read.items():
            if sha256 not in self._blobs and len(body) <= _BLOB_BYTES:
                self._blobs[sha256] = body
                self._blob_bytes += len(body)
        while self._blob_bytes > _BLOB_BYTES:
            _, old = self._blobs.popitem(last=False)
            self._blob_bytes -= len(old)


def _fitting(sizes: Mapping[str, int], room: int) -> Iterator[str]:
    """Yields what fits together, in this order; larger ones are left out."""
    for sha256, size in sizes.items():
        if size < room:
            room -= size + 1
            yield sha256


def _encoded(blobs: Mapping[str, bytes]) -> bytes:
    chunks = (Chunk(sha256, 0, len(body), body) for sha256, body in blobs.items())
    return chunk_codec.encode(Chunks(tuple(chunks)))
