"""A circuit breaker for what a program calls: the machine that guards the endpoints of a node."""

import functools
import inspect
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import ParamSpec, TypeVar, cast

from headgate._core import Breaker, BreakerPermit
from headgate.library.ranges import within

P = ParamSpec("P")
T = TypeVar("T")


class OpenError(Exception):
    """The breaker is open: nothing was tried."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"the circuit is open for {retry_after_s:.3g} s more")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, kw_only=True)
class CircuitBreaker:
    """Opens after failures, half opens after a while, closes after successes. For any thread.

    >>> breaker = CircuitBreaker(failures=2, open_s=30)
    >>> for _ in range(2):
    ...     try:
    ...         with breaker.guard():
    ...             raise ConnectionError
    ...     except ConnectionError:
    ...         pass
    >>> breaker.state
    'open'
    """

    failures: int = 5
    """Failures in a row that open it, 0 to 65,535; 0: they never do."""
    open_s: float = 10.0
    """The time that it stays open, 0.001 s to a day."""
    successes: int = 1
    """Successes while it is half open that close it, 1 to 65,535."""
    probes: int = 1
    """Tries at a time while it is half open, 1 to 127."""
    error_percent: int = 0
    """The share of failures that opens it, too, 1 to 100; 0: none does."""
    requests: int = 20
    """The number of tries that such a verdict needs, 1 to 1,000,000."""
    window_s: int = 10
    """The period over which it looks back, 1 to 60 s."""
    failed_by: type[BaseException] | tuple[type[BaseException], ...] = Exception
    """Exceptions that are failures; others say nothing."""
    clock: Callable[[], float] = time.monotonic
    """Seconds of a monotonic clock."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for a number outside its range."""
        within("failures", self.failures, 0, 65_535)
        within("successes", self.successes, 1, 65_535)
        within("probes", self.probes, 1, 127)
        within("error_percent", self.error_percent, 0, 100)
        within("requests", self.requests, 1, 1_000_000)
        within("window_s", self.window_s, 1, 60)
        within("open_s", self.open_s, 0.001, 86_400)
        if not self.failures and not self.error_percent:
            raise ValueError("nothing opens the breaker; set failures or error_percent above 0")

    @cached_property
    def _core(self) -> Breaker:
        return Breaker(self)

    @property
    def open_ms(self) -> int:
        """`open_s` in milliseconds."""
        return round(self.open_s * 1000)

    @property
    def state(self) -> str:
        """`closed`, `open` or `half-open`; an open one becomes half open with the next try."""
        return self._core.state

    def guard(self) -> AbstractContextManager[None]:
        """Lets the block run, and takes in how it ended. Its `with` raises `OpenError` instead."""
        return _Guard(self, self._core)

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        """Guards each call of a function, sync or async."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: P.args, **kwargs: P.kwargs) -> object:
                with self.guard():
                    return await cast("Callable[P, Awaitable[object]]", function)(*args, **kwargs)

            return cast("Callable[P, T]", awaited)

        @functools.wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> T:
            with self.guard():
                return function(*args, **kwargs)

        return called


class _Guard:
    """One `with` of a breaker; nested or later ones need their own."""

    __slots__ = ("_breaker", "_core", "_permit")
    _permit: BreakerPermit

    def __init__(self, breaker: CircuitBreaker, core: Breaker) -> None:
        self._breaker = breaker
        self._core = core

    def __enter__(self) -> None:
        """Raises `OpenError` while the breaker is open."""
        clock, core = self._breaker.clock, self._core
        permit = core.acquire(int(clock() * 1000))
        if permit is None:
            until = core.open_until_ms
            raise OpenError(max(0.0, (until or 0) / 1000 - clock()))
        self._permit = permit

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Takes in how the block ended."""
        breaker = self._breaker
        good = True if kind is None else None
        if kind is not None and issubclass(kind, breaker.failed_by):
            good = False
        self._core.report(self._permit, good, int(breaker.clock() * 1000))
