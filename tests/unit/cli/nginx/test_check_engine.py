"""`headgate check` refuses what the nginx of the config refuses."""

import re
from pathlib import Path

import pytest
from peers import peer
from typer.testing import CliRunner

from headgate.cli.program import program

ROOT = Path(__file__).parents[4]
EMPTY_HEADER = """
[node]
engine = "nginx"
nginx = { binary = "BINARY" }
[listeners.web]
address = "127.0.0.1:8000"
default = true
[routes.a]
match = { headers = { x-a = { exact = "" } } }
respond = { status = 204 }
"""


def checked(tmp_path: Path, text: str, *options: str) -> tuple[int, str]:
    path = tmp_path / "a.toml"
    path.write_text(text)
    result = CliRunner().invoke(program(), ["check", str(path), *options])
    return result.exit_code, result.stdout.replace(f"{tmp_path}/", "")


def test_what_nginx_cannot_express_is_refused_by_check_where_nginx_is_the_engine(
    tmp_path: Path,
) -> None:
    text = EMPTY_HEADER.replace("BINARY", str(peer("nginx")))
    code, said = checked(tmp_path, text)
    assert code == 78
    assert said.splitlines() == [
        "a.toml:9:31: routes.a.match[0].headers.x-a.exact: nginx cannot tell an empty value from "
        'one that is not there (engine nginx); change it, or write `engine = "native"` in [node]',
        "refused: 1 error, 0 warnings",
    ]
    assert checked(tmp_path, text, "--engine", "native")[0] == 0
    native = text.replace('engine = "nginx"', "")
    assert checked(tmp_path, native)[0] == 0
    assert checked(tmp_path, native, "--engine", "nginx")[0] == 78


def test_without_an_nginx_to_ask_check_says_that_it_does_not_know(tmp_path: Path) -> None:
    code, said = checked(tmp_path, EMPTY_HEADER.replace("BINARY", f"{tmp_path}/no-nginx"))
    assert code == 0
    assert "warning: node.nginx.binary: what nginx refuses of this config is not known" in said


@pytest.mark.parametrize("name", ["README", "quickstart"])
def test_the_first_configs_of_the_docs_are_served_by_nginx_too(tmp_path: Path, name: str) -> None:
    peer("nginx")
    text = (ROOT / "examples/quickstart.toml").read_text()
    if name == "README":
        found = re.search(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
        assert found is not None
        text = found[1]
    code, said = checked(tmp_path, text, "--engine", "nginx")
    assert (code, said.partition(":")[0]) == (0, "ok"), said
