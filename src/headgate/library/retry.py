"""Retries of what a program calls: back-off with jitter, and a budget as a node has it."""

import asyncio
import functools
import inspect
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar, cast

from headgate import _core
from headgate.library.ranges import within

P = ParamSpec("P")
T = TypeVar("T")


class RetryBudget:
    """The limit on the retries of all callers together, so that retries never become a storm.

    Each call adds `ratio` of a retry, and each second `per_second`; both count for 10 s. One budget
    may serve many `Retry`s and threads.
    """

    def __init__(
        self,
        *,
        ratio: float = 0.2,
        per_second: float = 3.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ratio`: 0 to 10; `per_second`: 0 to 1,000,000. Raises `ValueError`."""
        within("ratio", ratio, 0, 10)
        within("per_second", per_second, 0, 1_000_000)
        self._core = _core.RetryBudget(round(ratio * 1000), round(per_second * 1000))
        self._clock = clock

    @property
    def left(self) -> int:
        """The number of retries that are left now."""
        return self._core.balance(self._now())

    def deposit(self) -> None:
        """Counts a call; a retry of it is none."""
        self._core.deposit(self._now())

    def withdraw(self) -> bool:
        """Takes a retry out; False, and nothing is taken, if there is none left."""
        return self._core.withdraw(self._now())

    def _now(self) -> int:
        return int(self._clock() * 1000)


@dataclass(frozen=True, kw_only=True)
class Retry:
    """Calls again what failed, after a wait that grows. For sync and async functions.

    >>> tries = []
    >>> @Retry(retries=2, base_s=0.001, on=ConnectionError)
    ... def fetch():
    ...     tries.append(len(tries))
    ...     if len(tries) < 3:
    ...         raise ConnectionError
    ...     return "here"
    >>> fetch(), len(tries)
    ('here', 3)
    """

    retries: int = 2
    """Tries after the first one, 0 to 100."""
    on: type[BaseException] | tuple[type[BaseException], ...] = Exception
    """Exceptions that are worth a retry."""
    base_s: float = 0.025
    """The longest wait before the first retry, 0.001 s to `max_s`."""
    factor: float = 2.0
    """The factor by which each further wait is longer, 1 to 100."""
    max_s: float = 0.25
    """The longest wait at all, 0.001 s to an hour."""
    jitter: bool = True
    """True if each wait is drawn from 0 to the longest one."""
    budget: RetryBudget | None = None
    """The budget that pays for retries; None: nothing limits them."""
    retry_after_s: Callable[[BaseException], float | None] = lambda error: None
    """Returns the wait that the other side asked for in its error; it is never cut short."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for a number outside its range."""
        within("retries", self.retries, 0, 100)
        within("max_s", self.max_s, 0.001, 3600)
        within("base_s", self.base_s, 0.001, self.max_s)
        within("factor", self.factor, 1, 100)

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Returns what the function returns; raises what its last try raised."""
        self._begin()
        for tried in range(self.retries + 1):
            try:
                return function(*args, **kwargs)
            except self.on as error:
                wait = self._wait_s(tried, error)
                if wait is None:
                    raise
            time.sleep(wait)
        raise AssertionError("the last try returned or raised")

    async def call_async(
        self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Awaits the function; as `call`."""
        self._begin()
        for tried in range(self.retries + 1):
            try:
                return await function(*args, **kwargs)
            except self.on as error:
                wait = self._wait_s(tried, error)
                if wait is None:
                    raise
            await asyncio.sleep(wait)
        raise AssertionError("the last try returned or raised")

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        """Retries each call of a function, sync or async."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: P.args, **kwargs: P.kwargs) -> object:
                waiting = cast("Callable[P, Awaitable[object]]", function)
                return await self.call_async(waiting, *args, **kwargs)

            return cast("Callable[P, T]", awaited)

        @functools.wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> T:
            return self.call(function, *args, **kwargs)

        return called

    def _begin(self) -> None:
        if self.budget is not None:
            self.budget.deposit()

    def _wait_s(self, tried: int, error: BaseException) -> float | None:
        """Returns the wait before the next try; None if there is none."""
        if tried >= self.retries or (self.budget is not None and not self.budget.withdraw()):
            return None
        asked = self.retry_after_s(error)
        after = None if asked is None else max(0, round(asked * 1000))
        curve = (round(self.base_s * 1000), round(self.factor * 100), round(self.max_s * 1000))
        chance = random.getrandbits(64) if self.jitter else None
        return _core.backoff_ms(tried, curve, chance, after) / 1000
