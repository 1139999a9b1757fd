"""The ports of a master."""

import gc
import resource
import socket
from pathlib import Path

import loops
import pytest

from headgate.master.process import listen_at, run
from headgate.master.settings import Address, Settings
from headgate.master.store.errors import StartError


def test_answers_do_not_wait_for_acknowledgements() -> None:
    with (
        listen_at(Address("127.0.0.1", 0)) as port,
        socket.create_connection(port.getsockname()),
    ):
        taken, _ = port.accept()
        with taken:
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_a_master_takes_as_many_descriptors_as_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gc, "set_threshold", lambda *_: None)
    (tmp_path / "data").write_text("not a folder")
    settings = Settings(tmp_path / "data", "", Address("127.0.0.1", 0), None)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard - 1, hard))
    try:
        with pytest.raises(StartError):
            loops.run(run(settings, "0"))
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
