"""`headgate tap`: the lines of a node, and what people read of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.cli import calls
from headgate.cli import tap as module
from headgate.cli.tap import Shown, TapError, text

LINE = b'{"time":"2026-11-20T08:59:02.123456Z","status":404}\n'


def test_no_control_character_of_a_client_reaches_a_terminal() -> None:
    shown = text(Shown(method="GET", target="/\x1b[2J", headers=[("x-a", "\x07é")]))
    assert "/?[2J" in shown
    assert shown.splitlines()[1] == "    x-a: ?é"


class Refusing:
    """A connection to a node that refuses, with a body of its own."""

    sock = None
    status = 400

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.is_closed = False

    def request(self, _method: str, _path: str) -> None:
        pass

    def getresponse(self) -> "Refusing":
        return self

    def read(self) -> bytes:
        return self.body

    def __iter__(self) -> Iterator[bytes]:
        return iter((LINE,))

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize(
    ("body", "said"), [(b'{"error":"no such route"}', "no such route"), (b"away\n", "away")]
)
def test_what_a_node_refuses_with_is_no_line(
    body: bytes, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Refusing(body)
    monkeypatch.setattr(calls, "connection", lambda _: one)
    with pytest.raises(TapError, match=f"^{said}$"):
        list(module.lines(Path("/none"), {}))
    assert one.is_closed
