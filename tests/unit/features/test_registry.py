"""Every feature is a folder, a line in the registry, and a README whose examples work."""

import re
import tomllib
from pathlib import Path, PurePath

import msgspec
import pytest
from memory_files import MemoryFiles
from peers import unavailable

import headgate.features
from headgate.compile.load import load
from headgate.features import nginx_registry, templates
from headgate.features.registry import BALANCERS, MATCHES, MIDDLEWARES
from headgate.plan.objects import Match

ROOT = Path(headgate.features.__path__[0])
KINDS = {"middleware": MIDDLEWARES, "balancer": BALANCERS, "match": MATCHES}
FOLDERS = sorted(spec.parent for spec in ROOT.glob("*/*/spec.py"))
RUST = Path(__file__).parents[3] / "engine" / "crates"


def module_folder(feature: type) -> Path:
    return ROOT.joinpath(*feature.__module__.split(".")[2:-1])


def test_registry_and_folders_are_the_same() -> None:
    registered = sorted(module_folder(f) for features in KINDS.values() for f in features)
    assert registered == FOLDERS


def test_a_folder_is_named_as_the_key() -> None:
    for features in (MIDDLEWARES, BALANCERS):
        assert [f.key for f in features] == [module_folder(f).name for f in features]


def test_the_plan_has_a_place_for_each_condition() -> None:
    assert {f.key for f in MATCHES} == {f.name for f in msgspec.structs.fields(Match)}


def test_the_core_has_a_folder_for_each_middleware() -> None:
    source = RUST / "hg-middleware" / "src"
    if not source.is_dir():
        unavailable("the core's sources are not here")
    assert all((source / f.key).is_dir() for f in MIDDLEWARES)


def test_the_core_has_a_file_for_each_balancer() -> None:
    source = RUST / "hg-policy" / "src" / "balancers"
    if not source.is_dir():
        unavailable("the core's sources are not here")
    assert {f.stem for f in source.iterdir()} - {"mod"} == {f.key for f in BALANCERS}


def test_the_variables_are_the_core_s() -> None:
    source = RUST / "hg-middleware" / "src" / "variables.rs"
    if not source.is_file():
        unavailable("the core's sources are not here")
    text = source.read_text(encoding="utf-8")
    pairs = re.findall(r'\s\w+ "([a-z_]+)" "((?:[^"\\]|\\.)*)";', text)
    pairs += re.findall(r'\("([a-z]+:[A-Z]+)", "((?:[^"\\]|\\.)*)"\)', text)
    assert dict(pairs) == templates.VARIABLES


@pytest.mark.parametrize(
    "folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}/{folder.name}"
)
def test_the_examples_of_a_readme_work(folder: Path) -> None:
    text = (folder / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert examples
    for example in examples:
        tomllib.loads(example)
        loaded = load([PurePath("a.toml")], MemoryFiles({"a.toml": _completed(example)}), {})
        assert not loaded.diagnostics, [str(d) for d in loaded.diagnostics]


def _completed(example: str) -> str:
    """An example with what it leaves out: the listener, an upstream, a route."""
    parts = {
        "[listeners.": '[listeners.web]\naddress = "127.0.0.1:1"\ndefault = true\n',
        "[upstreams.app]": '[upstreams.app]\nendpoints = ["127.0.0.1:1"]\n',
    }
    return example + "".join(text for head, text in parts.items() if head not in example)


def test_each_says_what_it_is_in_nginx() -> None:
    assert all((folder / "nginx.py").is_file() for folder in FOLDERS)
    said = {line.key for line in nginx_registry.PARITY}
    for features, stem in (
        (MIDDLEWARES, "middlewares.NAME"),
        (BALANCERS, "upstreams.NAME.balance"),
    ):
        for feature in features:
            assert any(key.startswith(f"{stem}.{feature.key}") for key in said), feature.key
    for match in MATCHES:
        assert any(key.startswith(f"routes.NAME.match[].{match.key}") for key in said)
