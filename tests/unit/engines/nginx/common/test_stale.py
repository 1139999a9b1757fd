"""Sockets that a killed nginx left: the next one waits for those that somebody still listens on."""

import socket
from pathlib import Path

from headgate.engines.nginx.common.stale import has_listener, remove_stale_sockets


def test_a_socket_is_stale_once_nobody_listens_on_it(tmp_path: Path) -> None:
    path = tmp_path / "status.sock"
    (tmp_path / "nginx.pid").write_text("1")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        assert has_listener([tmp_path])
        assert remove_stale_sockets([tmp_path]) == ()
    assert not has_listener([tmp_path])
    assert remove_stale_sockets([tmp_path]) == (path,)
    assert [one.name for one in tmp_path.iterdir()] == ["nginx.pid"]


def test_a_folder_that_is_not_there_has_none(tmp_path: Path) -> None:
    gone = [tmp_path / "gone"]
    assert not has_listener(gone)
    assert remove_stale_sockets(gone) == ()
