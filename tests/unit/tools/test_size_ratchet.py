"""What tools/size_ratchet.py refuses."""

import size_ratchet
from size_ratchet import Size, compare, file_sizes

LONG = Size("a.py", "f", 60)


def breaches(over: list[Size], allowed: dict[tuple[str, str], int]) -> list[str]:
    return list(compare({(s.path, s.function): s for s in over}, allowed))


def test_what_is_over_a_limit_needs_an_allowance() -> None:
    assert breaches([LONG], {}) == ["a.py: f has 60 lines, the limit is 50"]
    assert breaches([LONG], {("a.py", "f"): 60}) == []


def test_an_allowance_does_not_let_it_grow() -> None:
    assert breaches([LONG], {("a.py", "f"): 59}) == ["a.py: f has 60 lines, its allowance is 59"]


def test_an_allowance_shrinks_with_what_it_is_for() -> None:
    (message,) = breaches([LONG], {("a.py", "f"): 61})
    assert message.endswith("lower its allowance from 61 in tools/size_ratchet.toml")
    assert breaches([], {("a.py", ""): 600}) == [
        "a.py: the file needs no allowance any more; remove it"
    ]


def test_docstrings_do_not_count_and_inner_functions_do() -> None:
    text = 'def f():\n    """One.\n\n    Two.\n    """\n    def g():\n        pass\n    return g\n'
    sizes = {size.function: size.lines for size in file_sizes("a.py", text)}
    assert sizes == {"": 8, "f": 4, "g": 2}


def test_a_struct_has_a_limit_of_its_own() -> None:
    fields = "".join(f"    a{number}: u8,\n" for number in range(13))
    sizes = {size.function: size for size in file_sizes("a.rs", f"struct Wide {{\n{fields}}}\n")}
    wide = sizes["struct Wide"]
    key = ("a.rs", "struct Wide")
    assert breaches([wide], {}) == ["a.rs: struct Wide has 13 fields, the limit is 12"]
    assert breaches([wide], {key: 12}) == ["a.rs: struct Wide has 13 fields, its allowance is 12"]
    assert breaches([wide], {key: 13}) == []


def test_generated_files_are_left_out() -> None:
    root = size_ratchet.ROOT
    paths = {size.path for size in size_ratchet.sizes()}
    assert "tools/size_ratchet.py" in paths
    assert not any("_pb2" in path or "/generated/" in path for path in paths), root
