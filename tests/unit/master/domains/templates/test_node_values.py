"""The configs of nodes that have values of their own."""

import pytest

from headgate.fleet.manifest import resource_bytes
from headgate.master.domains.templates import node_values
from headgate.master.domains.templates.node_values import Node, Recipe, variants
from headgate.master.domains.templates.types import Parameter, Value

PATH = "routes/a.json"
NODES = [Node(name, name, {}) for name in ("a", "b", "c", "d")]


def recipe(**nodes: Value) -> Recipe:
    """A recipe with the parameter `text` of nodes."""
    parameters = {"text": Parameter(type="string", per_node=True, longest=1_000)}
    return Recipe(
        template="t",
        host="h",
        file="",
        lines={},
        parameters=parameters,
        common={"text": "same"},
        nodes={node: {"text": value} for node, value in nodes.items()},
    )


def test_the_configs_that_differ_have_a_bound_in_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_values, "_MOST_SIZE", 2_000)
    contents = {PATH: resource_bytes({"a": "{{ text }}{{ text }}"})}
    one_large = {PATH: recipe(a="v" * 400)}
    made, faults = variants(contents, one_large, NODES)
    assert ([len(one.nodes) for one in made], faults) == ([1, 3], [])
    many = {PATH: recipe(a="v" * 400, b="w" * 400, c="x" * 400)}
    made, faults = variants(contents, many, NODES)
    assert (made, [one.path for one in faults]) == ([], ["virtual_hosts"])
    assert "MiB" in faults[0].detail
