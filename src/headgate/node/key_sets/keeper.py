"""Has the key sets that a config needs fetched, and again before they are too old."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

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

_log = structlog.get_logger()


class _Kept:
    """The state of one set in this process."""

    def __init__(self, wanted: KeySetUrl, fetched_at: float | None) -> None:
        self.wanted = wanted
        self.fetched_at = fetched_at
        self.error = ""
        self.failures = 0
        self.max_age_s: int | None = None
        self.asked_at: float | None = None
        """The time of this process's last fetch, or try, by the clock that never goes back."""
        self.hastened = asyncio.Event()
        self.hastening: asyncio.TimerHandle | None = None
        self.results: Counter[str] = Counter({"ok": 0})
        self.fetching: asyncio.Future[bool] | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def is_asked(self) -> bool:
        """True if this process has fetched it, or tried to."""
        return self.asked_at is not None

    def left_s(self, max_stale_ms: int) -> float | None:
        """Returns how long the set still counts; None: without end, or there is none."""
        if self.fetched_at is None:
            return None
        return left_s(max_stale_ms / 1000, time.time() - self.fetched_at)

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

    def status(self) -> KeySetStatus:
        at = self.fetched_at
        had: State = "stale" if self.error else "fresh"
        return KeySetStatus(self.wanted.label, "missing" if at is None else had, at, self.error)


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
        self._waiting = 0
        """The number of configs that wait for sets: they are read again without `on_new`."""
        self.on_new: Callable[[], object] = lambda: None
        """Called when a set is another than before: the config is to be read again."""
        self.on_failed: Callable[[KeySetStatus], object] = lambda status: None
        """Called with each failure after a success, and with the first one."""

    async def first(self, wanted: Sequence[KeySetUrl]) -> bool:
        """Fetches the sets of a config that were never there and never asked for, for at most
        `FIRST_S`; reports whether there is one more of them than before, or one less, since those
        that are too old to count go first.
        """
        known = [(self._known(one), one) for one in strictest(wanted)]
        ended = [self._end(one) for one, by in known if one.is_over(by.max_stale_ms)]
        new = [one for one, _ in known if one.fetched_at is None and not one.is_asked]
        if not new:
            return any(ended)
        self._waiting += 1
        try:
            asked = [asyncio.ensure_future(self._ask(one)) for one in new]
            done, _ = await asyncio.wait(asked, timeout=FIRST_S)
        finally:
            self._waiting -= 1
        return any(ended) or any(one.result() for one in done)

    def follow(self, wanted: Sequence[KeySetUrl]) -> None:
        """Keeps these sets fresh from now on, and no others."""
        before = self._followed
        self._followed = frozenset(one.id for one in wanted)
        for one in strictest(wanted):
            kept = self._known(one)
            if kept.task is None or kept.wanted != one:
                kept.wanted = one
                _cancel(kept)
                kept.task = asyncio.create_task(self._keep_fresh(kept))
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
        sets = (Counted(one.status(), one.results) for one in kept)
        return sorted(sets, key=lambda one: one.status.url)

    def close(self) -> None:
        """Ends its tasks."""
        for one in self._kept.values():
            _cancel(one)

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
        if one.is_over(one.wanted.max_stale_ms) and self._end(one):
            self.on_new()

    def _end(self, one: _Kept) -> bool:
        """Takes a set away that is too old to count; reports whether it is gone."""
        try:
            self._store.drop(one.wanted.id)
        except OSError as error:
            _log.error("key_set.kept", key_set=one.wanted.label, error=error.strerror)
            return False
        one.fetched_at = None
        one.error = f"the last good set is older than `max_stale`; {one.error or 'no newer one'}"
        _log.warning("key_set.ended", key_set=one.wanted.label, error=one.error)
        self.on_failed(one.status())
        return True

    def _wait_s(self, one: _Kept) -> float:
        refresh_s = one.wanted.refresh_ms / 1000
        if one.failures:
            wait = again_s(one.failures, refresh_s, self._chance())
            left = one.left_s(one.wanted.max_stale_ms)
            return min(wait, left) if left else wait
        if one.fetched_at is None:
            return 0
        if not one.is_asked:
            return due_s(refresh_s, time.time() - one.fetched_at)
        return next_s(refresh_s, one.max_age_s, self._chance())

    async def _ask(self, one: _Kept) -> bool:
        """Fetches a set, or waits for the fetch under way; reports whether it is a new one."""
        if one.fetching is None:
            one.fetching = asyncio.ensure_future(self._asked(one))
            one.fetching.add_done_callback(lambda _: setattr(one, "fetching", None))
        return await asyncio.shield(one.fetching)

    async def _asked(self, one: _Kept) -> bool:
        one.asked_at = time.monotonic()
        try:
            async with asyncio.timeout(_ABANDONED_S):
                is_new, one.max_age_s = await aside(lambda: self._got(one.wanted), "key-set")
        except TimeoutError:
            return self._failed(one, "timeout", f"it did not end within {_ABANDONED_S:g} s")
        except FetchError as error:
            return self._failed(one, error.reason, str(error))
        except OSError as error:
            return self._failed(one, "disk", f"it cannot be kept: {error.strerror}")
        except Exception as error:  # whatever an answer breaks, the next one may be right
            _log.error("key_set.broken", key_set=one.wanted.label, exc_info=error)
            return self._failed(one, "invalid", "an error inside headgate; see the log")
        one.results["ok"] += 1
        one.fetched_at, one.error, one.failures = time.time(), "", 0
        if is_new:
            _log.info("key_set.new", key_set=one.wanted.label)
            if not self._waiting:
                self.on_new()
        return is_new

    def _got(self, wanted: KeySetUrl) -> tuple[bool, int | None]:
        """Fetches a set and keeps it; raises FetchError and OSError."""
        if self._fetch is None:
            from headgate.node.key_sets.fetch import fetch

            self._fetch = fetch
        answer = self._fetch(wanted)
        return self._store.put(wanted.id, answer.text, time.time()), answer.max_age_s

    def _failed(self, one: _Kept, reason: str, why: str) -> bool:
        one.results[reason] += 1
        one.failures += 1
        one.error = why
        if one.failures == 1:
            _log.warning("key_set.failed", key_set=one.wanted.label, reason=reason, error=why)
            self.on_failed(one.status())
        return False


def _cancel(one: _Kept) -> None:
    one.calm()
    if one.task is not None:
        one.task.cancel()
        one.task = None
