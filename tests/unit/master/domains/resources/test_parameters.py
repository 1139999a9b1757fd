"""The faults that do not depend on values which are not known yet."""

import sys

from hypothesis import given
from hypothesis import strategies as st

from headgate.master.api.problems import Fault, json_path
from headgate.master.domains.resources.parameters import PARAMETER, Located, Path, certain

KEYS = st.sampled_from(["a", "ab"])
SPECS = st.dictionaries(
    KEYS,
    st.recursive(
        st.sampled_from(["{{ a }}", "x{{a}}", "text", "{{"]) | st.integers(0, 2),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=3,
)
PATHS = st.lists(KEYS | st.integers(0, 2), max_size=4).map(lambda steps: ("spec", *steps))


def located(*path: str | int) -> Located:
    """A fault at that place."""
    return Located(path, Fault(path=json_path(path), detail="wrong", allowed=""))


def each(node: object, path: Path) -> list[Path]:
    """The paths of all texts that name a parameter."""
    if isinstance(node, str):
        return [path] if PARAMETER.search(node) else []
    parts = node.items() if isinstance(node, dict) else enumerate(node)  # type: ignore[arg-type]
    return [found for key, one in parts for found in each(one, (*path, key))]


def is_certain(one: Located, names: list[Path]) -> bool:
    """Compares the path of a fault with that of each parameter."""
    ends = [min(len(one.path), len(name)) for name in names]
    related = [name for name, end in zip(names, ends, strict=True) if one.path[:end] == name[:end]]
    return not related or (one.path == ("spec",) and ("spec",) not in names)


@given(SPECS, st.lists(PATHS, max_size=6))
def test_a_fault_depends_on_a_parameter_in_it_or_around_it(
    spec: dict[str, object], paths: list[Path]
) -> None:
    faults = [located(*path) for path in paths]
    names = each(without_numbers(spec), ("spec",))
    assert certain(faults, spec) == [one.fault for one in faults if is_certain(one, names)]


def without_numbers(node: object) -> object:
    """The spec with texts alone, which has the same parameters."""
    if isinstance(node, dict):
        return {key: without_numbers(one) for key, one in node.items()}
    if isinstance(node, list):
        return [without_numbers(one) for one in node]
    return str(node)


def test_a_key_that_begins_alike_is_another_one() -> None:
    faults = [located("spec", "hosts"), located("name"), located("spec", "host")]
    assert certain(faults, {"host": "{{ a }}"}) == [one.fault for one in faults[:2]]


def calls(count: int) -> int:
    """How many functions are called, or resumed, for so many hosts that all are wrong."""
    faults = [located("spec", "hosts", index) for index in range(count)]
    spec = {"hosts": ["{{a}}"] * count}
    made = 0

    def called(_frame: object, event: str, _given: object) -> None:
        nonlocal made
        made += event == "call"

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        certain(faults, spec)
    finally:
        sys.setprofile(before)
    return made


def test_the_work_grows_with_the_number_of_faults_alone() -> None:
    assert calls(400) < 3 * calls(200)
