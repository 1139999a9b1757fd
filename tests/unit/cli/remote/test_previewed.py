"""What people read of a preview."""

from typing import Any

from headgate.cli.remote.previewed import effects, nodes, text

ENGINE: dict[str, Any] = {
    "engine": "nginx",
    "version": "nginx/1.22.1",
    "agents": 2,
    "is_known": True,
    "refuses": [],
    "notes": [],
    "change": "reload",
}
REQUESTS: dict[str, Any] = {
    "source": "made",
    "asked": 9,
    "moved": [],
    "more": 0,
    "searched": 0,
    "unsearched": 0,
}
MOVED: dict[str, Any] = {
    "method": "GET",
    "url": "http://a.example/",
    "listener": "web",
    "before": "upstream a",
    "after": "404: no route takes it",
    "count": 12,
}


def said(engine: dict[str, Any], requests: dict[str, Any]) -> dict[str, Any]:
    """A preview of one fleet."""
    fleet = {
        "fleet": "edge",
        "nodes": [],
        "engines": [ENGINE | engine],
        "requests": REQUESTS | requests,
    }
    return {"fleets": [fleet]}


def test_engines_say_how_they_take_a_config_or_why_not() -> None:
    reload, made = text(said({}, {}))
    assert reload == "engine   edge: nginx nginx/1.22.1 of 2 agents reloads"
    assert made == ("requests edge: 0 of 9 that are made out of its routes would go elsewhere")
    refuses = [{"object": "routes/a.json", "path": "$.x", "detail": "no", "allowed": "change it"}]
    refused, noted, _ = text(said({"refuses": refuses, "notes": ["b differs"]}, {}))
    assert refused == "engine   edge: nginx nginx/1.22.1 refuses routes/a.json: $.x: no; change it"
    assert noted == "engine   edge: nginx nginx/1.22.1: b differs"
    assert len(list(text(said({"change": "none"}, {})))) == 1


def test_requests_that_nodes_had_are_named_with_their_counts() -> None:
    seen = {"source": "seen", "asked": 40, "moved": [MOVED] * 25, "more": 3, "unsearched": 1}
    _, away, first, *shown, last = text(said({}, seen))
    assert away.startswith("requests edge: 1 agent could not be searched")
    assert first == "requests edge: 28 of 40 that its nodes had lately would go elsewhere"
    line = "  GET http://a.example/ (12 times): upstream a -> 404: no route takes it"
    assert shown == [line] * 20
    assert last == "  … and 8 more"


def test_programs_get_all_of_it_and_an_empty_preview_says_nothing() -> None:
    (one,) = effects(said({}, {"moved": [MOVED]}))
    assert one == {
        "fleet": "edge",
        "engines": [ENGINE],
        "requests": REQUESTS | {"moved": [MOVED]},
    }
    assert effects({}) == []
    assert list(text({})) == []


def test_nodes_with_values_of_their_own_are_named_with_what_they_would_get() -> None:
    node = {"name": "n1", "agent": "a1", "digest": "ab" * 32}
    preview = said({"change": "none"}, {"asked": 0})
    preview["fleets"][0]["nodes"] = [node | {"objects": [{"path": "routes/a", "before": None}]}]
    assert nodes(preview) == [
        {
            "fleet": "edge",
            "node": "n1",
            "agent": "a1",
            "digest": "ab" * 32,
            "objects": ["routes/a"],
        }
    ]
    assert list(text(preview)) == ["node     edge/n1: abababababab, 1 objects differ"]
