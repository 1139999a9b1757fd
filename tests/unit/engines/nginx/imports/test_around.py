"""What the locations of one server know of each other, and what that costs."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nginx_trees import tree_of_http

from headgate.engines.nginx.imports import limits
from headgate.engines.nginx.imports.around import Siblings
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.nginxtext.tree import Directive

PATHS = st.lists(st.sampled_from([*b"/a-~\xff"]), max_size=4).map(lambda found: b"/" + bytes(found))


@given(st.lists(PATHS, max_size=8), PATHS)
def test_siblings_are_found_by_their_paths(paths: list[bytes], path: bytes) -> None:
    one = Siblings(paths, paths)
    longer = [each for each in paths if each != path and each.startswith(path)]
    assert one.has_exact(path) == one.has_prefix(path) == (path in paths)
    assert one.has_longer(path) == bool(longer)
    within = [each for each in longer if not each.startswith(path + b"/")]
    assert one.has_longer_within(path) == bool(within)


def test_a_location_costs_no_more_memory_among_many() -> None:
    count = 2_000
    each = "".join(f"location = /{n} {{ return 301 https://a/{n}; }}" for n in range(count))
    tree = tree_of_http(f"server {{ listen 80; server_name a; {each} }}")
    tracemalloc.start()
    one = import_tree(tree)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len([each for each in one.objects if each.section == "routes"]) > count
    assert most / count < 8_192


def test_a_zone_is_looked_for_among_zones_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 100
    each = "".join(f"location /{n}/ {{ proxy_pass http://10.0.0.1; }}" for n in range(count))
    zones = "limit_req_zone $binary_remote_addr zone=z:1m rate=1r/s; limit_req zone=z;"
    looked: list[bytes] = []
    declared = limits._declared

    def seen(kind: bytes, line: Directive) -> dict[str, str]:
        looked.append(line.name)
        return declared(kind, line)

    monkeypatch.setattr(limits, "_declared", seen)
    import_tree(tree_of_http(f"{zones} server {{ listen 80; server_name a; {each} }}"))
    assert set(looked) == {b"limit_req_zone"}
    assert len(looked) <= 2 * count
