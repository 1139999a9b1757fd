"""Ids sort by the time they were made."""

from headgate.master.ids import new_id, oldest_id


def test_an_id_sorts_between_the_oldest_ones_of_its_time_and_of_the_next() -> None:
    for now_ms in (0, 1_700_000_000_000):
        made = new_id(now_ms)
        assert oldest_id(now_ms) <= made < oldest_id(now_ms + 1)
        assert len(oldest_id(now_ms)) == len(made)
