"""One request: who makes it, in which tenant, and its one transaction that writes."""

import hashlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Annotated, TypeVar

from fastapi import Depends
from pydantic import BaseModel
from starlette.requests import HTTPConnection

from headgate.master.access import Caller
from headgate.master.api import repeats
from headgate.master.api.expecting import ANY, DIGEST, Expected, tag_of
from headgate.master.api.problems import ProblemError, invalid, stale
from headgate.master.api.types import Versioned
from headgate.master.domains.audit.store import Event, record
from headgate.master.domains.events import store as events
from headgate.master.services import Master
from headgate.master.store.scope import Scope
from headgate.master.store.transaction import Transaction

T = TypeVar("T")
V = TypeVar("V", bound=Versioned)


@dataclass(slots=True)
class Call:
    """A request, as its handler sees it."""

    master: Master
    caller: Caller
    scope: Scope
    address: str
    now_ms: int
    action: str
    object: str
    event: str = ""
    """The type of the event that a change becomes."""
    status: int = 200
    has_secret: bool = False
    repeat: repeats.Repeat | None = None
    said: Expected = ANY
    """The object that the request is for, by its headers."""
    is_compared: bool = False
    """True once the handler compares that with the object."""
    tag: str | None = None
    """The tag of the object that is shown; None for what has no version."""

    @property
    def expected(self) -> Expected:
        """The object that the change is for."""
        self.is_compared = True
        return self.said

    def require_version(self, current: V | None) -> None:
        """Raises ProblemError unless the change is for the object as it is now; None is one that
        does not exist."""
        if self.expected.fits(current):
            return
        if current is None:
            raise ProblemError(412, "stale", "the object does not exist; leave If-Match out")
        raise stale(current)

    def read(self) -> AbstractAsyncContextManager[Transaction]:
        """Gives a transaction that reads in the caller's scope."""
        return self.master.database.read(self.scope)

    async def write(
        self, work: Callable[[Transaction], Awaitable[T]], *, scope: Scope | None = None
    ) -> T:
        """Carries out the request's change, with its line in the audit log, or nothing of it."""

        async def whole(tx: Transaction) -> T:
            if self.repeat is not None:
                await repeats.claim(tx, self.repeat, self.status, self.now_ms)
            result = await work(tx)
            self._refuse_unheard()
            await record(tx, self._event(), self.now_ms)
            if self.event and self.scope.workspace_id:
                told = (self.event, self.object, self.caller.id)
                await events.append(tx, *told, self.now_ms)
            self.tag = tag_of(result) if isinstance(result, Versioned) else None
            if self.repeat is not None:
                shown = isinstance(result, BaseModel) and not self.has_secret
                body = result.model_dump_json() if shown else None  # type: ignore[attr-defined]
                etag = None if self.tag is None else self.etag((body or "").encode())
                await repeats.keep(tx, self.repeat, body, etag)
            return result

        result = await self.master.database.write(self.scope if scope is None else scope, whole)
        if self.scope.workspace_id:
            self.master.feeds.tell(self.scope.workspace_id)
        return result

    async def note(self, tx: Transaction, action: str, object_: str) -> None:
        """Adds a line of its own to the audit log, for a part of the change."""
        await record(tx, replace(self._event(), action=action, object=object_), self.now_ms)

    def shown(self, one: V) -> V:
        """Returns the object; the ETag of the answer begins with its version."""
        self.tag = tag_of(one)
        return one

    def etag(self, body: bytes | memoryview) -> str:
        """Returns the ETag of the answer with that body: its object's version and id, which
        `If-Match` compares, and a digest of all that is shown, since not every part of it has a
        version."""
        if self.has_secret:  # nothing is made of what is shown once
            return f'"{self.tag}"'
        return f'"{self.tag}-{hashlib.sha256(body).hexdigest()[:DIGEST]}"'

    def _refuse_unheard(self) -> None:
        """Raises ProblemError if the request says of which object it is, and nothing was compared
        with that."""
        if self.said == ANY or self.is_compared:
            return
        header = "If-None-Match" if self.said.is_new else "If-Match"
        raise invalid(header, "this route compares no versions", "leave the header out")

    def _event(self) -> Event:
        return Event(
            organisation_id=self.scope.organisation_id,
            workspace=self.scope.workspace_id,
            actor=self.caller.id,
            actor_name=self.caller.name,
            action=self.action,
            object=self.object,
            address=self.address,
        )


async def _call(connection: HTTPConnection) -> Call:
    # Not a plain function: FastAPI gives those to a thread.
    found = connection.state.call
    assert isinstance(found, Call)  # noqa: S101 - the gate put it there
    return found


Here = Annotated[Call, Depends(_call)]
"""The call of a handler."""
