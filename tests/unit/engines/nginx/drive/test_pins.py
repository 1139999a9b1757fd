"""Addresses of names: asked anew, kept where DNS is away."""

from pathlib import Path

from headgate.engines.nginx.drive.pins import Pins


def test_the_last_good_addresses_are_kept_where_dns_is_away(tmp_path: Path) -> None:
    answers = {"a": ("10.0.0.1", "10.0.0.2"), "b": ("10.0.0.3",)}
    pins = Pins(tmp_path, lambda name: answers.get(name, ()))
    assert pins.asked(["a", "b", "c"]) == answers
    away = Pins(tmp_path, lambda _: ())
    assert away.asked(["a", "c"]) == {"a": answers["a"]}


def test_new_addresses_take_the_place_of_old_ones(tmp_path: Path) -> None:
    assert Pins(tmp_path, lambda _: ("10.0.0.1",)).asked(["a"]) == {"a": ("10.0.0.1",)}
    assert Pins(tmp_path, lambda _: ("10.0.0.9",)).asked(["a"]) == {"a": ("10.0.0.9",)}


def test_what_is_only_looked_up_is_not_kept(tmp_path: Path) -> None:
    pins = Pins(tmp_path, lambda name: ("10.0.0.1",) if name == "a" else ())
    assert pins.asked(["a"])
    kept = (tmp_path / "addresses.json").read_bytes()
    found = Pins(tmp_path, lambda name: ("10.0.0.2",) if name == "b" else ()).found(["a", "b", "c"])
    assert found == {"a": ("10.0.0.1",), "b": ("10.0.0.2",)}
    assert (tmp_path / "addresses.json").read_bytes() == kept
    assert Pins(tmp_path / "none", lambda _: ("10.0.0.2",)).found(["a"]) == {"a": ("10.0.0.2",)}


def test_a_damaged_file_costs_only_what_was_known(tmp_path: Path) -> None:
    (tmp_path / "addresses.json").write_text("{ half")
    assert Pins(tmp_path, lambda _: ("[::1]",)).asked(["a"]) == {"a": ("[::1]",)}


def test_names_have_moved_once_the_same_answer_came_twice(tmp_path: Path) -> None:
    answers: list[tuple[str, ...]] = [("10.0.0.1",)]
    pins = Pins(tmp_path, lambda _: answers[-1])
    assert not pins.have_moved({})
    served = pins.asked(["a"])
    assert served == {"a": ("10.0.0.1",)}
    assert [pins.have_moved(served) for _ in range(3)] == [False, False, False]
    seen = []
    for answer in (("10.0.0.2",), ("10.0.0.3",), (), ("10.0.0.3",), ("10.0.0.3",)):
        answers.append(answer)
        seen.append(pins.have_moved(served))
    assert seen == [False, False, False, False, True]
    moved = pins.asked(["a"])
    assert moved == {"a": ("10.0.0.3",)}
    assert pins.have_moved(served), "nobody serves the new ones"
    assert not pins.have_moved(moved)


def test_what_a_config_asks_for_that_nobody_serves_forgets_nothing(tmp_path: Path) -> None:
    pins = Pins(tmp_path, lambda _: ("10.0.0.1",))
    served = pins.asked(["a"])
    pins.served(served)
    pins.asked(["b"])
    away = Pins(tmp_path, lambda _: ())
    assert away.asked(["a", "b"]).keys() == {"a", "b"}
    away.served(served)
    assert away.asked(["a", "b"]) == served
