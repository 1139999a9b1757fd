"""`bandwidth` in nginx's words, and what of it nginx cannot do."""

from pathlib import Path, PurePath

import pytest
from memory_files import MemoryFiles
from nginx_engine import NotRenderedError, expressed, target

from headgate.compile.load import load
from headgate.engines.nginx.common.types import Capabilities, Rendered

ACCEPTED = Path(__file__).parents[4] / "golden" / "nginx" / "accepted.txt"
DEBIAN_12 = Capabilities("", "", "", frozenset(ACCEPTED.read_text(encoding="utf-8").split()))


def rendered(*limits: str) -> Rendered:
    """A release whose one route has these limits, each as the keys of an inline table."""
    chain = ", ".join(f"{{ bandwidth = {{ {keys} }} }}" for keys in limits)
    text = (
        '[listeners.web]\naddress = "127.0.0.1:1"\ndefault = true\n'
        f'[routes.r]\nmiddlewares = [{chain}]\nupstream = "u"\n'
        '[upstreams.u]\nendpoints = ["127.0.0.1:1"]\n'
    )
    found = load([PurePath("c.toml")], MemoryFiles({"c.toml": text}), {})
    assert found.plan is not None, [str(one) for one in found.errors]
    return expressed(found, target("/state/nginx", DEBIAN_12))


def text_of(made: Rendered) -> str:
    return b"".join(file.content for file in made.files).decode()


def test_answers_are_held_back_by_nginx() -> None:
    text = text_of(rendered('download = "1MB/s", burst = "3MB"'))
    assert "limit_rate 1000000;" in text and "limit_rate_after 2000000;" in text
    assert "proxy_buffering on;" in text and "proxy_max_temp_file_size 0;" in text
    text = text_of(rendered('download = "1MB/s"'))
    assert "limit_rate 1000000;" in text and "limit_rate_after" not in text


def test_a_burst_below_a_second_is_noted() -> None:
    notes = rendered('download = "1MB/s", burst = "64KiB"').notes
    assert any("bytes of a second pass at once" in note for note in notes)


@pytest.mark.parametrize(
    ("limits", "key"),
    [
        (['upload = "1MB/s"'], "upload"),
        (['download = "1MB/s", key = "client_ip"'], "key"),
        (['download = "1MB/s", key = "all"'], "key"),
        (['download = "1MB/s"', 'download = "2MB/s"'], "download"),
    ],
)
def test_what_nginx_cannot_do_is_refused_by_name(limits: list[str], key: str) -> None:
    with pytest.raises(NotRenderedError) as refused:
        rendered(*limits)
    assert f"bandwidth.{key}" in str(refused.value)


def test_nginx_never_counts_the_answers_of_a_connection_together() -> None:
    with pytest.raises(NotRenderedError) as refused:
        rendered('download = "1MB/s", key = "connection"')
    assert "bandwidth.key" in str(refused.value)
    assert "not those of a connection together" in str(refused.value)
