"""Has the key sets that a config needs fetched, and again before they are too old."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from headgate.kernel.ids import BlobId
from headgate.kernel.key_sets import KeySetUrl, strictest
from headgate.node.aside import aside
from headgate.node.key_sets.about import Counted, KeySetStatus, State
from headgate.node.key_sets.failure import FetchError
from headgate.node.key_sets.pace import again_s, due_s, early_s, left_s, next_s
from headgate.node.key_sets.store import KeySetStore

if TYPE_CHECKING:
    from headgate.node.key_sets.fetch import Answer

FIRST_S: Final = 3.0
"""The time that a config waits for sets that were never asked for."""
_ABANDONED_S: Final = 20.0
"""After this time a fetch is given up, though its thread may hang."""

_AGAIN_S: Final = 5.0
"""The time from an unexpected error to the next look at a set."""

_NONE: Final = BlobId("")
"""The digest of no set."""
_NEWER: Final = "a newer set was fetched, and it is not served yet"
_STILL: Final = "the config that is served still has it, since the one on disk is not served"

Contents = Mapping[str, BlobId | None]
"""The digest that a config has of each set, by its id, None for a set that was not there."""

_log = structlog.get_logger()


class _Got(NamedTuple):
    """A set that came; `is_kept`: it is on disk, since no later fetch had brought one before."""

    at: float
    max_age_s: int | None
    is_kept: bool


class _Kept:
    """The state of one set in this process."""

    def __init__(self, wanted: KeySetUrl, fetched_at: float | None) -> None:
        self.wanted = wanted
        self.fetched_at = fetched_at
        self._known_at = time.monotonic()
        """The time since which this process knows the set, by the clock that never goes back."""
        self.error = ""
        self.failures = 0
        self.max_age_s: int | None = None
        self.asked_at: float | None = None
        """The time of this process's last fetch, or try, by the clock that never goes back."""
        self.hastened = asyncio.Event()
        self.hastening: asyncio.TimerHandle | None = None
        self.results: Counter[str] = Counter({"ok": 0})
        self.served: BlobId | None = None
        """The digest of the set in the config that is served."""
        self.told: BlobId | None = _NONE
        """The digest of the set that was told of, and is not served yet."""
        self.fetching: asyncio.Future[None] | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def is_asked(self) -> bool:
        """True if this process has fetched it, or tried to."""
        return self.asked_at is not None

    def left_s(self, max_stale_ms: int) -> float | None:
        """Returns how long the set still counts; None: without end, or there is none."""
        if self.fetched_at is None:
            return None
        return left_s(max_stale_ms / 1000, self.age_s(self.fetched_at))

    def came(self, at: float) -> None:
        """Notes that a set was fetched at this time."""
        self.fetched_at, self._known_at = at, time.monotonic()

    def age_s(self, fetched_at: float) -> float:
        """Returns the age of the set. If the clock was ahead when it came, that is the time since
        which it is known here."""
        return max(time.time() - fetched_at, time.monotonic() - self._known_at)

    def calm(self) -> None:
        """Forgets that somebody wanted it early."""
        if self.hastening is not None:
            self.hastening.cancel()
            self.hastening = None
        self.hastened.clear()

    def is_over(self, max_stale_ms: int) -> bool:
        """Reports whether the set is too old to count, and not about to be a younger one."""
        is_left = bool(self.failures) or not self.is_asked
        return is_left and self.left_s(max_stale_ms) == 0

    def status(self, there: BlobId | None) -> KeySetStatus:
        """Returns how it is; `there`: the digest of the set on disk."""
        at, error = self.fetched_at, self.error
        if at is not None and at > time.time():
            at = time.time() - self.age_s(at)  # the clock was ahead then
        if at is not None and not error and there != self.served:
            error = _NEWER
        if at is None and self.served is not None:
            error = f"{error}; {_STILL}" if error else _STILL
        had: State = "stale" if error else "fresh"
        is_gone = at is None and self.served is None
        return KeySetStatus(self.wanted.label, "missing" if is_gone else had, at, error)


class KeySets:
    """The key sets of the config that is served. Made within the loop; `close` ends its tasks."""

    def __init__(
        self,
        folder: Path,
        fetch: "Callable[[KeySetUrl], Answer] | None" = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`fetch`: raises FetchError; `chance`: 0 to 1."""
        self._store = KeySetStore(folder)
        self._fetch = fetch
        self._chance = chance
        self._kept: dict[str, _Kept] = {}
        self._followed: frozenset[str] = frozenset()
        self.on_new: Callable[[], object] = lambda: None
        """Called when a set on disk is another than in the config that is served, once for each:
        the config is to be read again, until that has been done or the config is refused.
        """
        self.on_failed: Callable[[KeySetStatus], object] = lambda status: None
        """Called with each failure after a success, and with the first one."""

    async def first(self, wanted: Sequence[KeySetUrl], read: Contents) -> bool:
        """Fetches the sets of a config that were never there and never asked for, for at most
        `FIRST_S`, and ends those that are too old to count; reports whether the sets are others now
        than the config has `read`.
        """
        known = [(self._known(one), one) for one in strictest(wanted)]
        for one, by in known:
            if one.is_over(by.max_stale_ms):
                self._end(one)
        new = [one for one, _ in known if one.fetched_at is None and not one.is_asked]
        if new:
            asked = [asyncio.ensure_future(self._ask(one)) for one in new]
            await asyncio.wait(asked, timeout=FIRST_S)
        ids = [by.id for _, by in known]
        return any(self._store.digest(id_) != read.get(id_) for id_ in ids)

    def follow(self, wanted: Sequence[KeySetUrl], served: Contents) -> None:
        """Keeps these sets fresh from now on, and no others; `served`: what of them is served."""
        before = self._followed
        self._followed = frozenset(one.id for one in wanted)
        for one in strictest(wanted):
            kept = self._known(one)
            kept.served = served.get(one.id)
            if kept.task is None or kept.wanted != one:
                kept.wanted = one
                _cancel(kept)
                kept.task = asyncio.create_task(self._keep_fresh(kept))
            self._tell(kept)
        for id_ in [id_ for id_ in self._kept if id_ not in self._followed]:
            _cancel(self._kept.pop(id_))
        if self._followed != before:
            self._store.forget_others(self._followed)

    def hasten(self) -> None:
        """Fetches the sets early, because a token names a key that none of them has: at once, but
        for one that was asked for within the last minute, and for one whose fetches fail.
        """
        loop = asyncio.get_running_loop()
        for id_, one in self._kept.items():
            if id_ in self._followed and one.hastening is None and not one.failures:
                wait_s = early_s(one.asked_at, time.monotonic())
                one.hastening = loop.call_later(wait_s, one.hastened.set)

    def told(self) -> list[Counted]:
        """Returns how the sets are that are kept fresh, by their URLs."""
        kept = (one for id_, one in self._kept.items() if id_ in self._followed)
        sets = (Counted(self._status(one), one.results) for one in kept)
        return sorted(sets, key=lambda one: one.status.url)

    def close(self) -> None:
        """Ends its tasks."""
        for one in self._kept.values():
            _cancel(one)

    def _status(self, one: _Kept) -> KeySetStatus:
        return one.status(self._store.digest(one.wanted.id))

    def _tell(self, one: _Kept) -> None:
        """Tells of a set that is another one than is served, and was not told of."""
        there = self._store.digest(one.wanted.id)
        if there == one.served:
            one.told = _NONE
        elif one.wanted.id in self._followed and there != one.told:
            one.told = there
            _log.info("key_set.new", key_set=one.wanted.label)
            self.on_new()

    def _known(self, wanted: KeySetUrl) -> _Kept:
        found = self._kept.get(wanted.id)
        if found is None:
            found = self._kept[wanted.id] = _Kept(wanted, self._store.fetched_at(wanted.id))
        return found

    async def _keep_fresh(self, one: _Kept) -> None:
        while True:
            try:
                await self._turn(one)
            except Exception as error:  # an old set that nobody looks after would count for ever
                _log.error("key_set.broken", key_set=one.wanted.label, exc_info=error)
                await asyncio.sleep(_AGAIN_S)

    async def _turn(self, one: _Kept) -> None:
        """Waits until it is time, asks, and takes the set away if it is too old to count."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._wait_s(one)):
                await one.hastened.wait()
        await self._ask(one)
        one.calm()
        if one.is_over(one.wanted.max_stale_ms):
            self._end(one)
        self._tell(one)

    def _end(self, one: _Kept) -> None:
        """Takes a set away that is too old to count."""
        try:
            self._store.drop(one.wanted.id)
        except OSError as error:
            _log.error("key_set.kept", key_set=one.wanted.label, error=error.strerror)
            return
        one.fetched_at = None
        one.error = f"the last good set is older than `max_stale`; {one.error or 'no newer one'}"
        _log.warning("key_set.ended", key_set=one.wanted.label, error=one.error)
        self.on_failed(KeySetStatus(one.wanted.label, "missing", None, one.error))

    def _wait_s(self, one: _Kept) -> float:
        refresh_s = one.wanted.refresh_ms / 1000
        if one.failures:
            wait = again_s(one.failures, refresh_s, self._chance())
            left = one.left_s(one.wanted.max_stale_ms)
            return min(wait, left) if left else wait
        if one.fetched_at is None:
            return 0
        if not one.is_asked:
            return due_s(refresh_s, one.age_s(one.fetched_at))
        return next_s(refresh_s, one.max_age_s, self._chance())

    async def _ask(self, one: _Kept) -> None:
        """Fetches a set, or waits for the fetch under way."""
        if one.fetching is None:
            one.fetching = asyncio.ensure_future(self._asked(one))
            one.fetching.add_done_callback(lambda _: setattr(one, "fetching", None))
        await asyncio.shield(one.fetching)

    async def _asked(self, one: _Kept) -> None:
        one.asked_at = time.monotonic()
        turn = self._store.turn()
        asking = aside(lambda: self._got(one.wanted, turn), "key-set")
        try:
            await asyncio.wait([asking], timeout=_ABANDONED_S)
        except asyncio.CancelledError:
            asking.cancel()
            raise
        if asking.done():
            self._ended(one, asking)
        else:
            asking.add_done_callback(lambda asking: self._ended(one, asking, is_late=True))
            self._failed(one, "timeout", f"it did not end within {_ABANDONED_S:g} s")

    def _ended(self, one: _Kept, asking: "asyncio.Future[_Got]", *, is_late: bool = False) -> None:
        """Notes how a fetch ended; of a late one, which was given up, only what it brought."""
        failure = ("", "")
        try:
            got = asking.result()
        except FetchError as error:
            failure = (error.reason, str(error))
        except OSError as error:
            failure = ("disk", f"it cannot be kept: {error.strerror}")
        except Exception as error:  # whatever an answer breaks, the next one may be right
            _log.error("key_set.broken", key_set=one.wanted.label, exc_info=error)
            failure = ("invalid", "an error inside headgate; see the log")
        else:
            if got.is_kept:
                one.came(got.at)
            if not is_late:
                one.results["ok"] += 1
                one.max_age_s, one.error, one.failures = got.max_age_s, "", 0
        if one.fetched_at is None and self._store.digest(one.wanted.id) is not None:
            one.came(time.time())  # the set was kept, if not this time
        if failure[0] and not is_late:
            self._failed(one, *failure)
        self._tell(one)

    def _got(self, wanted: KeySetUrl, turn: int) -> _Got:
        """Fetches a set and keeps it; raises FetchError and OSError."""
        if self._fetch is None:
            from headgate.node.key_sets.fetch import fetch

            self._fetch = fetch
        answer = self._fetch(wanted)
        at = time.time()
        return _Got(at, answer.max_age_s, self._store.put(wanted.id, answer.text, at, turn))

    def _failed(self, one: _Kept, reason: str, why: str) -> None:
        one.results[reason] += 1
        one.failures += 1
        one.error = why
        if one.failures == 1:
            _log.warning("key_set.failed", key_set=one.wanted.label, reason=reason, error=why)
            self.on_failed(self._status(one))


def _cancel(one: _Kept) -> None:
    one.calm()
    if one.task is not None:
        one.task.cancel()
        one.task = None
