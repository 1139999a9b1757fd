"""What is done for an nginx goes on after an error that nobody expected."""

import asyncio

import loops
import pytest

from headgate.engines.nginx.health import background
from headgate.engines.nginx.health.background import kept_up


def test_what_breaks_off_is_told_of_once_and_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "AGAIN_S", 0.0)
    told: list[tuple[str, str, str]] = []
    ends: list[Exception | None] = [ValueError("a"), ValueError("a"), OSError("b"), None]

    async def work() -> None:
        if (end := ends.pop(0)) is not None:
            raise end

    def tell(level: str, kind: str, message: str, fields: dict[str, str]) -> None:
        assert fields["where"].startswith("test_background.py:")
        told.append((level, kind, message))

    loops.run(kept_up("the watch", work, tell))
    assert ends == []
    assert told == [
        ("error", "nginx.broke_off", "the watch broke off, and begins again: ValueError: a"),
        ("error", "nginx.broke_off", "the watch broke off, and begins again: OSError: b"),
    ]


def test_an_error_that_comes_back_later_is_told_of_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "AGAIN_S", 0.0)
    monkeypatch.setattr(background, "_WELL_S", -1.0)
    told: list[str] = []
    left = [1, 2]

    async def work() -> None:
        if left:
            left.pop()
            raise ValueError

    loops.run(kept_up("the watch", work, lambda _, kind, *__: told.append(kind)))
    assert told == ["nginx.broke_off", "nginx.broke_off"]


def test_what_is_cancelled_ends() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    async def play() -> None:
        task = asyncio.ensure_future(kept_up("the watch", cancelled, lambda *_: None))
        await asyncio.wait([task])
        assert task.cancelled()

    loops.run(play())
