"""The way back where a step of it fails: what is done next, and what people are told of it."""

from apply_world import BASE, OLDER, Nginx, Playing, rejected

DEAD = "[alert] 1#1: worker process 9 exited"


def after(play: Playing, first: str) -> list[str]:
    """What was done from the first action of that name on, without looks and pauses."""
    acts = [one for one in play.done if not one.startswith(("look", "pause"))]
    return acts[acts.index(first) :]


def test_whatever_failed_on_the_way_back_is_told_in_its_order() -> None:
    play = Playing(on_signal=(Nginx.die, Nginx.die, Nginx.reload), trouble=("restore 6",))
    assert rejected(play.play()).caveats == (
        f"back to {BASE}: {DEAD}",
        f"back to {BASE}: restore 6 failed",
    )
    assert after(play, "link 6") == ["link 6", "signal reload 6", "link 6", "signal reload 6"]


def test_where_the_old_one_cannot_be_looked_at_it_is_signalled_afterwards() -> None:
    play = Playing(on_signal=(Nginx.refuse, Nginx.reload), trouble=("signal look 6",))
    result = rejected(play.play())
    assert (result.serving, result.is_degraded) == (BASE, True)
    assert after(play, "link 6") == ["link 6", "restore 6", "link 6", "signal reload 6"]
    assert result.caveats == (f"back to {BASE}: signal look 6 failed",)


def test_the_old_one_is_tried_from_outside_once_all_else_of_it_holds() -> None:
    play = Playing(on_signal=(Nginx.die, Nginx.reload))
    rejected(play.play())
    assert play.looks["rollback_verify"] > 2
    assert play.deep_looks == 1


def test_without_an_old_one_an_nginx_that_goes_on_with_the_new_one_is_degraded() -> None:
    play = Playing(fallbacks=(), on_signal=(Nginx.die,), trouble=("stop",))
    result = rejected(play.play())
    assert result.caveats == ("back to no release: stop failed",)
    assert (result.serving, result.is_degraded) == (None, True)
    assert result.text().endswith("NO RELEASE IS PROVEN TO SERVE: back to no release: stop failed")


def test_a_link_that_cannot_be_set_is_tried_for_each_release_in_turn() -> None:
    play = Playing(on_signal=(Nginx.die, Nginx.reload), trouble=("link 6",))
    result = rejected(play.play())
    assert (result.serving, result.is_degraded) == (OLDER, True)
    assert result.caveats == (f"back to {BASE}: link 6 failed",) * 2
