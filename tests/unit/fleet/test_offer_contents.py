"""What an offer brings along is taken as what an agent fetches is."""

import fleet_parts as parts
from told_agent import live

from headgate.fleet import chunk_codec
from headgate.fleet import frames as fr


def brought(revision: int, *fewer: str) -> bytes:
    """What an offer of this revision brings along, without the blobs that are named."""
    blobs = {sha: body for sha, body in parts.blobs(revision).items() if sha not in fewer}
    chunks = (fr.Chunk(sha, 0, len(body), body) for sha, body in blobs.items())
    return chunk_codec.encode(fr.Chunks(tuple(chunks)))


def test_what_an_offer_brings_along_is_not_fetched() -> None:
    agent = live()
    agent.hear(parts.offer(1, 7, contents=brought(7)))
    assert agent.phases() == [(fr.Phase.RECEIVED, 7)]
    assert agent.disk.whole == parts.blobs(7)
    assert [one.manifest.revision for one in agent.applied] == [7]


def test_what_an_offer_does_not_bring_along_is_fetched() -> None:
    agent = live()
    left = next(iter(parts.blobs(7)))
    agent.hear(parts.offer(1, 7, contents=brought(7, left)))
    _, fetch = agent.take()
    assert fetch == fr.Fetch((fr.Want(left, 0),))
    assert agent.applied == []
    body = parts.blobs(7)[left]
    agent.hear(fr.Chunks((fr.Chunk(left, 0, len(body), body),)))
    assert [one.manifest.revision for one in agent.applied] == [7]


def test_spoilt_contents_of_an_offer_are_fetched_again() -> None:
    agent = live()
    blobs = parts.blobs(7)
    spoilt = next(iter(blobs))
    chunks = [
        fr.Chunk(sha, 0, len(body), b"x" * len(body) if sha == spoilt else body)
        for sha, body in blobs.items()
    ]
    agent.hear(parts.offer(1, 7, contents=chunk_codec.encode(fr.Chunks(tuple(chunks)))))
    assert agent.take()[-1] == fr.Fetch((fr.Want(spoilt, 0),))
    assert agent.applied == []


def test_an_offer_that_brings_what_nobody_can_read_is_refused_for_now() -> None:
    agent = live()
    agent.hear(parts.offer(1, 7, contents=b"\xff\xff"))
    said = agent.take()[-1]
    assert isinstance(said, fr.Report)
    assert said.phase is fr.Phase.REJECTED
    assert said.fault is not None
    assert (said.fault.code, said.fault.is_transient) == ("contents", True)
