"""The approvals that a fleet asks for: of its rollouts, and in place of publishing at once."""

import pytest
from master_world import LISTENER, Answer, World
from rollout_driver import driver_of

from headgate.master.domains.rollouts.driver import Driver

W = "/workspaces/default"


class Fleet:
    """A fleet without agents whose policy asks for one approval, and its first revision."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ann = world.set_up()
        self.bob = world.invite(self.ann, "bob", "approver")
        body = {"name": "edge", "policies": {"approvals": 1}}
        assert self.ask("POST", "fleets", body).status == 201
        self.ask("PUT", "resources/listeners/web", {"spec": LISTENER})
        made = self.publish(is_served=False)
        assert made.status == 201, made.text
        self.revision = made["id"]
        self.driver: Driver = driver_of(world)

    def ask(self, method: str, path: str, body: object = None, token: str = "") -> Answer:
        return self.world.ask(method, f"{W}/{path}", body, token or self.ann)

    def policies(self, **changed: object) -> dict[str, object]:
        """Changes policies; returns what they are then."""
        answer = self.ask("PATCH", "fleets/edge", {"policies": changed})
        assert answer.status == 200, answer.text
        found = answer.json["policies"]
        assert isinstance(found, dict)
        return found

    def publish(self, **more: object) -> Answer:
        return self.ask("POST", "revisions", {"fleet": "edge"} | more)

    def publish_again(self) -> Answer:
        return self.ask("POST", f"revisions/{self.revision}/publish", {})

    def begin(self, **more: object) -> Answer:
        made = self.ask("POST", "rollouts", {"fleet": "edge", "revision": 1} | more)
        assert made.status == 201, made.text
        return made

    def look(self) -> None:
        self.world.advance(seconds=5)
        self.world.runner.run(self.driver.tick())

    def approve(self, rollout: Answer, token: str) -> Answer:
        return self.ask("POST", f"rollouts/{rollout['id']}/approvals", token=token)

    def token(self, name: str, role: str, maker: str) -> str:
        """Makes an API token; returns its secret."""
        body = {"name": name, "role": role}
        made = self.world.ask("POST", "/tokens", body, maker)
        assert made.status == 201, made.text
        return made["secret"]

    def standing(self, rollout: Answer) -> tuple[object, object]:
        """What it does, and how many approvals it needs."""
        shown = self.ask("GET", f"rollouts/{rollout['id']}").json
        return shown["status"], shown["approvals_needed"]


@pytest.fixture
def fleet(world: World) -> Fleet:
    return Fleet(world)


def test_a_change_of_other_policies_does_not_end_the_approvals(fleet: Fleet) -> None:
    assert fleet.policies(drift="report")["approvals"] == 1
    assert fleet.policies(approvals=2)["drift"] == "report"
    renamed = fleet.ask("PATCH", "fleets/edge", {"labels": {"env": "prod"}}).json["policies"]
    assert isinstance(renamed, dict)
    assert renamed["approvals"] == 2
    usual = fleet.policies(approvals=0, drift="node")
    assert fleet.ask("POST", "fleets", {"name": "core"}).json["policies"] == usual


def test_only_an_administrator_sets_them_and_only_so_many(fleet: Fleet) -> None:
    body = {"policies": {"approvals": 0}}
    assert fleet.ask("PATCH", "fleets/edge", body, fleet.bob).status == 403
    for wrong in (-1, 11, "many"):
        refused = fleet.ask("PATCH", "fleets/edge", {"policies": {"approvals": wrong}})
        assert (refused.status, refused["path"]) == (422, "$.policies.approvals")


@pytest.mark.parametrize(
    ("more", "needed"),
    [
        ({}, 1),
        ({"approvals": 1}, 1),
        ({"approvals": 2}, 2),
        ({"is_now": True}, 1),
        ({"kind": "certificates"}, 1),
        ({"kind": "revocation"}, 1),
    ],
)
def test_every_rollout_waits_for_as_many_as_it_or_its_fleet_asks_for(
    fleet: Fleet, more: dict[str, object], needed: int
) -> None:
    rollout = fleet.begin(**more)
    assert fleet.standing(rollout) == ("queued", needed)
    fleet.look()
    assert fleet.standing(rollout) == ("waiting", needed)
    refused = fleet.approve(rollout, fleet.ann)
    assert (refused.status, refused["type"]) == (409, "urn:headgate:problem:conflict")
    fleet.approve(rollout, fleet.bob)
    if needed > 1:
        fleet.look()
        assert fleet.standing(rollout) == ("waiting", needed)
        fleet.approve(rollout, fleet.world.invite(fleet.ann, "cyd", "approver"))
    fleet.look()
    assert fleet.standing(rollout) == ("succeeded", needed)


def test_a_token_is_not_a_person_who_approves(fleet: Fleet) -> None:
    rollout = fleet.begin()
    fleet.look()
    token = fleet.token("bot", "approver", fleet.ann)
    refused = fleet.approve(rollout, token)
    assert (refused.status, refused["type"]) == (403, "urn:headgate:problem:forbidden")
    assert "people approve rollouts" in refused["detail"]
    assert fleet.standing(rollout) == ("waiting", 1)


def test_who_made_the_token_is_an_author_of_what_it_begins(fleet: Fleet) -> None:
    mine = fleet.token("ci", "admin", fleet.ann)
    for token in (mine, fleet.token("bob", "operator", mine)):
        made = fleet.ask("POST", "rollouts", {"fleet": "edge", "revision": 1}, token)
        assert made.status == 201, made.text
        fleet.look()
        refused = fleet.approve(made, fleet.ann)
        assert (refused.status, refused["type"]) == (409, "urn:headgate:problem:conflict")
        assert fleet.approve(made, fleet.bob).status == 200, "a token may have the person's name"
        fleet.look()
        assert fleet.standing(made) == ("succeeded", 1)


def test_a_policy_that_is_raised_counts_for_what_has_not_begun(fleet: Fleet) -> None:
    fleet.policies(approvals=0)
    rollout = fleet.begin()
    assert fleet.standing(rollout) == ("queued", 0)
    fleet.policies(approvals=1)
    fleet.look()
    assert fleet.standing(rollout) == ("waiting", 1)
    fleet.policies(approvals=2)
    fleet.approve(rollout, fleet.bob)
    assert fleet.standing(rollout) == ("waiting", 2)
    fleet.policies(approvals=0)
    fleet.look()
    assert fleet.standing(rollout) == ("waiting", 2)
    newer = fleet.begin()
    assert fleet.standing(rollout) == ("superseded", 2)
    fleet.look()
    assert fleet.standing(newer) == ("succeeded", 0)


def test_nothing_is_published_past_the_approvals(fleet: Fleet) -> None:
    why = (
        "rollouts of the fleet need 1 approvals; publish with is_served false, and begin a rollout"
    )
    for refused in (fleet.publish(), fleet.publish(is_served=True), fleet.publish_again()):
        assert (refused.status, refused["type"]) == (409, "urn:headgate:problem:conflict")
        assert refused["detail"].startswith(why)
    assert len(fleet.ask("GET", "revisions").items) == 1
    assert fleet.ask("GET", "fleets/edge").json["revision"] is None
    assert fleet.publish(is_served=False).status == 201
    fleet.policies(approvals=0)
    assert (fleet.publish().status, fleet.publish_again().status) == (201, 201)
    assert fleet.ask("GET", "fleets/edge").json["revision"] == 4
