"""The bound of the access log for the metrics: what cannot be rotated stays as it was."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from headgate.engines.nginx.common.types import Instance, RightMissingError
from headgate.engines.nginx.instance import SeveralMastersError
from headgate.engines.nginx.upkeep.rotation import rotate


def rotated(log: Path, signalled: list[str], error: Exception | None = None) -> bool:
    """Rotates a log of more than a byte; nginx takes the signal, or `error` says why not."""

    def signal(name: str) -> None:
        signalled.append(name)
        if error is not None:
            raise error

    instance = cast("Instance", SimpleNamespace(signal=signal))
    return rotate(log, instance, most_bytes=1)


@pytest.fixture(name="log")
def grown(tmp_path: Path) -> Path:
    """A log that is larger than it may be."""
    log = tmp_path / "access.log"
    log.write_text("a line\n")
    return log


def test_a_log_that_has_grown_is_renamed_and_nginx_opens_another(log: Path) -> None:
    signalled: list[str] = []
    assert rotated(log, signalled)
    assert signalled == ["USR1"]
    assert log.with_name("access.log.1").read_text() == "a line\n"
    assert not log.exists()


def test_there_is_nothing_to_do_without_a_log(tmp_path: Path) -> None:
    signalled: list[str] = []
    assert not rotated(tmp_path / "access.log", signalled)
    assert signalled == []


@pytest.mark.parametrize(
    "error", [ProcessLookupError(), RightMissingError("no"), SeveralMastersError("two")], ids=type
)
def test_a_log_that_nobody_can_be_told_of_keeps_its_name(log: Path, error: Exception) -> None:
    assert not rotated(log, [], error)
    assert log.read_text() == "a line\n"


def test_a_log_keeps_its_name_whatever_the_signal_ended_with(log: Path) -> None:
    with pytest.raises(TimeoutError):
        rotated(log, [], TimeoutError())
    assert log.read_text() == "a line\n"


def test_a_folder_in_the_place_of_the_old_log_is_an_error_and_nginx_is_not_told(log: Path) -> None:
    log.with_name("access.log.1").mkdir()
    signalled: list[str] = []
    with pytest.raises(IsADirectoryError):
        rotated(log, signalled)
    assert signalled == []
    assert log.read_text() == "a line\n"


def test_a_log_that_somebody_else_moves_away_meanwhile_is_none(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: Path, to: Path) -> None:
        log.unlink()
        raise FileNotFoundError(to)

    monkeypatch.setattr(Path, "rename", gone)
    signalled: list[str] = []
    assert not rotated(log, signalled)
    assert signalled == []
