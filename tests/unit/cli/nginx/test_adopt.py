"""`headgate nginx adopt`: which nginx is looked at, how often, and what Ctrl-C does."""

import signal
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from headgate.cli.nginx import adopt as module
from headgate.cli.nginx import adopt_view
from headgate.cli.program import program
from headgate.engines.nginx.observe import masters
from headgate.engines.nginx.watch import adoption


class Looked:
    """Two masters that run, and who was looked at; the third look is interrupted."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, bool]] = []
        self.seconds: list[float] = []
        self.reached: list[bytes] = []
        """What the reader of a pipe had at each look."""

    def adopt(self, one: SimpleNamespace, *, ask_logged_status: bool) -> SimpleNamespace:
        pid = one.master.pid
        self.asked.append((pid, ask_logged_status))
        return SimpleNamespace(now=lambda seconds: self.now(pid, seconds))

    def now(self, pid: int, seconds: float) -> str:
        self.seconds.append(seconds)
        self.reached.append(getattr(sys.stdout, "buffer").getvalue())  # noqa: B009 - of the runner
        if len(self.seconds) > 2:
            raise KeyboardInterrupt
        return f"nginx {pid}\n"


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Looked]:
    one = Looked()
    running = [SimpleNamespace(master=SimpleNamespace(pid=pid)) for pid in (7, 8)]
    monkeypatch.setattr(masters, "running", lambda: running)
    monkeypatch.setattr(adoption, "adopt", one.adopt)
    monkeypatch.setattr(adopt_view, "text", str)
    monkeypatch.setattr(adopt_view, "live_text", str)
    before = signal.getsignal(signal.SIGINT)
    yield one
    signal.signal(signal.SIGINT, before)


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(program(), ["nginx", "adopt", *words])
    return done.exit_code, done.output


def test_every_nginx_is_looked_at_or_the_one_that_is_named(looked: Looked) -> None:
    assert run() == (0, "nginx 7\nnginx 8\n")
    assert (looked.asked, looked.seconds) == ([(7, False), (8, False)], [3.0, 3.0])
    looked.asked.clear()
    looked.seconds.clear()
    assert run("--pid", "8", "--ask-status", "--seconds", "1") == (0, "nginx 8\n")
    assert (looked.asked, looked.seconds) == ([(8, True)], [1.0])
    code, said = run("--pid", "9")
    assert code == 1
    assert "no nginx master with pid 9 runs here" in said
    assert len(looked.asked) == 1


@pytest.mark.parametrize(("output", "shown"), [("text", "nginx 7\n"), ("json", '"nginx 7\\n"\n')])
def test_it_watches_until_it_is_interrupted(looked: Looked, output: str, shown: str) -> None:
    assert run("--pid", "7", "--watch", "-o", output) == (0, 2 * shown)
    assert looked.reached == [times * shown.encode() for times in range(3)]


def test_an_interrupt_is_kept_and_ends_what_waits(looked: Looked) -> None:
    event = module._interrupted()
    assert not event.is_set()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert event.is_set()
    assert looked.asked == []
