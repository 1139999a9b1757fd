from hypothesis import given
from hypothesis import strategies as st
from shares import dealt


def test_each_process_begins_with_its_share_of_the_longest() -> None:
    tests = ["a", "b", "c", "long", "d", "e", "longest", "f"]
    seconds = {"long": 300, "longest": 900}
    assert dealt(tests, lambda test: seconds.get(test, 0), 2) == [
        *("longest", "a", "b", "c"),
        *("long", "d", "e", "f"),
    ]


@given(st.lists(st.sampled_from([0, 300, 900]), max_size=40), st.integers(1, 8))
def test_every_test_is_run_once(seconds: list[int], processes: int) -> None:
    order = dealt(range(len(seconds)), lambda test: seconds[test], processes)
    assert sorted(order) == list(range(len(seconds)))
