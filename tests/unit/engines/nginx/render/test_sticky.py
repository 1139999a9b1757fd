"""`sticky` of a route in nginx's words, and what of it nginx cannot do."""

import re
from pathlib import Path, PurePath

import pytest
from memory_files import MemoryFiles
from nginx_engine import NotRenderedError, expressed, target

from headgate.compile.load import load
from headgate.engines.nginx.common.types import Capabilities, Rendered

ACCEPTED = Path(__file__).parents[4] / "golden" / "nginx" / "accepted.txt"
DEBIAN_12 = Capabilities("", "", "", frozenset(ACCEPTED.read_text(encoding="utf-8").split()))


def rendered(sticky: str) -> Rendered:
    text = (
        '[listeners.web]\naddress = "127.0.0.1:1"\ndefault = true\n'
        f'[routes.r]\nsplit = [{{ upstream = "u", weight = 9 }}, {{ upstream = "v" }}]\n{sticky}\n'
        '[upstreams.u]\nendpoints = ["127.0.0.1:1"]\n[upstreams.v]\nendpoints = ["127.0.0.1:2"]\n'
    )
    files = MemoryFiles({"c.toml": text, "k.key": "k" * 32})
    found = load([PurePath("c.toml")], files, {})
    assert found.plan is not None, [str(one) for one in found.errors]
    return expressed(found, target("/state/nginx", DEBIAN_12))


def text_of(made: Rendered) -> str:
    return b"".join(file.content for file in made.files).decode()


def test_without_it_each_request_is_drawn() -> None:
    assert "split_clients $request_id $hg_split" in text_of(rendered(""))


def test_keys_are_hashed_the_first_that_a_request_has() -> None:
    made = rendered('sticky = { by = ["header:x-user", "client_ip"] }')
    text = text_of(made)
    assert "map $remote_addr $hg_sticky" in text
    assert re.search(r"map \$hg_header_x_user_\w+ \$hg_sticky", text)
    assert "split_clients $hg_sticky" in text
    assert any("clients move" in note for note in made.notes)


@pytest.mark.parametrize("sticky", ['sticky = { cookie = "b", keys = [{ file = "k.key" }] }'])
def test_nginx_signs_no_cookies(sticky: str) -> None:
    with pytest.raises(NotRenderedError, match=r"sticky\.cookie.*nginx signs no cookies"):
        rendered(sticky)
