"""Row 37 of the fault matrix with versions in name alone, which takes no installation."""

import tempfile
from pathlib import Path

from fault_lab import Lab, Seen
from fault_planes import InName, upgraded
from peers import ROOT_ONLY, peer


@ROOT_ONLY
def test_each_of_two_planes_is_upgraded_and_back_without_loss() -> None:
    peer("ip")
    seen = Seen()
    with tempfile.TemporaryDirectory(prefix="hg-") as path:
        control, data = (InName(Path(path) / one) for one in ("control", "data"))
        upgraded(Lab(Path(path)), seen, control, data)
    assert seen.passed, seen.text()
