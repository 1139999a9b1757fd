"""Bundles on disk: whole or not there, verified when read, the last good ones kept."""

import stat
from pathlib import Path

import pytest
from bundles import LISTENER, Signer

from headgate.providers.master.bundle import DamagedBundleError, packed, unpacked
from headgate.providers.master.store import KEPT, BundleStore


def resources(answer: str) -> dict[tuple[str, str], object]:
    return {
        ("listeners", "web"): LISTENER,
        ("routes", "all"): {"respond": {"status": 200, "body": answer}},
    }


@pytest.fixture
def signer() -> Signer:
    return Signer()


@pytest.fixture
def store(tmp_path: Path, signer: Signer) -> BundleStore:
    return BundleStore(tmp_path / "bundles", signer.verify)


def serve(store: BundleStore, signer: Signer, revision: int, answer: str = "") -> None:
    parts = signer.parts(revision, resources(answer or f"answer {revision}"))
    store.promote(store.stage(*parts))


def test_without_bundles_there_is_no_last_good_one(store: BundleStore) -> None:
    assert store.last_good() is None
    assert not store.content()


def test_a_staged_bundle_is_not_good_until_it_served(store: BundleStore, signer: Signer) -> None:
    serve(store, signer, 1)
    staged = store.stage(*signer.parts(2, resources("new")))
    last = store.last_good()
    assert last is not None
    assert last.revision == 1
    store.promote(staged)
    last = store.last_good()
    assert last is not None
    assert last == staged


def test_the_last_good_one_and_those_before_it_are_kept(store: BundleStore, signer: Signer) -> None:
    for revision in range(1, 8):
        serve(store, signer, revision)
    assert [one.revision for one in store.good()] == [7, 6, 5, 4]
    assert KEPT == 3


def test_an_older_revision_that_was_served_last_is_the_last_good_one(
    store: BundleStore, signer: Signer
) -> None:
    for revision in (1, 2, 1):
        serve(store, signer, revision)
    assert [one.revision for one in store.good()] == [1, 2, 1]


def test_serving_the_last_good_one_again_keeps_those_before_it(
    store: BundleStore, signer: Signer
) -> None:
    for revision in (1, 2, 2, 2, 2, 2):
        serve(store, signer, revision, answer=f"answer {revision}")
    assert [one.revision for one in store.good()] == [2, 1]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "noise"])
def test_a_damaged_bundle_is_skipped_with_its_reason(
    store: BundleStore, signer: Signer, tmp_path: Path, damage: str
) -> None:
    serve(store, signer, 1)
    serve(store, signer, 2)
    path = max((tmp_path / "bundles").iterdir())
    content = path.read_bytes()
    at = content.index(b"answer 2")
    damaged = {
        "cut": content[:at],
        "flipped": content[:at] + b"Answer" + content[at + 6 :],
        "empty": b"",
        "noise": bytes(range(256)) * 20,
    }
    path.write_bytes(damaged[damage])
    last = store.last_good()
    assert last is not None
    assert last.revision == 1
    assert list(store.skipped) == [path.name]
    assert store.skipped[path.name]


def test_a_bundle_of_another_master_is_skipped(tmp_path: Path, signer: Signer) -> None:
    other = BundleStore(tmp_path / "bundles", Signer().verify)
    serve(BundleStore(tmp_path / "bundles", signer.verify), signer, 1)
    assert other.last_good() is None
    assert "not signed by the master" in next(iter(other.skipped.values()))


def test_damaged_bundles_do_not_push_out_good_ones(
    store: BundleStore, signer: Signer, tmp_path: Path
) -> None:
    for revision in range(1, 5):
        serve(store, signer, revision)
    for path in sorted((tmp_path / "bundles").iterdir())[1:]:
        path.write_bytes(b"")
    for revision in range(5, 8):
        serve(store, signer, revision)
    assert [one.revision for one in store.good()] == [7, 6, 5, 1]


def test_content_that_is_missing_or_wrong_is_refused(store: BundleStore, signer: Signer) -> None:
    raw, signature, content = signer.parts(1, resources("one"))
    name = next(iter(content))
    with pytest.raises(DamagedBundleError, match="is missing"):
        store.stage(raw, signature, {})
    with pytest.raises(DamagedBundleError, match="not what the manifest names"):
        store.stage(raw, signature, {**content, name: content[name][:-1] + b"]"})
    with pytest.raises(DamagedBundleError, match="not signed"):
        store.stage(raw.replace(b"edge", b"hole"), signature, content)
    assert store.last_good() is None


def test_only_the_user_of_the_node_may_read_bundles(
    store: BundleStore, signer: Signer, tmp_path: Path
) -> None:
    parts = signer.parts(1, resources("one"), {"site.key": b"a key"})
    store.promote(store.stage(*parts))
    assert stat.S_IMODE((tmp_path / "bundles").stat().st_mode) == 0o700
    for path in (tmp_path / "bundles").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_write_that_was_cut_off_changes_nothing(
    store: BundleStore, signer: Signer, tmp_path: Path
) -> None:
    serve(store, signer, 1)
    (tmp_path / "bundles" / "staged.tar.new").write_bytes(b"half")
    (tmp_path / "bundles" / "staged.tar").write_bytes(b"half")
    last = store.last_good()
    assert last is not None
    assert last.revision == 1
    serve(store, signer, 2)
    assert [one.revision for one in store.good()] == [2, 1]


def test_content_of_good_bundles_need_not_be_fetched(store: BundleStore, signer: Signer) -> None:
    serve(store, signer, 1)
    _, _, content = signer.parts(2, resources("answer 1"))
    assert content.items() <= store.content().items()


def test_an_archive_holds_the_bundle(signer: Signer) -> None:
    bundle = signer.bundle(3, resources("x"), {"a.key": b"secret"})
    assert unpacked(packed(bundle), signer.verify) == bundle
    assert bundle.file("secrets/a.key") == b"secret"
    assert bundle.file("secrets/b.key") is None
