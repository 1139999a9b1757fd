"""A node inside a program: `with Proxy(config) as proxy` serves for as long as the block runs."""

import asyncio
import atexit
import json
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self

import msgspec

from headgate.kernel.diagnostics import Diagnostic, Severity
from headgate.library.compiled import Config, ConfigError, refused, text
from headgate.library.placing import Ports, placed
from headgate.library.process import NodeProcess, ProxyError
from headgate.library.ranges import within

_STARTS: Final = 3
"""Another process may take a free port before the node does."""
_TAKEN: Final = "address already in use"


class Proxy:
    """A node of one's own: its processes, and state and log in a temporary folder.

    The processes are those of `headgate run`. They end with the block, with `stop`, or with the
    interpreter, but not when that is ended by SIGKILL.

    >>> import http.client
    >>> from headgate import Listener, Route
    >>> from headgate.testing import Upstream
    >>> with Upstream("hello") as app, Proxy({
    ...     "listeners": {"web": Listener()},
    ...     "routes": {"all": Route(upstream="app")},
    ...     "upstreams": {"app": {"endpoints": [app.address]}},
    ... }) as proxy:
    ...     client = http.client.HTTPConnection(proxy.address())
    ...     client.request("GET", "/")
    ...     client.getresponse().read()
    ...     client.close()
    b'hello'
    """

    def __init__(self, config: Config, *, workers: int = 1, start_s: float = 30.0) -> None:
        """`config`: a config as a tree, with `Listener`s and `Route`s in it where one likes. Port 0
        in an address of a listener becomes a free one. `start_s`: how long the start may take.
        Raises `ConfigError` for a config that is refused."""
        within("workers", workers, 1, 128)
        self._given = config
        self._workers = workers
        self._start_s = start_s
        self._ports: Ports = {}
        self._node: NodeProcess | None = None
        self._whole, self._listeners = placed(config, self._ports)

    @property
    def log(self) -> str:
        """The text that the node has logged; empty while it does not run."""
        return self._node.log if self._node is not None else ""

    def start(self) -> Self:
        """Starts the node, and returns when it serves. Raises `ProxyError`."""
        if self._node is not None:
            raise ProxyError("the proxy runs already")
        for attempt in range(1, _STARTS + 1):
            self._node = NodeProcess(text(self._whole), self._workers)
            atexit.register(self.stop)
            try:
                self._node.until_ready(self._start_s)
            except BaseException as error:
                self.stop()
                is_taken = isinstance(error, ProxyError) and _TAKEN in str(error).lower()
                if not is_taken or not self._ports or attempt == _STARTS:
                    raise
                self._ports.clear()
                self._whole, self._listeners = placed(self._given, self._ports)
            else:
                break
        return self

    def stop(self) -> None:
        """Drains and ends the node; a second call does nothing."""
        atexit.unregister(self.stop)
        node, self._node = self._node, None
        if node is not None:
            node.end()

    def address(self, listener: str | None = None) -> str:
        """Returns where a listener accepts, as `127.0.0.1:41231`; the first listener's without a
        name. Raises `KeyError` for a name that is none."""
        found = self._listener(listener)["address"]
        return str(found[0] if isinstance(found, list) else found)

    def url(self, path: str = "/", listener: str | None = None) -> str:
        """Returns the URL of a path at a listener. Raises as `address` does."""
        scheme = "http" if self._listener(listener).get("tls") is None else "https"
        return f"{scheme}://{self.address(listener)}{path}"

    def reload(self, config: Config) -> None:
        """Serves another config, without a lost connection; returns when it is served. Listeners
        that stay keep their ports. Raises `ConfigError`, and serves what it did then."""
        node = self._running()
        ports = dict(self._ports)
        whole, listeners = placed(config, ports)
        node.write(text(whole))
        status, body = node.ask("POST", "/reload")
        if status != HTTPStatus.OK:
            node.write(text(self._whole))
            raise _refusal(_table(body))
        self._given, self._whole, self._listeners, self._ports = config, whole, listeners, ports

    def explain(self, url: str, **question: object) -> dict[str, object]:
        """Returns which route takes a request, and why, as `POST /explain`: with `method`,
        `headers`, `client` and `listener` where they matter. Raises `ValueError` for what is no
        request."""
        body = json.dumps({"url": url} | question).encode()
        status, answer = self._running().ask("POST", "/explain", body)
        if status != HTTPStatus.OK:
            raise ValueError(str(_table(answer).get("error")))
        return _table(answer)

    def status(self) -> dict[str, object]:
        """Returns what `headgate status` shows, as `GET /status`."""
        return _table(self._running().ask("GET", "/status")[1])

    def metrics(self) -> str:
        """Returns the page of metrics (docs/reference/metrics.md)."""
        return self._running().ask("GET", "/metrics")[1].decode()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.stop)

    def _running(self) -> NodeProcess:
        if self._node is None:
            raise ProxyError("the proxy does not run; start it, or use it with `with`")
        return self._node

    def _listener(self, name: str | None) -> dict[str, object]:
        return self._listeners[name if name is not None else next(iter(self._listeners))]


def _table(body: bytes) -> dict[str, object]:
    found = json.loads(body)
    return found if isinstance(found, dict) else {"answer": found}


def _refusal(result: dict[str, object]) -> ConfigError:
    """Returns why a reload was refused: what is wrong with the config, or what the engine said."""
    diagnostics = msgspec.convert(result.get("diagnostics", []), list[Diagnostic])
    errors = [one for one in diagnostics if one.severity is Severity.ERROR]
    return refused(errors) if errors else ConfigError(str(result.get("error") or result))
