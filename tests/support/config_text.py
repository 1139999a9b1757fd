"""Random configs as values, and values as TOML, YAML and JSON text."""

import json
from collections.abc import Mapping

from hypothesis import strategies as st

Document = dict[str, Mapping[str, object]]
"""Section → name → what stands there."""


def to_json(document: Document) -> str:
    """The document as JSON."""
    return json.dumps(document)


def quoted(scalar: object) -> str:
    """A scalar as all three formats write it."""
    return json.dumps(scalar, ensure_ascii=False)


def to_toml(document: Document) -> str:
    """The document as TOML: a table per object, its keys inline."""
    lines: list[str] = []
    for section, objects in document.items():
        for name, value in objects.items():
            lines.append(f"[{section}.{quoted(name)}]")
            assert isinstance(value, dict)
            lines += [f"{quoted(key)} = {_inline(item)}" for key, item in value.items()]
    return "\n".join(lines) + "\n"


def _inline(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(k)} = {_inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return quoted(value)


def to_yaml(document: Document) -> str:
    """The document as YAML in block style."""
    return "\n".join(_block(document, 0)) + "\n"


def _block(value: object, depth: int) -> list[str]:
    pad = "  " * depth
    if isinstance(value, dict) and value:
        out: list[str] = []
        for key, item in value.items():
            out += _under(f"{pad}{quoted(key)}:", item, depth)
        return out
    if isinstance(value, list) and value:
        return [line for item in value for line in _under(f"{pad}-", item, depth)]
    return [pad + quoted(value)]


def _under(head: str, item: object, depth: int) -> list[str]:
    if isinstance(item, dict | list) and item:
        return [head, *_block(item, depth + 1)]
    return [f"{head} {quoted(item)}"]


NAMES = st.sampled_from(["a", "b", "c", "d-e", "f.g"])
HOSTS = st.sampled_from(["a.example", "B.example", "b.Example", "*.c.example", "*", "[::1]"])
ADDRESSES = st.sampled_from(["127.0.0.1:1", "[::1]:2", "app.internal:3", "unix:/run/x"])
DURATIONS = st.sampled_from(["1s", "250ms", "5m", "off"])
TEXT = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), max_size=5).map(
    lambda text: text.replace("$", "").strip()
)

UPSTREAMS = st.fixed_dictionaries(
    {
        "endpoints": st.lists(
            st.one_of(
                ADDRESSES,
                st.fixed_dictionaries(
                    {"address": ADDRESSES},
                    optional={"weight": st.integers(0, 9), "backup": st.booleans(), "zone": TEXT},
                ),
            ),
            min_size=1,
            max_size=3,
        )
    },
    optional={
        "balance": st.sampled_from(["random", "maglev", {"ring_hash": {"key": "cookie:s"}}]),
        "host_header": st.sampled_from(["pass", "endpoint", "x"]),
        "pool": st.fixed_dictionaries({}, optional={"max_idle": st.integers(0, 600)}),
    },
)

MIDDLEWARES = st.one_of(
    st.fixed_dictionaries({"rewrite": st.just({"strip_prefix": "/v1/"})}),
    st.fixed_dictionaries(
        {
            "request_headers": st.fixed_dictionaries(
                {}, optional={"set": st.dictionaries(st.sampled_from(["x-a", "X-B"]), TEXT)}
            )
        }
    ),
    st.fixed_dictionaries({"respond": st.fixed_dictionaries({"status": st.integers(200, 203)})}),
)

MATCHES = st.fixed_dictionaries(
    {},
    optional={
        "path": st.sampled_from([{"exact": "/x"}, {"prefix": "/v1/"}, {"regex": "/[a-z]+"}]),
        "methods": st.lists(st.sampled_from(["GET", "POST"]), min_size=1),
        "cookies": st.just({"Sid": {"absent": True}}),
        "query": st.dictionaries(TEXT, st.just({"present": True}), max_size=2),
    },
)


def routes(upstreams: st.SearchStrategy[str]) -> st.SearchStrategy[object]:
    """Routes that forward to one of these upstreams, or answer."""
    common: dict[str, st.SearchStrategy[object]] = {
        "hosts": st.one_of(HOSTS, st.lists(HOSTS, min_size=1, max_size=3)),
        "match": st.one_of(MATCHES, st.lists(MATCHES, max_size=2)),
        "priority": st.integers(-3, 3),
        "middlewares": st.lists(MIDDLEWARES, max_size=2),
        "timeouts": st.fixed_dictionaries({}, optional={"request": DURATIONS}),
        "websocket": st.booleans(),
    }
    action = st.one_of(
        st.fixed_dictionaries({"upstream": upstreams}),
        st.fixed_dictionaries({"respond": st.fixed_dictionaries({"body": TEXT})}),
    )
    optional = st.fixed_dictionaries({}, optional=common)
    return st.builds(lambda one, other: {**one, **other}, optional, action)


LISTENERS = st.just({"web": {"address": "127.0.0.1:8000", "default": True}})


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """A config without a mistake."""
    upstreams = draw(st.dictionaries(NAMES, UPSTREAMS, min_size=1, max_size=3))
    return {
        "listeners": draw(LISTENERS),
        "upstreams": upstreams,
        "routes": draw(
            st.dictionaries(NAMES, routes(st.sampled_from(sorted(upstreams))), max_size=4)
        ),
        "middlewares": draw(st.dictionaries(NAMES, MIDDLEWARES, max_size=2)),
    }


@st.composite
def careless_documents(draw: st.DrawFn) -> Document:
    """A config that may name upstreams that are not there, or have keys that are not known."""
    document = draw(documents())
    document["upstreams"] = draw(st.dictionaries(NAMES, UPSTREAMS, max_size=2))
    listeners = {"address": "127.0.0.1:8000", "default": draw(st.booleans())}
    document["listeners"] = {draw(st.sampled_from(["web", "other"])): listeners}
    if draw(st.booleans()):
        document["hosts"] = draw(st.dictionaries(HOSTS, st.just({"middlewares": ["a"]})))
    if draw(st.booleans()):
        odd = {"odd": {"upstraem": "a", "respond": {}}}
        document["routes"] = {**document["routes"], **odd}
    return document
