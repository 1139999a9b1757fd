"""The config that the reference shows section by section is one that headgate takes."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tls_authority import Authority

from headgate.model.config import Config

ROOT = Path(__file__).parents[2]
SECTIONS = ROOT / "examples" / "sections"


def test_the_sections_together_are_a_config_without_a_warning(tmp_path: Path) -> None:
    folder = tmp_path / "sections"
    shutil.copytree(SECTIONS, folder)
    (folder / "tls").mkdir()
    authority = Authority(folder / "tls")
    authority.issue("example", "www.example.com", "*.shop.example.com", "shop.example.com")
    for name in ("ca.pem", "partners.pem"):
        shutil.copy(authority.ca_file, folder / "tls" / name)
    headgate = Path(sys.executable).with_name("headgate")
    done = subprocess.run(
        [headgate, "check", folder / "include.toml"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert ", 0 warnings, " in done.stdout


@pytest.mark.parametrize("section", Config.model_fields)
def test_every_section_of_the_config_has_an_example(section: str) -> None:
    text = (SECTIONS / f"{section}.toml").read_text()
    assert f"\n[{section}" in "\n" + text or f"\n{section} = " in text
