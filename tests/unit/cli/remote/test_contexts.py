"""The file of contexts."""

import stat
from pathlib import Path

import pytest

from headgate.cli.remote.contexts import LOCK, Context, Contexts, change, load, place, save
from headgate.cli.remote.errors import ContextError

ANN = Context("https://m.test", "secret-token", workspace="shop")


def test_contexts_come_back_as_they_were_saved(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "inner" / "contexts.json"
    known = Contexts().holding("prod", ANN)
    save(file, known)
    assert load(file) == known
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_saving_again_keeps_the_mode_and_leaves_nothing_beside(tmp_path: Path) -> None:
    file = tmp_path / "contexts.json"
    save(file, Contexts())
    save(file, Contexts().holding("prod", ANN))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["contexts.json"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "contexts.json"
    save(file, Contexts().holding("prod", ANN))
    file.chmod(mode)
    with pytest.raises(ContextError, match="chmod 600") as refused:
        load(file)
    assert "secret-token" not in str(refused.value)


def test_no_file_is_no_context(tmp_path: Path) -> None:
    with pytest.raises(ContextError, match="headgate login"):
        load(tmp_path / "contexts.json").named()


def test_a_broken_file_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "contexts.json"
    file.write_text("{")
    file.chmod(0o600)
    with pytest.raises(ContextError, match="remove it and log in again"):
        load(file)


def test_a_file_that_cannot_be_read_or_written_is_named_with_the_cause(tmp_path: Path) -> None:
    file = tmp_path / "contexts.json"
    file.mkdir(mode=0o700)
    with pytest.raises(ContextError, match=r"contexts.json cannot be read: Is a directory"):
        load(file)
    with pytest.raises(ContextError, match=r"contexts.json cannot be written: Is a directory"):
        save(file, Contexts())
    (tmp_path / "home").write_text("")
    with pytest.raises(ContextError, match=r"home/a.json cannot be written: File exists"):
        save(tmp_path / "home" / "a.json", Contexts())


def test_an_unknown_context_names_the_known_ones() -> None:
    known = Contexts().holding("prod", ANN).holding("test", ANN)
    assert known.current == "test"
    assert known.using("prod").named() == ANN
    with pytest.raises(ContextError, match="choose one of: prod, test"):
        known.named("prud")


def test_a_context_that_is_forgotten_is_not_the_current_one() -> None:
    known = Contexts().holding("prod", ANN).holding("test", ANN).without("test")
    assert (known.current, sorted(known.contexts)) == ("", ["prod"])
    both = known.holding("test", ANN)
    assert both.without("prod").current == "test"
    with pytest.raises(ContextError, match="choose one of: prod, test"):
        both.without("prud")


@pytest.mark.parametrize(
    ("env", "wanted"),
    [
        ({"HOME": "/home/ann"}, "/home/ann/.config/headgate/contexts.json"),
        ({"HOME": "/home/ann", "XDG_CONFIG_HOME": "/x"}, "/x/headgate/contexts.json"),
        ({"XDG_CONFIG_HOME": "/x", "HEADGATE_CONFIG_HOME": "/h"}, "/h/contexts.json"),
    ],
)
def test_the_file_is_where_config_belongs(env: dict[str, str], wanted: str) -> None:
    assert str(place(env)) == wanted


def test_a_change_begins_with_what_others_saved(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "contexts.json"
    change(file, lambda known: known.holding("a", ANN))
    found = change(file, lambda known: known.holding("b", ANN))
    assert found == load(file) == Contexts("b", {"a": ANN, "b": ANN})
    assert stat.S_IMODE((file.parent / LOCK).stat().st_mode) == 0o600


def test_a_folder_that_cannot_be_locked_is_named(tmp_path: Path) -> None:
    (tmp_path / LOCK).mkdir()
    with pytest.raises(ContextError, match=f"{LOCK} cannot be locked: Is a directory"):
        change(tmp_path / "contexts.json", lambda known: known)
