"""What the node says of a kernel that does not allow TCP Fast Open to listeners."""

from pathlib import Path

import pytest

from headgate.node.ports import Candidate
from headgate.node.source import FileSource

CONFIG = """
[listeners.web]
address = "127.0.0.1:8000"
default = true
fast_open = {count}
[routes.r]
respond = {{ status = 200 }}
"""


@pytest.mark.parametrize(
    ("count", "allowed", "warns"),
    [
        ("16", "1\n", True),
        ("16", "0\n", True),
        ("16", "2\n", False),
        ("16", "3\n", False),
        ("16", "1027\n", False),
        ("16", "1025\n", True),
        ('"off"', "1\n", False),
        ("16", "", False),
        ("16", None, False),
    ],
)
def test_it_warns_of_what_has_no_effect(
    tmp_path: Path, count: str, allowed: str | None, warns: bool
) -> None:
    (tmp_path / "a.toml").write_text(CONFIG.format(count=count))
    sysctl = tmp_path / "tcp_fastopen"
    if allowed is not None:
        sysctl.write_text(allowed)
    served = FileSource([tmp_path / "a.toml"], sysctl=sysctl).load()
    assert isinstance(served, Candidate)
    found = [str(one) for one in served.lints() if "Fast Open" in str(one)]
    assert len(found) == warns
    if warns:
        assert found[0].startswith(f"{tmp_path}/a.toml:5:")
        assert "listeners.web.fast_open" in found[0]
        assert "sysctl net.ipv4.tcp_fastopen=3" in found[0]


def test_nobody_asks_for_the_kernel_of_another_machine(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(CONFIG.format(count=16))
    served = FileSource([tmp_path / "a.toml"]).load()
    assert isinstance(served, Candidate)
    assert not any("Fast Open" in str(one) for one in served.lints())
