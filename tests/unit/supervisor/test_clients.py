"""Requests of clients that are none."""

import pytest
from supervisor_node import CONTROL, Node, replies

from headgate.supervisor import channel
from headgate.supervisor import events as ev


@pytest.mark.parametrize(
    ("op", "said"),
    [(["listen"], None), ({"op": "status"}, None), (None, None), (1, None), ("dance", "'dance'")],
)
def test_what_is_no_op_is_refused(op: object, said: str | None) -> None:
    node = Node()
    node.serve()
    (answer,) = replies(node.handle(ev.ClientSaid(CONTROL, {"id": 1, "op": op})))
    assert answer == {"id": 1, "ok": False, "error": f"unknown op {said}"}


@pytest.mark.parametrize("op", [["ready"], {}])
def test_what_a_data_plane_says_without_an_op_is_passed_over(op: object) -> None:
    node = Node()
    node.serve()
    assert node.handle(ev.DataPlaneSaid(1, {"op": op})) == []


@pytest.mark.parametrize(
    "inner",
    [b"[" * 200_000 + b"]" * 200_000, b"[" * 8 + b"]" * 8, b'{"a":' * 8 + b"1" + b"}" * 8],
    ids=["very", "lists", "objects"],
)
def test_an_object_that_is_too_deep_is_no_message(inner: bytes) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        channel.decode(b'{"a":' + inner + b"}")


def test_an_object_may_have_some_depth() -> None:
    assert channel.decode(b'{"a":[[{"b":[]}]]}') == {"a": [[{"b": []}]]}
    assert channel.decode(b'{"a":' + b"[" * 7 + b"]" * 7 + b"}")
