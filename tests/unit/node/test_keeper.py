"""A data plane's certificate of the fleet's CA: had once, renewed in time, kept meanwhile."""

import asyncio
from pathlib import Path

import loops
import pytest
from fleet_ends import FleetEnds, now

from headgate.certificates.authority import new_csr
from headgate.node.agent.counterpart import Counterpart
from headgate.node.agent.enrolling import EnrolmentError
from headgate.node.agent.office import PeerState
from headgate.node.gate.keeper import EnrolmentRefusedError, Keeper, keeper_of
from headgate.node.remote.identity import Known, read_known
from headgate.providers.master.identity import Identity, IdentityStore


class Office:
    """A master that issues, unless it is to fail."""

    def __init__(self, ends: FleetEnds, store: IdentityStore) -> None:
        self.ends, self.store = ends, store
        self.error: EnrolmentError | None = None
        self.is_outdated = False
        self.key = "sha256:1"
        self.issued = 0

    async def enrol(self) -> Identity:
        return self._issued()

    async def renew(self, identity: Identity) -> Identity:
        assert identity.agent == "a"
        return self._issued()

    async def peer(self, identity: Identity) -> PeerState:
        del identity
        self._fail()
        return PeerState(self.ends.authority.pem.decode(), self.is_outdated, self.key, [])

    def _issued(self) -> Identity:
        self._fail()
        self.issued += 1
        pem = self.ends.authority.data_plane(new_csr(self.store.key()), "a", now()).decode()
        return Identity("a", "https://m.test", pem, self.ends.authority.pem.decode(), ())

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


class Stage:
    """A keeper, its master and a clock."""

    def __init__(self, folder: Path) -> None:
        self.store = IdentityStore(folder / "dp")
        self.office = Office(FleetEnds(folder), self.store)
        self.time = now().timestamp()
        counterpart = Counterpart(self.office, self.store)
        self.keeper = Keeper(self.office, self.store, counterpart, lambda: self.time)

    async def begun(self) -> None:
        """Runs the keeper until it waits."""
        task = asyncio.ensure_future(self.keeper.run())
        while self.store.identity() is None or read_known(self.store.folder) is None:
            await asyncio.wait([task], timeout=0.01)
            if task.done():
                task.result()
        task.cancel()


def test_a_data_plane_enrols_once_and_knows_its_control_plane(tmp_path: Path) -> None:
    stage = Stage(tmp_path)

    async def play() -> None:
        await stage.begun()
        assert stage.office.issued == 1
        assert read_known(stage.store.folder) == Known("sha256:1", [])
        await stage.begun()
        assert stage.office.issued == 1, "it has its identity already"

    loops.run(play())


def test_a_clock_that_is_behind_renews_while_the_certificate_counts_at_the_master(
    tmp_path: Path,
) -> None:
    stage = Stage(tmp_path)

    async def play() -> None:
        await stage.begun()
        found = stage.store.identity()
        assert found is not None
        stage.keeper._due = Keeper.due(found)
        stage.time = found.not_before - (found.not_after - found.not_before) * 0.08
        assert await stage.keeper.look(found) == found, "it is in time by its two thirds"
        stage.time = found.not_before - 9 * 3600
        for _ in range(20):
            found = await stage.keeper.look(found)
        assert stage.office.issued == 2

    loops.run(play())


def test_certificates_are_renewed_between_a_half_and_two_thirds_of_their_life(
    tmp_path: Path,
) -> None:
    stage = Stage(tmp_path)

    async def play() -> None:
        await stage.begun()
        first = stage.store.identity()
        assert first is not None
        life = first.not_after - first.not_before
        dues = {(Keeper.due(first) - first.not_before) / life for _ in range(200)}
        assert len(dues) > 100 and min(dues) >= 0.5 and max(dues) <= 2 / 3
        stage.time = first.not_before + life * 0.49
        assert await stage.keeper.look(first) == first
        stage.time = first.not_before + life * 0.67
        second = await stage.keeper.look(first)
        assert second.certificate != first.certificate
        assert stage.store.identity() == second

    loops.run(play())


def test_a_clock_that_is_ahead_does_not_renew_at_each_look(tmp_path: Path) -> None:
    stage = Stage(tmp_path)

    async def play() -> None:
        await stage.begun()
        identity = stage.store.identity()
        assert identity is not None
        true = stage.time
        stage.time += 17 * 3600.0
        for _ in range(20):
            identity = await stage.keeper.look(identity)
            stage.time += 5.0
        assert stage.office.issued == 2
        stage.time += 3 * 3600.0
        identity = await stage.keeper.look(identity)
        assert stage.office.issued == 3
        # The clock is corrected: the life of the newest certificate counts.
        stage.time = true + 8 * 3600.0
        assert await stage.keeper.look(identity) == identity
        stage.time = true + 16 * 3600.0
        await stage.keeper.look(identity)
        assert stage.office.issued == 4

    loops.run(play())


def test_the_last_certificate_stays_while_the_master_is_away(tmp_path: Path) -> None:
    stage = Stage(tmp_path)

    async def play() -> None:
        await stage.begun()
        first = stage.store.identity()
        assert first is not None
        stage.time = first.not_after
        stage.office.error = EnrolmentError("nobody answers", is_final=False)
        assert await stage.keeper.look(first) == first
        assert stage.keeper.error == "the certificate was not renewed: nobody answers"
        assert stage.store.identity() == first
        assert read_known(stage.store.folder) == Known("sha256:1", [])
        stage.office.error = None
        assert await stage.keeper.look(first) != first
        assert stage.keeper.error == ""

    loops.run(play())


def test_a_rotation_of_the_authority_renews_at_once(tmp_path: Path) -> None:
    stage = Stage(tmp_path)

    async def play() -> None:
        await stage.begun()
        first = stage.store.identity()
        assert first is not None
        assert await stage.keeper.look(first) == first
        stage.office.is_outdated = True
        second = await stage.keeper.look(first)
        assert second != first
        stage.office.is_outdated = False
        stage.office.ends = FleetEnds(tmp_path)
        third = await stage.keeper.look(second)
        assert third.ca != second.ca
        assert await stage.keeper.look(third) == third

    loops.run(play())


def test_a_revoked_control_plane_is_written_down(tmp_path: Path) -> None:
    stage = Stage(tmp_path)

    async def play() -> None:
        await stage.begun()
        identity = stage.store.identity()
        assert identity is not None
        stage.office.key = ""
        await stage.keeper.look(identity)
        assert read_known(stage.store.folder) == Known("", [])

    loops.run(play())


@pytest.mark.parametrize("damage", [b"", None])
def test_a_last_word_that_was_lost_is_written_down_again(
    tmp_path: Path, damage: bytes | None
) -> None:
    stage = Stage(tmp_path)

    async def play() -> None:
        await stage.begun()
        identity = stage.store.identity()
        assert identity is not None
        file = stage.store.folder / "peer.json"
        file.unlink()
        if damage is not None:
            file.write_bytes(damage)
        await stage.keeper.look(identity)
        assert read_known(stage.store.folder) == Known("sha256:1", [])

    loops.run(play())


def test_a_refused_token_and_a_damaged_identity_end_it_with_words(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.office.error = EnrolmentError("this join token is used up", is_final=True)
    with pytest.raises(EnrolmentRefusedError, match="has not enrolled: this join token is used up"):
        loops.run(stage.keeper.run())
    stage.store.folder.mkdir(parents=True, exist_ok=True)
    (stage.store.folder / "identity.json").write_text("{")
    with pytest.raises(EnrolmentRefusedError, match="enrol again with a new token"):
        loops.run(stage.keeper.run())
    with pytest.raises(EnrolmentRefusedError, match="TLS"):
        keeper_of("http://m.test", tmp_path)
