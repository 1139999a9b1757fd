"""Canonical bytes and the digest tree, against vectors that the core tests too."""

import json
from hashlib import sha256
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.json import decode

from headgate.kernel.ids import ObjectName
from headgate.plan.digest import DigestTree, bucket_of, object_digest
from headgate.plan.kinds import KINDS, Kind, ObjectKey

VECTORS = Path(__file__).parents[2] / "golden" / "digests.json"


class Change(Struct):
    """A change of a vector; no bytes = delete."""

    kind: Kind
    name: str
    canonical: str | None = None
    digest: str | None = None


class Step(Struct):
    """Changes and the root after them."""

    changes: list[Change]
    root: str


def test_the_vectors_hold() -> None:
    tree = DigestTree()
    for step in decode(VECTORS.read_bytes(), type=list[Step]):
        changes = []
        for change in step.changes:
            digest = None
            if change.canonical is not None:
                digest = object_digest(change.kind, change.name, change.canonical.encode())
                assert digest.hex() == change.digest
            changes.append((ObjectKey(change.kind, change.name), digest))  # type: ignore[arg-type]
        tree = tree.applied(changes)
        assert tree.root.hex() == step.root


def test_the_vectors_cover_every_kind_and_a_deletion() -> None:
    changes = [c for step in json.loads(VECTORS.read_text()) for c in step["changes"]]
    assert {change["kind"] for change in changes} == set(KINDS)
    assert any(change.get("canonical") is None for change in changes)


keys = st.builds(
    ObjectKey,
    st.sampled_from(KINDS),
    st.text(min_size=1, max_size=3).map(ObjectName),
)
digests = st.binary(min_size=1, max_size=2).map(lambda b: sha256(b).digest())
plans = st.dictionaries(keys, digests, max_size=30)


@given(plans, plans)
def test_the_root_depends_on_what_is_there_not_on_how_it_came(
    first: dict[ObjectKey, bytes], then: dict[ObjectKey, bytes]
) -> None:
    direct = DigestTree().applied(then.items())  # type: ignore[arg-type]
    changes = [*((k, None) for k in first if k not in then), *then.items()]
    detour = DigestTree().applied(first.items()).applied(changes)  # type: ignore[arg-type]
    assert detour.root == direct.root
    assert (direct.root == DigestTree().applied(first.items()).root) == (first == then)  # type: ignore[arg-type]


@given(plans, plans)
def test_differing_names_exactly_what_differs(
    first: dict[ObjectKey, bytes], then: dict[ObjectKey, bytes]
) -> None:
    one, other = DigestTree().applied(first.items()), DigestTree().applied(then.items())  # type: ignore[arg-type]
    assert one.differing(other) == {
        key for key in first.keys() | then.keys() if first.get(key) != then.get(key)
    }


def test_buckets_spread() -> None:
    names = {bucket_of(ObjectKey("route", f"r{n}")) for n in range(4_000)}  # type: ignore[arg-type]
    assert len(names) == 256
