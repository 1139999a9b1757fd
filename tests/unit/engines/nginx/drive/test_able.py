"""What an agent says of its nginx, before and after it drives it."""

from pathlib import Path

import pytest

from headgate.compile.settings import NginxSettings
from headgate.engines.nginx.common.types import Capabilities
from headgate.engines.nginx.drive.able import probed_before, words
from headgate.engines.nginx.drive.unable import WrongConfError

FOUND = Capabilities("d", "b", "nginx/1.26", frozenset({"gzip"}), {"http_lua": "/lua.so"})


def test_the_words_say_what_is_accepted_and_how_it_is_driven() -> None:
    said = set(words(FOUND, NginxSettings(mode="guest", endpoints="lua")))
    assert {"gzip", "module=http_lua", "mode=guest", "endpoints=lua", "takes-imports"} <= said
    assert "imported" not in said
    assert "imported" in words(FOUND, NginxSettings(imported="tree"))


def test_an_nginx_that_is_only_watched_is_not_asked(tmp_path: Path) -> None:
    assert probed_before(tmp_path, NginxSettings(mode="observe", binary="/nowhere")) is None
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_nginx_that_does_not_include_us_is_not_asked(tmp_path: Path) -> None:
    conf = tmp_path / "nginx.conf"
    conf.write_text("events {}\nhttp {}\n")
    settings = NginxSettings(mode="guest", conf=str(conf), binary="/nowhere")
    with pytest.raises(WrongConfError, match="include"):
        probed_before(tmp_path / "state", settings)
    assert not (tmp_path / "state").exists()
