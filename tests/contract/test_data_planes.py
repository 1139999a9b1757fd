"""Data planes at the master: whose token makes one, who stays one, what both ends are told; both
databases."""

import base64

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from master_world import PASSWORD, Answer, World
from said_agent import Agent, W

from headgate.certificates import identity
from headgate.certificates.authority import new_csr, new_key, pin
from headgate.fleet.signing import sign_challenge
from headgate.master.domains.enrolment.service import RENEWALS_PER_MINUTE
from headgate.master.fleet.book import AgentFacts, EnrolmentRefusedError

PATH = "/enrolment/data-plane"


@pytest.fixture
def admin(world: World) -> str:
    """A master with a fleet; the administrator's token."""
    token = world.set_up()
    made = world.ask("POST", f"{W}/fleets", {"name": "edge"}, token)
    assert made.status == 201, made.text
    return token


@pytest.fixture
def agent(world: World, admin: str) -> Agent:
    """The control plane."""
    return Agent(world, admin)


def token_of(world: World, admin: str, agent: Agent, **more: object) -> str:
    """A join token of the agent's data plane."""
    body = {"fleet": "edge", "data_plane_of": agent.id, **more}
    made = world.ask("POST", f"{W}/join-tokens", body, admin)
    assert made.status == 201, made.text
    return made["token"]


class Plane:
    """A data plane."""

    def __init__(self, world: World, token: str) -> None:
        self.world, self.key = world, new_key()
        self.take(self.enrol(token))

    def enrol(self, token: str) -> Answer:
        body = {"token": token, "csr": new_csr(self.key).decode(), "hostname": "dp-1"}
        return self.world.ask("POST", PATH, body)

    def take(self, answer: Answer) -> None:
        assert answer.status == 200, answer.text
        self.agent, self.pem = answer["agent"], answer["certificate"]
        self.authorities = answer["authorities"]

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.pem.encode())

    def renew(self, path: str = PATH, *, has_new_key: bool = False) -> Answer:
        csr = new_csr(new_key() if has_new_key else self.key).decode()
        signature = base64.b64encode(sign_challenge(self.key, self.agent, csr.encode()))
        body = {"certificate": self.pem, "csr": csr, "signature": signature.decode()}
        return self.world.ask("POST", f"{path}/renewal", body)

    def peer(self) -> Answer:
        return self.world.ask("POST", "/enrolment/peer", {"certificate": self.pem})


def peer_of(world: World, agent: Agent) -> Answer:
    """What the agent is told of its data plane."""
    body = {"certificate": agent.given.certificate_pem.decode()}
    return world.ask("POST", "/enrolment/peer", body)


def key_of(agent: Agent) -> str:
    return pin(x509.load_pem_x509_certificate(agent.given.certificate_pem))


def kind(answer: Answer) -> str:
    return answer["type"].rpartition(":")[2]


def test_a_data_plane_gets_a_certificate_that_names_its_agent_and_serves_only(
    world: World, admin: str, agent: Agent
) -> None:
    plane = Plane(world, token_of(world, admin, agent))
    assert plane.agent == agent.id == identity.data_plane_of(plane.certificate)
    assert identity.agent_of(plane.certificate) is None
    usage = plane.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    shown = world.ask("GET", f"{W}/agents/{agent.id}/data-plane", token=admin)
    assert (shown["name"], shown["agent"]) == ("dp-1", agent.id)
    assert shown["certificate_serial"] == identity.serial_of(plane.certificate)


def test_a_token_makes_what_it_was_made_for_and_nothing_else(
    world: World, admin: str, agent: Agent
) -> None:
    token = token_of(world, admin, agent)
    body = {"token": token, "csr": new_csr(new_key()).decode()}
    refused = world.ask("POST", "/enrolment", body)
    assert (refused.status, kind(refused)) == (401, "enrolment-kind")
    assert "headgate dataplane" in refused["detail"]
    other = world.ask("POST", f"{W}/join-tokens", {"fleet": "edge"}, admin)["token"]
    refused = world.ask("POST", PATH, body | {"token": other})
    assert (refused.status, kind(refused)) == (401, "enrolment-kind")
    assert Plane(world, token).agent == agent.id, "neither has cost a use"


def test_a_token_needs_an_agent_of_its_fleet(world: World, admin: str, agent: Agent) -> None:
    assert world.ask("POST", f"{W}/fleets", {"name": "far"}, admin).status == 201
    for fleet, wanted in (("far", agent.id), ("edge", "01ARZ3NDEKTSV4RRFFQ69G5FAV")):
        body = {"fleet": fleet, "data_plane_of": wanted}
        refused = world.ask("POST", f"{W}/join-tokens", body, admin)
        assert refused.status == 422 and "no such agent" in refused["detail"]


def test_a_used_token_serves_the_same_key_again_and_no_other(
    world: World, admin: str, agent: Agent
) -> None:
    token = token_of(world, admin, agent)
    plane = Plane(world, token)
    assert plane.enrol(token).status == 200, "the first answer may have been lost"
    plane.key = new_key()
    assert kind(plane.enrol(token)) == "enrolment-used-up"


def test_a_data_plane_gets_so_many_certificates_a_minute_and_its_agent_as_many(
    world: World, admin: str, agent: Agent
) -> None:
    plane = Plane(world, token_of(world, admin, agent))
    for _ in range(RENEWALS_PER_MINUTE):
        assert plane.renew().status == 200
    refused = plane.renew()
    assert (refused.status, kind(refused)) == (429, "throttled")
    agent.renew()
    world.advance(minutes=1)
    assert plane.renew().status == 200


def test_a_data_plane_renews_by_its_key_and_keeps_it(
    world: World, admin: str, agent: Agent
) -> None:
    plane = Plane(world, token_of(world, admin, agent))
    assert kind(plane.renew(has_new_key=True)) == "enrolment-csr"
    assert kind(plane.renew("/enrolment")) == "enrolment-certificate", "it is no agent"
    old = plane.pem
    plane.take(plane.renew())
    assert plane.pem != old
    assert identity.data_plane_of(plane.certificate) == agent.id
    plane.pem = agent.given.certificate_pem.decode()
    plane.key = agent.key
    assert kind(plane.renew()) == "enrolment-certificate", "an agent is no data plane"


def test_a_data_plane_comes_back_by_its_old_key_for_thirty_days(
    world: World, admin: str, agent: Agent
) -> None:
    plane = Plane(world, token_of(world, admin, agent))
    world.advance(days=30)
    plane.take(plane.renew())
    world.advance(days=32)
    refused = plane.renew()
    assert kind(refused) == "enrolment-approval" and "join token" in refused["detail"]


def test_a_data_plane_comes_back_only_from_where_its_token_may_be_used(
    world: World, admin: str, agent: Agent
) -> None:
    token = token_of(world, admin, agent, addresses=["10.0.0.0/8"]).partition(".")[0]
    planes, run = world.master.data_planes, world.runner.run
    key = new_key()
    csr = new_csr(key)
    given = run(planes.enrol(token, csr, AgentFacts("dp-1", "1"), "10.0.0.1"))
    signature = sign_challenge(key, given.agent, csr)
    world.advance(days=2)
    with pytest.raises(EnrolmentRefusedError, match=r"may not come back from 192\.0\.2\.1"):
        run(planes.renew(given.certificate.encode(), csr, signature, "192.0.2.1"))
    assert run(planes.renew(given.certificate.encode(), csr, signature, "10.9.9.9"))


def test_another_data_plane_takes_the_place_and_the_first_one_is_none_any_more(
    world: World, admin: str, agent: Agent
) -> None:
    first = Plane(world, token_of(world, admin, agent))
    assert peer_of(world, agent)["key"] == pin(first.certificate)
    second = Plane(world, token_of(world, admin, agent))
    assert peer_of(world, agent)["key"] == pin(second.certificate)
    assert kind(first.renew()) == "enrolment-revoked"
    assert kind(first.peer()) == "enrolment-revoked"
    assert second.renew().status == 200


def test_both_ends_learn_of_revocations(world: World, admin: str, agent: Agent) -> None:
    assert peer_of(world, agent)["key"] == "", "there is no data plane yet"
    plane = Plane(world, token_of(world, admin, agent))
    assert plane.peer()["key"] == key_of(agent)
    assert plane.peer().json["revoked"] == []
    path = f"{W}/agents/{agent.id}"
    world.ask("POST", f"{path}/certificates/abc/revocation", None, admin)
    assert plane.peer().json["revoked"] == ["abc"]
    assert world.ask("DELETE", f"{path}/data-plane", None, admin).status == 204
    assert peer_of(world, agent)["key"] == ""
    assert kind(plane.renew()) == "enrolment-revoked"
    assert world.ask("DELETE", f"{path}/data-plane", None, admin).status == 404
    again = Plane(world, token_of(world, admin, agent))
    world.ask("POST", f"{path}/revocation", None, admin)
    assert again.peer()["key"] == ""
    assert kind(again.renew()) == "enrolment-revoked"
    assert kind(peer_of(world, agent)) == "enrolment-revoked"


def test_a_data_plane_ends_with_its_agent(world: World, admin: str, agent: Agent) -> None:
    plane = Plane(world, token_of(world, admin, agent))
    token = token_of(world, admin, agent)
    assert world.ask("DELETE", f"{W}/agents/{agent.id}", None, admin).status == 204
    assert kind(plane.renew()) == "enrolment-revoked"
    assert kind(plane.enrol(token)) == "enrolment-revoked"


def test_a_rotation_waits_until_data_planes_have_and_show_their_next_certificate(
    world: World, admin: str, agent: Agent
) -> None:
    plane = Plane(world, token_of(world, admin, agent))
    assert plane.peer().json["is_outdated"] is False

    def step(name: str) -> Answer:
        return world.ask("POST", "/master/authority/rotation", {"step": name}, admin)

    def follow() -> None:
        agent.renew()
        agent.beat()

    assert step("announce").json["waiting"] == 2
    follow()
    refused = step("switch")
    assert refused.status == 409 and "the data plane of node-1" in refused["detail"]
    assert plane.peer()["authorities"] != plane.authorities
    plane.take(plane.renew())
    assert step("switch").status == 409, "the answer may have been lost"
    assert plane.peer()["authorities"] == plane.authorities
    assert step("switch").status == 200
    assert plane.peer().json["is_outdated"] is True
    follow()
    plane.take(plane.renew())
    assert plane.peer().json["is_outdated"] is False
    assert step("finish").status == 200


def test_a_data_plane_that_is_away_for_good_holds_no_rotation_up(
    world: World, admin: str, agent: Agent
) -> None:
    Plane(world, token_of(world, admin, agent))
    world.advance(days=32)
    body = {"name": "ann", "password": PASSWORD}
    admin = world.ask("POST", "/auth/login", body)["access_token"]
    body = {"step": "announce"}
    assert world.ask("POST", "/master/authority/rotation", body, admin).json["waiting"] == 0
