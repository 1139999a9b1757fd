"""The keys that sign access tokens: Ed25519, made here, sealed at rest, rotated."""

import json
from typing import Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jws import extract_compact
from pydantic import BaseModel

from headgate.master.domains.enrolment.sealing import sealing
from headgate.master.domains.sessions import store
from headgate.master.ids import Clock, new_id
from headgate.master.store.database import Database
from headgate.master.store.scope import MASTER
from headgate.master.store.sealing import Sealer
from headgate.master.store.transaction import Transaction

ACCESS_MS: Final = 900_000
ROTATED_AFTER_MS: Final = 7 * 86_400_000
_KEPT_MS = ROTATED_AFTER_MS + 2 * ACCESS_MS
_ALGORITHM = "Ed25519"  # EdDSA with that curve (RFC 9864)
_ISSUER = "headgate"
CONTEXT: Final = "signing key"


class Claims(BaseModel):
    """The claims of an access token: the user and the session."""

    sub: str
    sid: str


class Keys:
    """Signs access tokens with the newest key and verifies with those that are not too old."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._keys: dict[str, tuple[int, OKPKey]] = {}

    async def signed(self, user_id: str, session_id: str) -> str:
        """Returns an access token that is good for 15 minutes."""
        kid, key = await self._newest()
        now_s = self._clock() // 1_000
        claims: dict[str, object] = {
            "iss": _ISSUER,
            "sub": user_id,
            "sid": session_id,
            "exp": now_s + ACCESS_MS // 1_000,
        }
        header = {"alg": _ALGORITHM, "kid": kid}
        return jwt.encode(header, claims, key, algorithms=[_ALGORITHM])

    async def claims(self, token: str) -> Claims | None:
        """Returns what a token says; None unless it is ours and good now."""
        try:
            kid = _kid(token)
            key = await self._key(kid)
            if key is None:
                return None
            found = jwt.decode(token, key, algorithms=[_ALGORITHM])
            registry = jwt.JWTClaimsRegistry(
                now=self._clock() // 1_000,
                iss={"essential": True, "value": _ISSUER},
                sub={"essential": True},
                exp={"essential": True},
            )
            # Older masters sign it, and one whose clock is behind would refuse it.
            found.claims.pop("iat", None)
            registry.validate(found.claims)
            return Claims.model_validate(found.claims)
        except (JoseError, ValueError):
            return None

    async def _newest(self) -> tuple[str, OKPKey]:
        now = self._clock()
        if not self._keys:
            await self._load()
        fresh = [(at, kid) for kid, (at, _) in self._keys.items() if now - at < ROTATED_AFTER_MS]
        if not fresh:
            await self._database.write(MASTER, self._rotate)
            await self._load()
            fresh = [(at, kid) for kid, (at, _) in self._keys.items()]
        kid = max(fresh)[1]
        return kid, self._keys[kid][1]

    async def _key(self, kid: str) -> OKPKey | None:
        if kid not in self._keys and len(kid) == store.ID_LENGTH:
            await self._load()
        at, key = self._keys.get(kid, (0, None))
        return key if self._clock() - at < _KEPT_MS else None

    async def _load(self) -> None:
        async with self._database.read(MASTER) as tx:
            rows = await store.signing_keys(tx, self._clock() - _KEPT_MS)
        self._keys = {
            one.id: (
                one.created_at,
                OKPKey.import_key(json.loads(self._sealer.open(one.sealed, CONTEXT))),
            )
            for one in rows
        }

    async def _rotate(self, tx: Transaction) -> None:
        now = self._clock()
        seal = await sealing(tx, self._sealer)
        newest = await store.signing_keys(tx, now - ROTATED_AFTER_MS)
        if newest:
            return  # another master was quicker
        key = OKPKey.generate_key("Ed25519", private=True)
        sealed = seal(json.dumps(key.as_dict(private=True)).encode(), CONTEXT)
        await store.add_signing_key(tx, new_id(now), sealed, now)
        await store.forget_signing_keys(tx, now - _KEPT_MS)


def _kid(token: str) -> str:
    """Returns the key's id from the token's head, which nothing has verified yet."""
    # joserfc lets every JSON in which it finds "alg" pass for a head, whatever its types say.
    head: object = extract_compact(token.encode()).headers()
    kid = head.get("kid", "") if isinstance(head, dict) else ""
    return kid if isinstance(kid, str) else ""
