"""Rolling back by hand: which release is meant, and whether it takes today's secrets along."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from headgate.engines.nginx.apply.applier import Applier
from headgate.engines.nginx.apply.results import Applied, Result
from headgate.engines.nginx.apply.rollback import NoReleaseError, choose, roll_back
from headgate.engines.nginx.common.types import Generation, Rendered, RenderedFile
from headgate.engines.nginx.releases.names import MANIFEST, ReleaseName
from headgate.engines.nginx.releases.store import Store

CONF = b"http { server { auth_basic_user_file htpasswd/shop; } }"


class FakeApplier:
    """Takes down what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.rendered: Rendered | None = None

    def apply(
        self, render: Callable[[Generation], Rendered], *, plan_digest: str, despite_hold: bool
    ) -> Result:
        self.rendered = render(Generation(9))
        self.asked.append(("apply", plan_digest, despite_hold))
        return Applied(9, ReleaseName.of(9, "9" * 12), 0.0, 0.0)

    def switch(self, name: ReleaseName) -> Result:
        self.asked.append(("switch", name))
        return Applied(name.generation, name, 0.0, 0.0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "nginx")


def stage(store: Store, generation: int, users: bytes) -> ReleaseName:
    """A release with these users, which is `current` then; the one before is `previous`."""
    files = {
        "nginx.conf": CONF,
        "htpasswd/shop": users,
        "generation.conf": b"default %d;" % generation,
    }
    rendered = Rendered(
        files=tuple(RenderedFile(path, content) for path, content in files.items()), listeners=()
    )
    name = store.stage(rendered, Generation(generation), f"plan {generation}").name
    store.link("previous", store.linked("current"))
    store.link("current", name)
    return name


def lose(store: Store, name: ReleaseName) -> None:
    """The release is gone, and nothing is left to restore it from."""
    shutil.rmtree(store.path(name))
    shutil.rmtree(store.root / "objects")


def roll(store: Store, wanted: str | None, *, exact: bool) -> tuple[FakeApplier, Result]:
    applier = FakeApplier()
    return applier, roll_back(cast(Applier, applier), store, wanted, exact=exact)


def test_users_of_today_are_kept_in_a_generation_of_its_own(store: Store) -> None:
    stage(store, 6, b"ann\nbob\n")
    stage(store, 7, b"ann\n")
    applier, result = roll(store, None, exact=False)
    assert (applier.asked, result.generation) == ([("apply", "plan 6", True)], 9)
    assert applier.rendered is not None
    assert {file.path: file.content for file in applier.rendered.files} == {
        "nginx.conf": CONF,
        "htpasswd/shop": b"ann\n",
        "generation.conf": b"default 9;",
    }


def test_it_is_exactly_the_older_release_where_one_asks_for_that(store: Store) -> None:
    older = stage(store, 6, b"ann\nbob\n")
    stage(store, 7, b"ann\n")
    applier, result = roll(store, "6", exact=True)
    assert (applier.asked, result.generation) == ([("switch", older)], 6)


def test_without_later_secrets_it_is_the_release_itself(store: Store) -> None:
    older = stage(store, 6, b"ann\n")
    current = stage(store, 7, b"ann\n")
    assert roll(store, None, exact=False)[0].asked == [("switch", older)]
    assert roll(store, "7", exact=False)[0].asked == [("switch", current)]


def remove_folder(store: Store, name: ReleaseName) -> None:
    shutil.rmtree(store.path(name))


def break_manifest(store: Store, name: ReleaseName) -> None:
    (store.path(name) / MANIFEST).unlink()


def empty_conf(store: Store, name: ReleaseName) -> None:
    (store.path(name) / "nginx.conf").write_bytes(b"")


@pytest.mark.parametrize("damage", [remove_folder, break_manifest, empty_conf])
@pytest.mark.parametrize("generation", [6, 7])
def test_releases_that_were_damaged_are_restored_before_their_secrets_are_compared(
    store: Store, damage: Callable[[Store, ReleaseName], None], generation: int
) -> None:
    names = {6: stage(store, 6, b"ann\nbob\n"), 7: stage(store, 7, b"ann\n")}
    damage(store, names[generation])
    applier, _ = roll(store, None, exact=False)
    assert applier.asked == [("apply", "plan 6", True)]
    assert applier.rendered is not None
    users = {file.path: file.content for file in applier.rendered.files}["htpasswd/shop"]
    assert users == b"ann\n"


@pytest.mark.parametrize("is_linked", [True, False])
def test_a_current_release_that_is_gone_gives_nothing(store: Store, is_linked: bool) -> None:
    older = stage(store, 6, b"ann\nbob\n")
    current = stage(store, 7, b"ann\n")
    lose(store, current)
    if not is_linked:
        store.link("current", None)
    assert roll(store, None, exact=False)[0].asked == [("switch", older)]


def test_a_release_is_meant_by_its_name_or_its_generation(store: Store) -> None:
    older, newer = stage(store, 6, b"ann\n"), stage(store, 7, b"bob\n")
    assert choose(store, None) == choose(store, "6") == choose(store, str(older)) == older
    assert choose(store, "7") == choose(store, str(newer)) == newer


def test_one_that_is_not_there_is_refused_with_those_that_are(store: Store) -> None:
    with pytest.raises(NoReleaseError) as nothing:
        choose(store, "6")
    assert str(nothing.value) == "there is no release 6; the releases are: none"
    names = [stage(store, 6, b"ann\n"), stage(store, 7, b"bob\n")]
    with pytest.raises(NoReleaseError) as other:
        choose(store, "8")
    known = ", ".join(map(str, sorted(names)))
    assert str(other.value) == f"there is no release 8; the releases are: {known}"


def test_without_a_release_before_one_has_to_be_named(store: Store) -> None:
    text = "there is no release before the current one; name a release"
    older = stage(store, 6, b"ann\n")
    with pytest.raises(NoReleaseError, match=text):
        choose(store, None)
    stage(store, 7, b"ann\n")
    lose(store, older)
    with pytest.raises(NoReleaseError, match=text):
        choose(store, None)
