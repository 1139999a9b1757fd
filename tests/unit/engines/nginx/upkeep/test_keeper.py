"""What the keeper of an nginx says of it; what it does is tried with a real one."""

from pathlib import Path

from headgate.compile.settings import NginxSettings
from headgate.engines.nginx.drive.engine import NginxEngine
from headgate.engines.nginx.upkeep.keeper import Keeper


def test_an_nginx_that_nobody_looked_at_is_not_said_to_be_in_sync(tmp_path: Path) -> None:
    engine = NginxEngine(tmp_path, NginxSettings(binary="/bin/true"))
    about = Keeper(engine, lambda *_: None).status()
    assert about.drift is None
    assert about.state == "down"
