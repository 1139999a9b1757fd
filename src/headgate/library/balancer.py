"""Chooses the endpoint of each call by the policies of upstreams."""

import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from types import TracebackType
from typing import Self, cast

from headgate._core import Balancer
from headgate.library.compiled import compiled
from headgate.plan.objects import Upstream


class Picked:
    """The endpoint of one call; leave the block, or call `end`, when the call has ended."""

    def __init__(self, balancer: "LoadBalancer", place: int, began_s: float) -> None:
        self._balancer = balancer
        self._place = place
        self._began_s = began_s
        self._has_ended = False

    @property
    def address(self) -> str:
        """The endpoint's address."""
        return self._balancer.endpoints[self._place]

    def end(self, good: bool | None = True) -> None:
        """Says how the call ended: well, badly, or (None) because nobody waited any longer. The
        second call changes nothing."""
        if not self._has_ended:
            self._has_ended = True
            self._balancer._ended(self._place, self._began_s, good)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.end()
        else:
            self.end(False if issubclass(kind, Exception) else None)


class LoadBalancer:
    """Picks endpoints as the engine's workers do. May be used by several threads.

    >>> balancer = LoadBalancer(["10.0.0.1:80", "10.0.0.2:80"], balance="least_conn")
    >>> with balancer.pick() as first, balancer.pick() as second:
    ...     sorted([first.address, second.address])
    ['10.0.0.1:80', '10.0.0.2:80']
    >>> hashing = LoadBalancer(["10.0.0.1:80", "10.0.0.2:80"],
    ...                        balance={"ring_hash": {"key": "header:x-user"}})
    >>> hashing.pick("ann").address == hashing.pick("ann").address
    True
    """

    def __init__(
        self,
        endpoints: Sequence[str | Mapping[str, object]],
        *,
        balance: str | Mapping[str, object] = "round_robin",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`endpoints`: addresses, or tables such as `{"address": …, "weight": 3, "backup": True}`;
        `balance`: a policy as in a config (docs/reference/balancing.md). Raises `ConfigError`."""
        listeners = {"one": {"address": "127.0.0.1:1", "default": True}}
        upstream = {"endpoints": list(endpoints), "balance": balance}
        routes = {"all": {"upstream": "endpoints"}}
        plan = compiled(
            {"listeners": listeners, "routes": routes, "upstreams": {"endpoints": upstream}}
        ).plan
        entries = plan.objects.values() if plan is not None else ()
        entry = next(e for e in entries if isinstance(e.value, Upstream))
        self.endpoints = tuple(one.address for one in cast("Upstream", entry.value).endpoints)
        """Their addresses."""
        self._places = {address: place for place, address in enumerate(self.endpoints)}
        self._core = Balancer(entry.canonical, random.getrandbits(64))
        self._clock = clock

    def pick(self, key: str | None = None, *, tried: Collection[str] = ()) -> Picked:
        """Returns the endpoint for a call. `key` is what a hashing policy hashes; `tried` are
        addresses that it must not be. Raises `LookupError` if no endpoint may take it, `KeyError`
        for an address that is no endpoint."""
        now = self._clock()
        place = self._core.pick(key, int(now * 1e6), [self._places[one] for one in tried])
        if place is None:
            raise LookupError(
                "no endpoint may take the call: all are unusable, tried, or of weight 0"
            )
        return Picked(self, place, now)

    def set_usable(self, address: str, *, usable: bool) -> None:
        """Lets an endpoint take calls, or not; all may at first. Raises `KeyError`."""
        self._core.set_usable(self._places[address], usable)

    @property
    def active(self) -> dict[str, int]:
        """The number of calls that each endpoint has now."""
        return dict(zip(self.endpoints, self._core.active(), strict=True))

    def _ended(self, place: int, began_s: float, good: bool | None) -> None:
        now = self._clock()
        took_us = max(0, int((now - began_s) * 1e6))
        self._core.finished(place, int(now * 1e6), took_us, good)
