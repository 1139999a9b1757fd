"""`headgate nginx rollback`: what it goes back to, what it holds, and how it says that it ended."""

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from headgate.cli.program import program
from headgate.engines.nginx.apply import hold, rollback
from headgate.engines.nginx.apply.causes import Finding
from headgate.engines.nginx.apply.here import full_mode, remember
from headgate.engines.nginx.apply.hold import HOLD, read_hold, set_hold
from headgate.engines.nginx.apply.results import Applied, Rejected, Result
from headgate.engines.nginx.common.types import Generation, Rendered, RenderedFile
from headgate.engines.nginx.releases.disk import NoSpaceError
from headgate.engines.nginx.releases.lock import BusyError
from headgate.engines.nginx.releases.names import ReleaseName
from headgate.engines.nginx.releases.objects import DamagedObjectError
from headgate.engines.nginx.releases.store import Store, UnknownReleaseError

NAME = ReleaseName(7, "0123456789ab")
SERVES = "serves release 7-0123456789ab, verified\n"
REJECTED = Rejected(7, "test", Finding("syntax", "it is wrong"))


def run(state: Path, *arguments: str) -> tuple[int, str]:
    """Exit code, and all that was printed."""
    line = ["nginx", "rollback", *arguments, "--state-dir", str(state)]
    done = CliRunner().invoke(program(), line)
    return done.exit_code, done.output


class Nginx:
    """An nginx with a release before the current one, to which it goes back as the test says."""

    def __init__(self, state: Path) -> None:
        self.root = state / "nginx"
        self.root.mkdir()
        remember(self.root, full_mode(self.root, "/usr/sbin/nginx", None))
        store = Store(self.root)
        files = (RenderedFile("nginx.conf", b"events {}"),)
        self.release = store.stage(Rendered(files=files, listeners=()), Generation(1)).name
        store.link("previous", self.release)
        self.result: Result | Exception = Applied(7, NAME, 0.0, 0.0)
        self.asked: list[tuple[str | None, bool]] = []
        self.held: list[str | None] = []

    def roll_back(self, _: object, store: Store, wanted: str | None, *, exact: bool) -> Result:
        assert store.names() == [self.release]
        hold = read_hold(self.root)
        self.held.append(hold.reason if hold else None)
        self.asked.append((wanted, exact))
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


@pytest.fixture
def nginx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Nginx:
    one = Nginx(tmp_path)
    monkeypatch.setattr(rollback, "roll_back", one.roll_back)
    return one


def test_it_needs_an_nginx_and_a_release(tmp_path: Path) -> None:
    code, text = run(tmp_path)
    assert code == 1 and "no nginx is driven" in text
    root = tmp_path / "nginx"
    root.mkdir()
    remember(root, full_mode(root, "/usr/sbin/nginx", None))
    code, text = run(tmp_path)
    assert code == 1 and "no release before the current one" in text
    code, text = run(tmp_path, "17")
    assert code == 1 and "there is no release 17; the releases are: none" in text
    assert read_hold(root) is None, "a rollback that did not happen holds nothing"
    assert run(tmp_path, "--hold", "soon")[0] == 2


def test_nginx_is_held_before_and_after_it_went_back(tmp_path: Path, nginx: Nginx) -> None:
    line = ["nginx", "rollback", "--state-dir", str(tmp_path)]
    done = CliRunner().invoke(program(), line)
    said = (done.exit_code, done.stdout, done.stderr)
    assert said == (0, SERVES, "held for 30 min: rolled back by hand\n")
    hold = read_hold(nginx.root)
    assert hold is not None
    assert hold.until - hold.since == 1_800.0
    code, text = run(tmp_path, "1", "--exact", "--hold", "2h", "--reason", "502s", "-o", "json")
    assert code == 0
    assert json.loads(text.splitlines()[-1])["generation"] == 7
    assert nginx.asked == [(None, False), ("1", True)]
    assert nginx.held == ["rolled back by hand", "502s"]


def test_without_a_hold_nothing_is_held(tmp_path: Path, nginx: Nginx) -> None:
    assert run(tmp_path, "--hold", "off") == (0, SERVES)
    assert nginx.held == [None]
    assert not (nginx.root / HOLD).exists()


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (REJECTED, "headgate: generation 7 refused at test: it is wrong\n"),
        (UnknownReleaseError("it was changed"), "headgate: it was changed\n"),
        (DamagedObjectError("it is damaged"), "headgate: it is damaged\n"),
        (BusyError("process 7 applies"), "headgate: process 7 applies\n"),
        (NoSpaceError("no space left"), "headgate: no space left\n"),
        (OSError("a bad disk"), "headgate: a bad disk\n"),
    ],
)
def test_what_did_not_go_back_is_not_held_unless_it_was_before(
    result: Result | Exception, said: str, tmp_path: Path, nginx: Nginx
) -> None:
    nginx.result = result
    assert run(tmp_path) == (1, f"held for 30 min: rolled back by hand\n{said}")
    assert read_hold(nginx.root) is None
    set_hold(nginx.root, 60.0, "mine")
    assert run(tmp_path, "--hold", "off") == (1, said)
    assert run(tmp_path)[0] == 1
    assert read_hold(nginx.root) is not None


@pytest.mark.parametrize("result", [Applied(7, NAME, 0.0, 0.0), REJECTED, OSError("a bad disk")])
def test_a_hold_that_ends_later_stays_as_it_is(
    result: Result | Exception, tmp_path: Path, nginx: Nginx
) -> None:
    nginx.result = result
    mine = set_hold(nginx.root, 8 * 3_600.0, "mine", "ann")
    code, text = run(tmp_path)
    assert code == (0 if isinstance(result, Applied) else 1)
    assert text.startswith("held for 480 min by ann: mine\n")
    assert nginx.held == ["mine"]
    assert read_hold(nginx.root) == mine


def test_of_two_holds_with_one_end_the_newer_stands(
    tmp_path: Path, nginx: Nginx, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr("headgate.cli.nginx.rollback.time", SimpleNamespace(time=lambda: now))
    monkeypatch.setattr("headgate.engines.nginx.apply.hold.time", SimpleNamespace(time=lambda: now))
    set_hold(nginx.root, 1_800.0, "mine")
    assert run(tmp_path) == (0, f"held for 30 min: rolled back by hand\n{SERVES}")
    assert nginx.held == ["rolled back by hand"]


@pytest.mark.parametrize("result", [REJECTED, OSError("a bad disk")])
def test_a_shorter_hold_comes_back_if_it_did_not_go_back(
    result: Result | Exception, tmp_path: Path, nginx: Nginx
) -> None:
    nginx.result = result
    mine = set_hold(nginx.root, 600.0, "mine", "ann")
    code, text = run(tmp_path)
    assert code == 1
    assert text.startswith("held for 30 min: rolled back by hand\n")
    assert nginx.held == ["rolled back by hand"]
    assert read_hold(nginx.root) == mine


def test_a_shorter_hold_is_replaced_once_it_went_back(tmp_path: Path, nginx: Nginx) -> None:
    set_hold(nginx.root, 600.0, "mine", "ann")
    assert run(tmp_path)[0] == 0
    found = read_hold(nginx.root)
    assert found is not None
    assert found.reason == "rolled back by hand"


def test_a_hold_that_cannot_be_written_is_a_failure(
    tmp_path: Path, nginx: Nginx, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(hold, "replace_file", full)
    assert run(tmp_path) == (1, "headgate: [Errno 28] No space left on device\n")
    assert nginx.asked == []


def test_a_hold_that_cannot_be_read_stops_it(tmp_path: Path, nginx: Nginx) -> None:
    (nginx.root / HOLD).write_text("{")
    code, said = run(tmp_path)
    assert code == 1
    assert "release the hold" in said
    assert nginx.asked == []
