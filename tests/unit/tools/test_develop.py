"""What tools/develop.py installs."""

import importlib.metadata
import os
from pathlib import Path

from develop import ROOT, Project, install, read_project

PROJECT = Project(
    "thing", "1.2", ">=3.11", ["rich>=14"], ["pytest>=8"], {"thing": "thing.cli:main"}
)


def folders(tmp_path: Path) -> tuple[Path, Path]:
    site, commands = tmp_path / "site", tmp_path / "bin"
    site.mkdir()
    commands.mkdir()
    return site, commands


def test_the_package_is_found_with_its_requirements_and_commands(tmp_path: Path) -> None:
    site, commands = folders(tmp_path)
    install(PROJECT, site, commands)
    (found,) = importlib.metadata.distributions(path=[str(site)])
    assert (found.metadata["Name"], found.version) == ("thing", "1.2")
    assert found.requires == ["rich>=14"]
    assert [(point.name, point.value) for point in found.entry_points] == [
        ("thing", "thing.cli:main")
    ]
    assert (site / "thing.pth").read_text() == f"{ROOT / 'src'}\n"
    assert os.access(commands / "thing", os.X_OK)


def test_the_record_names_every_file_so_that_pip_can_remove_them(tmp_path: Path) -> None:
    site, commands = folders(tmp_path)
    install(PROJECT, site, commands)
    recorded = {line.split(",")[0] for line in next(site.glob("*/RECORD")).read_text().splitlines()}
    assert recorded == {str(path) for path in tmp_path.rglob("*") if path.is_file()}


def test_an_earlier_installation_is_replaced(tmp_path: Path) -> None:
    site, commands = folders(tmp_path)
    earlier = site / "thing-1.1.dist-info"
    (earlier / "licenses").mkdir(parents=True)
    (earlier / "licenses" / "LICENSE").write_text("")
    install(PROJECT, site, commands)
    install(PROJECT, site, commands)
    assert [path.name for path in site.glob("*.dist-info")] == ["thing-1.2.dist-info"]


def test_this_project_has_what_is_needed() -> None:
    project = read_project()
    assert project.name == "headgate"
    assert "headgate" in project.scripts
    assert any(wanted.startswith("pytest") for wanted in project.test_dependencies)
