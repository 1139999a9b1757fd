"""UDP with nginx: refused by name."""

from pathlib import Path

import pytest
from nginx_engine import NotRenderedError, capabilities, expressed, loaded_file, target

TEXT = """
[listeners.dns]
address = "127.0.0.1:5353"
protocol = "udp"
[udp_routes.dns]
listeners = "dns"
upstream = "dns"
[upstreams.dns]
endpoints = ["127.0.0.1:9053"]
"""


def test_a_listener_of_udp_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "headgate.toml"
    file.write_text(TEXT)
    with pytest.raises(NotRenderedError) as told:
        expressed(loaded_file(file), target(str(tmp_path), capabilities()))
    assert "UDP is proxied by the native engine only" in str(told.value)
