"""Times `RateLimiter.check` and `Router.match` of the installed library: prints JSON, millions of
calls in a second of CPU by what is called, the median of some turns. The loop's own time counts.
"""

import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable

from headgate import PathMatch, RateLimiter, Route, Router

_CALLS = 200_000
_TURNS = 9
_ROUTES = 100
_CHANCE = random.Random(1)  # noqa: S311 - which client comes next


def main() -> None:
    """Prints the figures."""
    found = {f"check-{count}": _check(count) for count in (1_000, 100_000)}
    found["match"] = _match()
    sys.stdout.write(json.dumps({name: {"ours": one} for name, one in found.items()}) + "\n")


def _check(clients: int) -> float:
    """Among so many clients, all of them within their limit."""
    limiter = RateLimiter(requests=1_000_000, burst=1_000_000, keys=131_072)
    names = [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(clients)]
    order = _CHANCE.choices(names, k=_CALLS)

    def turn() -> Iterable[object]:
        check = limiter.check
        return [check(name) for name in order]

    return _speed(turn, lambda seen: seen is True)


def _match() -> float:
    """Among a hundred prefixes of one host."""
    host = "api.example.com"
    router = Router(
        {
            f"team-{n}": Route(hosts=(host,), path=PathMatch(prefix=f"/team-{n}/api"), target=n)
            for n in range(_ROUTES)
        }
    )
    order = [f"/team-{_CHANCE.randrange(_ROUTES)}/api/items/7" for _ in range(_CALLS)]

    def turn() -> Iterable[object]:
        match = router.match
        return [match(host, path) for path in order]

    return _speed(turn, lambda seen: isinstance(seen, Route))


def _speed(turn: Callable[[], Iterable[object]], is_good: Callable[[object], bool]) -> float:
    took = []
    for number in range(_TURNS + 1):
        began = time.process_time()
        seen = turn()
        seconds = time.process_time() - began
        if not all(is_good(one) for one in seen):
            raise SystemExit("a call did not find what it should")
        if number:
            took.append(seconds)
    return round(_CALLS / statistics.median(took) / 1e6, 3)


if __name__ == "__main__":
    main()
