"""`mirror` of a route in nginx's words, and what of it nginx cannot do."""

import re
from pathlib import Path, PurePath

import pytest
from memory_files import MemoryFiles
from nginx_engine import NotRenderedError, expressed, target

from headgate.compile.load import load
from headgate.engines.nginx.common.types import Capabilities, Rendered
from headgate.engines.nginx.render.mirroring import at_most

ACCEPTED = Path(__file__).parents[4] / "golden" / "nginx" / "accepted.txt"
WORDS = frozenset(ACCEPTED.read_text(encoding="utf-8").split())
DEBIAN_12 = Capabilities("", "", "", WORDS)


def rendered(mirror: str, accepted: Capabilities = DEBIAN_12) -> Rendered:
    text = (
        '[listeners.web]\naddress = "127.0.0.1:1"\ndefault = true\n'
        f'[routes.r]\nupstream = "u"\n{mirror}\n'
        '[upstreams.u]\nendpoints = ["127.0.0.1:1"]\n[upstreams.v]\nendpoints = ["127.0.0.1:2"]\n'
        '[upstreams.w]\nendpoints = ["127.0.0.1:3"]\n'
    )
    found = load([PurePath("c.toml")], MemoryFiles({"c.toml": text}), {})
    assert found.plan is not None, [str(one) for one in found.errors]
    return expressed(found, target("/state/nginx", accepted))


def text_of(made: Rendered) -> str:
    return b"".join(file.content for file in made.files).decode()


def test_a_copy_goes_to_a_location_of_its_own() -> None:
    made = rendered('mirror = { upstream = "v", percent = 12.5, timeout = "3s" }')
    text = text_of(made)
    for line in (
        "mirror auth:mirror:route:1;",
        "mirror_request_body on;",
        "location = auth:mirror:route:1 {",
        "proxy_set_header x-headgate-mirror r;",
        "proxy_read_timeout 3s;",
        'proxy_pass "http://hg_up_v${hg_path}${hg_query}";',
        "12.50%",
    ):
        assert line in text, text
    assert any("the next request on a connection" in note for note in made.notes)


def test_several_have_locations_and_draws_of_their_own() -> None:
    part = "percent = 12.5"
    made = rendered(
        f'mirror = [{{ upstream = "v", {part} }}, {{ upstream = "w", {part}, timeout = "3s" }}]'
    )
    text = text_of(made)
    for line in (
        "mirror auth:mirror:route:1;",
        "mirror auth:mirror2:route:1;",
        "location = auth:mirror:route:1 {",
        "location = auth:mirror2:route:1 {",
        "location @hg_mirrored2_route_1 {",
        'proxy_pass "http://hg_up_v${hg_path}${hg_query}";',
        'proxy_pass "http://hg_up_w${hg_path}${hg_query}";',
        'split_clients "${request_id}mirror" ',
        'split_clients "${request_id}mirror2" ',
    ):
        assert text.count(line) == 1, text
    assert text.count("mirror_request_body on;") == 1
    assert sum("the next request on a connection" in note for note in made.notes) == 1
    of_second = rendered('mirror = [{ upstream = "v", percent = 0 }, { upstream = "w" }]')
    assert "mirror auth:mirror:" not in text_of(of_second)
    assert "mirror auth:mirror2:" in text_of(of_second)


def test_all_requests_need_no_draw_and_none_need_no_mirror() -> None:
    assert "split_clients" not in text_of(rendered('mirror = { upstream = "v" }'))
    assert "mirror" not in text_of(rendered('mirror = { upstream = "v", percent = 0 }'))


@pytest.mark.parametrize("most", [0, 7, 10, 99, 100, 4_096, 65_536, 99_999, 1 << 20])
def test_lengths_are_compared_as_texts(most: int) -> None:
    fits = re.compile(at_most(most))
    near = {*range(200), *range(max(most - 1_100, 0), most + 1_100), most * 10, most // 10}
    assert all(bool(fits.fullmatch(str(n))) == (n <= most) for n in near)


def test_what_nginx_cannot_do_is_refused() -> None:
    with pytest.raises(NotRenderedError, match=r"mirror\[0\]\.max_in_flight.*no limit"):
        rendered('mirror = { upstream = "v", max_in_flight = 5 }')
    with pytest.raises(NotRenderedError, match=r"mirror\[1\]\.max_in_flight.*no limit"):
        rendered('mirror = [{ upstream = "v" }, { upstream = "w", max_in_flight = 5 }]')
    with pytest.raises(NotRenderedError, match=r"mirror.*this nginx has no `mirror`"):
        rendered('mirror = { upstream = "v" }', Capabilities("", "", "", WORDS - {"mirror"}))
