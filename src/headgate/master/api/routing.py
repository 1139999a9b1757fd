"""Routes as data: each with the permission that it needs."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fastapi import FastAPI
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.routing import BaseRoute

from headgate.master.access import Permission

Endpoint = Callable[..., object]
PREFIX: Final = "/api/v1"


class UndeclaredRouteError(RuntimeError):
    """A fault of ours: a route without a permission."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of a path."""

    method: str
    path: str
    permission: Permission
    endpoint: Endpoint
    status: int
    has_secret: bool
    body: object = None
    """The type of the answer, if the endpoint writes it by itself; None: its return type."""


class Routes:
    """The routes of a noun, in the order of their declaration."""

    def __init__(self, noun: str) -> None:
        self.noun = noun
        self.operations: list[Operation] = []

    def get(
        self, path: str, permission: Permission, *, body: object = None
    ) -> Callable[[Endpoint], Endpoint]:
        """Declares a route that reads; `body`: what its endpoint writes by itself."""
        return self._declared("GET", path, permission, 200, body=body)

    def post(
        self, path: str, permission: Permission, *, status: int = 201, has_secret: bool = False
    ) -> Callable[[Endpoint], Endpoint]:
        """Declares a route that makes something; `has_secret`: its answer is not kept."""
        return self._declared("POST", path, permission, status, has_secret=has_secret)

    def put(
        self, path: str, permission: Permission, *, status: int = 200
    ) -> Callable[[Endpoint], Endpoint]:
        """Declares a route that writes an object whole."""
        return self._declared("PUT", path, permission, status)

    def patch(self, path: str, permission: Permission) -> Callable[[Endpoint], Endpoint]:
        """Declares a route that changes some fields of an object."""
        return self._declared("PATCH", path, permission, 200)

    def delete(self, path: str, permission: Permission) -> Callable[[Endpoint], Endpoint]:
        """Declares a route that removes an object."""
        return self._declared("DELETE", path, permission, 204)

    def _declared(
        self,
        method: str,
        path: str,
        permission: Permission,
        status: int,
        *,
        has_secret: bool = False,
        body: object = None,
    ) -> Callable[[Endpoint], Endpoint]:
        def declare(endpoint: Endpoint) -> Endpoint:
            self.operations.append(
                Operation(method, path, permission, endpoint, status, has_secret, body)
            )
            return endpoint

        return declare


def permission_of(route: BaseRoute) -> Permission:
    """Returns what a route needs; raises UndeclaredRouteError if it does not say so."""
    if isinstance(route, APIWebSocketRoute):
        # Its module says what it needs, and passes it to the gate itself.
        declared = getattr(inspect.getmodule(route.endpoint), "PERMISSION", None)
        if isinstance(declared, Permission):
            return declared
    extra = getattr(route, "openapi_extra", None)
    if isinstance(extra, dict) and isinstance(extra.get("x-permission"), str):
        return Permission(extra["x-permission"])
    raise UndeclaredRouteError(f"the route {getattr(route, 'path', route)} declares no permission")


def check(app: FastAPI) -> None:
    """Raises UndeclaredRouteError if any route of the application declares no permission."""
    for route in app.routes:
        permission_of(route)
        if isinstance(route, APIRoute) and not hasattr(route, "is_gated"):
            raise UndeclaredRouteError(f"the route {route.path} does not pass the gate")
