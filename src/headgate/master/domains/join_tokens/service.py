"""The rules of join tokens."""

import hmac
import ipaddress

from headgate.master.api.problems import invalid, not_found
from headgate.master.domains.agents import store as agents
from headgate.master.domains.fleets import store as fleets
from headgate.master.domains.join_tokens import store
from headgate.master.domains.join_tokens.types import JoinToken, MadeJoinToken, NewJoinToken
from headgate.master.fleet.book import EnrolmentRefusedError
from headgate.master.ids import digest_of, new_id, new_secret
from headgate.master.store.transaction import Transaction

_HOUR_MS = 3_600_000


async def create(
    tx: Transaction, new: NewJoinToken, made_by: str, pin: str, now_ms: int
) -> MadeJoinToken:
    """Makes a join token; `pin` is of the CA whose certificate the REST API shows, if it does."""
    fleet = await fleets.named(tx, new.fleet)
    if fleet is None:
        raise invalid("$.fleet", "no such fleet here", "write the id or name of a fleet")
    if new.data_plane_of is not None:
        await _require_agent(tx, new.data_plane_of, fleet.id)
    secret = new_secret("j")
    one = JoinToken(
        id=new_id(now_ms),
        version=1,
        fleet=fleet.id,
        labels=new.labels,
        uses=new.uses,
        used=0,
        addresses=new.addresses,
        data_plane_of=new.data_plane_of,
        created_by=made_by,
        created_at=now_ms,
        expires_at=now_ms + new.hours * _HOUR_MS,
        revoked_at=None,
    )
    await store.insert(tx, one, digest_of(secret))
    token = f"{secret}.{pin}" if pin else secret
    return MadeJoinToken(**one.model_dump(), token=token)


async def _require_agent(tx: Transaction, agent_id: str, fleet_id: str) -> None:
    agent = await agents.find(tx, agent_id)
    if agent is None or agent.fleet != fleet_id or agent.revoked_at is not None:
        raise invalid(
            "$.data_plane_of",
            "no such agent in this fleet, or it was revoked",
            "write the id of the agent that is the control plane; it enrols first",
        )


async def revoke(tx: Transaction, token_id: str, now_ms: int) -> None:
    """Ends a join token at once; agents that enrolled with it stay."""
    if await store.find(tx, token_id) is None:
        raise not_found("join token", token_id)
    await store.revoke(tx, token_id, now_ms)


async def held(tx: Transaction, secret: str) -> store.JoinTokenRow | None:
    """Returns the join token of a secret, good or not."""
    digest = digest_of(secret)
    found = await store.held(tx, digest)
    # The search itself is by digest; what it found is compared in constant time.
    return found if found is not None and hmac.compare_digest(found.digest, digest) else None


def refusal(token: store.JoinTokenRow, address: str, now_ms: int) -> EnrolmentRefusedError | None:
    """Returns why the token may not be used now from there; None: it may, if it has uses left."""
    if token.revoked_at is not None:
        return EnrolmentRefusedError("revoked", "this join token was revoked; ask for another one")
    if now_ms >= token.expires_at:
        return EnrolmentRefusedError("expired", "this join token has expired; ask for another one")
    if not is_allowed(token.addresses, address):
        return EnrolmentRefusedError(
            "address", f"this join token may not be used from {address}; ask for one for this node"
        )
    return None


def is_allowed(addresses: str, address: str) -> bool:
    """Says whether one of the networks that a token names has the address; it may name none."""
    networks = [ipaddress.ip_network(one) for one in addresses.split()]
    return not networks or any(_is_in(address, network) for network in networks)


def used_up() -> EnrolmentRefusedError:
    """Returns the refusal of a token without uses left."""
    return EnrolmentRefusedError("used-up", "this join token is used up; ask for another one")


def _is_in(address: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found) in network
