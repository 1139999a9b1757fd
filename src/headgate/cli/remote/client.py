"""Asks a master: with the token of a context, renewed when it has expired."""

import ipaddress
import os
import secrets
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, cast

import httpx2
import msgspec

from headgate.cli.remote import contexts
from headgate.cli.remote.contexts import Context
from headgate.cli.remote.errors import ContextError, MasterError

Json = Mapping[str, object]
Query = dict[str, str | int | list[str]]
"""Parameters by name; one with a list is there once for each."""

_API: Final = "/api/v1"
_TIMEOUT_S: Final = 30.0
_UNAUTHORISED: Final = 401
_ERRORS: Final = 400
_PAGE: Final = 500
_RENEWALS: Final = 2
"""The tokens that another command got may have expired, too."""


class Master:
    """A master, as a context knows it."""

    def __init__(
        self, context: Context, transport: httpx2.BaseTransport | None = None, name: str = ""
    ) -> None:
        self._context = context
        self._name = name
        self._client = _client(context, transport)

    @property
    def workspace(self) -> str:
        """The workspace that commands are about; raises MasterError if none was chosen."""
        if not self._context.workspace:
            raise MasterError(
                "choose a workspace with `headgate context use NAME --workspace NAME`"
            )
        return self._context.workspace

    def get(self, path: str, **query: str | int | list[str]) -> Json:
        """Returns an object."""
        return self.ask("GET", path, query=query)

    def all(self, path: str, **query: str | int | list[str]) -> Iterator[Json]:
        """Yields every object of a list, part by part."""
        cursor: Query = {}
        while True:
            page = self.ask("GET", path, query={"limit": _PAGE} | query | cursor)
            yield from cast("list[Json]", page.get("items") or [])
            following = page.get("next")
            if not following:
                return
            cursor = {"cursor": str(following)}

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        query: Mapping[str, str | int | list[str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        """Sends one request, again if the token had expired; raises MasterError."""
        sent = dict(headers or {})
        if method == "POST":
            sent.setdefault("idempotency-key", secrets.token_hex(16))
        answer = self._send(method, path, body, query, sent)
        for _ in range(_RENEWALS):
            if answer.status_code != _UNAUTHORISED or not self._renewed():
                break
            answer = self._send(method, path, body, query, sent)
        if answer.status_code >= _ERRORS:
            raise refusal(answer)
        return decoded(answer)

    def _send(
        self,
        method: str,
        path: str,
        body: object,
        query: Mapping[str, str | int | list[str]] | None,
        headers: Mapping[str, str],
    ) -> httpx2.Response:
        more = {"authorization": f"Bearer {self._context.access_token}"}
        content = None if body is None else msgspec.json.encode(body)
        if content is not None:
            more["content-type"] = "application/json"
        try:
            return self._client.request(
                method,
                _API + path,
                content=content,
                params=dict(query or {}),
                headers=dict(headers) | more,
            )
        except httpx2.HTTPError as error:
            raise unreachable(self._context.url, error) from error

    def _renewed(self) -> bool:
        """Exchanges the refresh token, or takes the tokens that another command has got for it.

        A refresh token is good once: the session ends if it comes twice. So one command at a time
        uses the one of a context, and keeps the new one before the next command looks.
        """
        if not self._context.refresh_token:
            return False
        if not self._name:
            return self._exchanged()
        file = contexts.place(os.environ)
        with contexts.locked(file):
            known = contexts.load(file)
            kept = known.contexts.get(self._name)
            if kept is None or kept.url != self._context.url:
                return False  # another command has logged out, or in at another master
            if _tokens(kept) != _tokens(self._context):
                self._context = _with(self._context, *_tokens(kept))
                return True
            if not self._exchanged():
                return False
            contexts.save(file, known.changed(self._name, _with(kept, *_tokens(self._context))))
            return True

    def _exchanged(self) -> bool:
        body = {"refresh_token": self._context.refresh_token}
        try:
            answer = self._client.post(f"{_API}/auth/refresh", json=body)
        except httpx2.HTTPError as error:
            raise unreachable(self._context.url, error) from error
        if answer.status_code >= _ERRORS:
            return False
        self._context = with_tokens(self._context, decoded(answer))
        return True


def with_tokens(context: Context, tokens: Json) -> Context:
    """Returns the context with the tokens of an answer."""
    return _with(context, str(tokens["access_token"]), str(tokens["refresh_token"]))


def _with(context: Context, access: str, refresh: str) -> Context:
    return msgspec.structs.replace(context, access_token=access, refresh_token=refresh)


def _tokens(context: Context) -> tuple[str, str]:
    return context.access_token, context.refresh_token


def log_in(context: Context, name: str, password: str) -> Context:
    """Returns the context with the tokens of a new session; raises MasterError."""
    try:
        with _client(context) as client:
            answer = client.post(f"{_API}/auth/login", json={"name": name, "password": password})
    except httpx2.HTTPError as error:
        raise unreachable(context.url, error) from error
    if answer.status_code >= _ERRORS:
        raise refusal(answer)
    return with_tokens(context, decoded(answer))


def _client(context: Context, transport: httpx2.BaseTransport | None = None) -> httpx2.Client:
    """Returns what asks the context's master. A proxy of the environment would be sent the secrets
    for a master of this host, and has another one at its own loopback address.
    """
    trust = _trust(context.authority)
    if transport is None and _is_loopback(httpx2.URL(context.url).host):
        transport = httpx2.HTTPTransport(verify=trust)
    return httpx2.Client(
        base_url=context.url, timeout=_TIMEOUT_S, transport=transport, verify=trust
    )


def introduced(context: Context) -> tuple[str, Context]:
    """Returns who the context's token proves, and the context with the workspace: the only one
    there is, if none was chosen. Raises MasterError.
    """
    master = Master(context)
    name = str(master.get("/auth/me")["name"])
    if not context.workspace:
        names = [str(one["name"]) for one in master.all("/workspaces")]
        if len(names) == 1:
            context = msgspec.structs.replace(context, workspace=names[0])
    return name, context


def checked_url(text: str) -> str:
    """Returns the address of a master; raises ContextError for one that would send secrets in the
    clear.

    >>> checked_url("http://127.0.0.1:8080/")
    'http://127.0.0.1:8080'
    """
    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL as error:
        raise ContextError(f'"{text}" is not an address: {error}') from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise ContextError(f'"{text}" is not an address; write https://HOST[:PORT]')
    if url.scheme == "http" and not _is_loopback(url.host):
        raise ContextError(
            f"{text} would carry tokens in the clear; write https://, or use a loopback address"
        )
    return text.rstrip("/")


def refusal(answer: httpx2.Response) -> MasterError:
    """Returns the error that a problem document is."""
    bare = f"the master answered {answer.status_code}"
    try:
        problem = decoded(answer)
    except MasterError:
        return MasterError(bare, answer.status_code)
    text = str(problem.get("detail") or problem.get("title") or bare)
    faults = problem.get("errors")
    for fault in faults if isinstance(faults, list) else []:
        allowed = f"; {fault['allowed']}" if fault.get("allowed") else ""
        text += f"\n  {fault.get('path', '$')}: {fault.get('detail', '')}{allowed}"
    if answer.status_code == _UNAUTHORISED:
        text += "\nlog in again with `headgate login`"
    return MasterError(text, answer.status_code)


def decoded(answer: httpx2.Response) -> Json:
    """Returns the body; empty for none. Raises MasterError if it is not an object."""
    if not answer.content:
        return {}
    try:
        found = msgspec.json.decode(answer.content)
    except ValueError as error:
        raise MasterError("this is not a master: its answer is not JSON") from error
    if not isinstance(found, dict):
        raise MasterError("this is not a master: its answer is not an object")
    etag = answer.headers.get("etag")
    return found | ({"etag": etag} if etag else {})


def tag_of(one: Json) -> str:
    """Returns what a change compares with an object that was seen: its version, and its id, which
    another one that was made under its name since does not have."""
    return f"{one['version']}-{one['id']}"


def only(tag: str) -> dict[str, str]:
    """Returns the headers of a change that is only for what was seen."""
    return {"if-match": f'"{tag}"'}


def unreachable(url: str, error: httpx2.HTTPError) -> MasterError:
    """Returns the error for a master that does not answer."""
    reason = str(error) or type(error).__name__
    return MasterError(f"the master at {url} does not answer: {reason}")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _trust(authority: str) -> ssl.SSLContext | bool:
    if not authority:
        return True
    if not Path(authority).is_absolute():
        raise ContextError(
            f"{authority} may be another file here; log in again with `headgate login --ca FILE`"
        )
    try:
        return ssl.create_default_context(cafile=Path(authority))
    except (OSError, ssl.SSLError) as error:
        raise ContextError(f"the CA certificates in {authority} cannot be read: {error}") from error
