"""What no database keeps as it is written is refused by name, with both databases alike."""

import base64
import json

import pytest
from asgi import ask
from master_world import ROUTE, Answer, World

W = "/workspaces/default"
_NEW = "/organisations/main/workspaces"

UNKEPT = {
    "nul": (r'"a\u0000b"', "NUL"),
    "half of a pair": (r'"a\ud800b"', "surrogate"),
    "other half": (r'"\uDFFF"', "surrogate"),
    "two halves in the wrong order": (r'"\ude00\ud83d"', "surrogate"),
    "too large": (str(1 << 63), "64 bits"),
    "too small": (str(-(1 << 63) - 1), "64 bits"),
    "far too large": ("1" + "0" * 30, "64 bits"),
    "infinite": ("1e999", "finite"),
    "no number": ("NaN", "finite"),
}


def raw(world: World, method: str, path: str, body: bytes, token: str = "") -> Answer:
    """One request whose body is written by hand."""
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    reply = world.runner.run(ask(world.app, method, f"/api/v1{path}", body, headers))
    return Answer(reply.status, reply.headers, reply.body.decode())


def faults(answer: Answer) -> dict[str, tuple[str, str]]:
    assert answer.status == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer["type"] == "urn:headgate:problem:invalid"
    found = answer.json["errors"]
    assert isinstance(found, list)
    return {one["path"]: (one["detail"], one["allowed"]) for one in found}


@pytest.mark.parametrize(("written", "says"), UNKEPT.values(), ids=UNKEPT)
def test_a_body_gets_the_place_of_what_cannot_be_kept(
    world: World, written: str, says: str
) -> None:
    admin = world.set_up()
    spec = f'{{"hosts": ["a.example", {written}], "upstream": "api", "x": {{"y": {written}}}}}'
    path = f"{W}/resources/routes/a"
    found = faults(raw(world, "PUT", path, f'{{"spec": {spec}}}'.encode(), admin))
    assert list(found) == ["$.spec.hosts[1]", "$.spec.x.y"]
    assert all(says in detail and allowed for detail, allowed in found.values())
    assert world.ask("GET", path, token=admin).status == 404
    assert world.ask("PUT", path, {"spec": ROUTE}, admin).status == 200


@pytest.mark.parametrize("written", ["nul", "half of a pair"])
def test_a_key_is_a_text_too_and_its_path_is_written_in_ascii(world: World, written: str) -> None:
    admin = world.set_up()
    key = UNKEPT[written][0]
    body = f'{{"name": "ci", {key}: 1}}'.encode()
    assert list(faults(raw(world, "POST", "/tokens", body, admin))) == [f"$[{key}]"]


def test_halves_of_a_pair_in_bytes_are_found(world: World) -> None:
    admin = world.set_up()
    for text in (b"\xed\xa0\x80", b"\xed\xa0\xbd\xed\xb8\x80"):
        body = b'{"name": "' + text + b'"}'
        assert list(faults(raw(world, "POST", _NEW, body, admin))) == ["$.name"]


def test_other_encodings_of_json_are_looked_through(world: World) -> None:
    body = r'{"name": "a\u0000", "password": "x"}'.encode("utf-16")
    assert list(faults(raw(world, "POST", "/auth/login", body))) == ["$.name"]


def test_who_sends_much_of_it_gets_the_first_places(world: World) -> None:
    admin = world.set_up()
    body = json.dumps(["\0"] * 1_000).encode()
    found = faults(raw(world, "POST", "/tokens", body, admin))
    assert list(found) == [f"$[{index}]" for index in range(20)]


def test_what_can_be_kept_is_kept(world: World) -> None:
    admin = world.set_up()
    path = f"{W}/resources/routes/a"
    spec = {"hosts": ["a.example"], "respond": {"body": "\U0001f600\uffff\ue000"}}
    assert world.ask("PUT", path, {"spec": spec}, admin).status == 200
    kept = world.ask("GET", path, token=admin).json["spec"]
    assert isinstance(kept, dict)
    assert kept["respond"] == spec["respond"]


def test_a_body_is_not_looked_at_before_its_sender_is_known(world: World) -> None:
    world.set_up()
    assert raw(world, "POST", "/tokens", b'{"name": "\\u0000"}').status == 401


def test_a_body_that_is_no_json_is_still_called_that(world: World) -> None:
    admin = world.set_up()
    assert raw(world, "POST", "/tokens", b'{"name": "\0"}', admin)["path"] == "$"
    deep = b"[" * 100_000
    assert raw(world, "POST", "/tokens", deep, admin).status in (400, 422)


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", f"{W}/resources/routes/a\0b", "name"),
        ("PUT", f"{W}/resources/routes/a\0b", "name"),
        ("GET", f"{W}\0/resources", "workspace"),
        ("GET", "/organisations/\0", "organisation"),
        ("GET", "/users/\0", "user"),
        ("GET", "/users?organisation=a%00", "organisation"),
        ("GET", "/users?cursor=%00", "cursor"),
        ("GET", f"{W}/events?object=a%00b", "object"),
        ("GET", f"{W}/agents/a\0", "agent"),
    ],
)
def test_a_path_and_a_query_get_the_name_of_the_parameter(
    world: World, method: str, path: str, name: str
) -> None:
    admin = world.set_up()
    body = {"spec": ROUTE} if method == "PUT" else None
    found = faults(world.ask(method, path, body, admin))
    assert list(found) == [name]
    assert "NUL" in found[name][0]


def test_a_cursor_and_a_key_for_repeats_hold_no_nul(world: World) -> None:
    admin = world.set_up()
    cursor = base64.urlsafe_b64encode(b"a\0b").decode()
    for path in ("/users", "/tokens", f"{W}/resources"):
        assert world.ask("GET", f"{path}?cursor={cursor}", token=admin)["path"] == "cursor"
    body = {"name": "edge"}
    refused = world.ask("POST", _NEW, body, admin, idempotency_key="a\0b")
    assert list(faults(refused)) == ["Idempotency-Key"]
