"""The answers to requests that fail: problem documents of RFC 9457."""

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from headgate.master.access import Permission
from headgate.master.store.errors import (
    QuotaError,
    RefusedError,
    StoreUnavailableError,
    TakenError,
)
from headgate.master.store.leases import LostLeaseError
from headgate.master.store.sealing import SealError

MEDIA_TYPE: Final = "application/problem+json"
_TYPE: Final = "urn:headgate:problem:"


class Fault(BaseModel):
    """One thing that is wrong with a request."""

    path: str = Field(description="Where: a JSON path in the body, or the parameter's name.")
    detail: str = Field(description="What is wrong.")
    allowed: str = Field(default="", description="What to write instead.")
    severity: str = Field(default="error", description="`error` or `warning`.")


class Problem(BaseModel):
    """The answer to a failed request (RFC 9457)."""

    type: str = Field(description="The kind of the problem, a URN.")
    title: str
    status: int
    detail: str = Field(description="What is wrong, and what to do.")
    path: str = Field(default="", description="Where in the request, if one place is at fault.")
    errors: list[Fault] = Field(default_factory=list)
    current: object = Field(default=None, description="The object as it is, after a stale change.")


class ProblemError(Exception):
    """A request that fails; becomes a problem document."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        errors: Sequence[Fault] = (),
        current: BaseModel | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.errors = list(errors)
        self.current = current
        self.headers = headers or {}


class ForbiddenError(ProblemError):
    """A request of a known caller who lacks a permission; the gate writes it into the audit log."""

    def __init__(self, permission: Permission, detail: str) -> None:
        super().__init__(403, "forbidden", detail)
        self.permission = permission


def not_found(noun: str, name: str) -> ProblemError:
    """Returns the problem of an object that is not there, or not the caller's."""
    return ProblemError(404, "not-found", f'no {noun} "{name}" here; list them to see their names')


def invalid(path: str, detail: str, allowed: str = "") -> ProblemError:
    """Returns the problem of one wrong value."""
    return ProblemError(
        422,
        "invalid",
        f"{detail}; {allowed}" if allowed else detail,
        errors=[Fault(path=path, detail=detail, allowed=allowed)],
    )


def taken(noun: str, name: str) -> ProblemError:
    """Returns the problem of a name that is in use."""
    return ProblemError(409, "taken", f'the {noun} "{name}" exists already; choose another name')


def stale(current: BaseModel) -> ProblemError:
    """Returns the problem of a change to an object that changed since it was read."""
    return ProblemError(
        412,
        "stale",
        "the object changed since it was read; look at `current` and try again with its version",
        current=current,
    )


def key_missing() -> ProblemError:
    """Returns the problem of a master that lacks the key that secrets are sealed with."""
    return ProblemError(
        503,
        "key-missing",
        "this master lacks the key that secrets are sealed with; put it first into its key file,"
        " or ask another master; nothing was changed",
    )


def answer(error: ProblemError) -> Response:
    """Returns the document of a problem."""
    document = Problem(
        type=_TYPE + error.kind,
        title=HTTPStatus(error.status).phrase,
        status=error.status,
        detail=error.detail,
        path=error.errors[0].path if len(error.errors) == 1 else "",
        errors=error.errors,
        current=None if error.current is None else error.current.model_dump(mode="json"),
    )
    body = document.model_dump(mode="json", exclude_defaults=True)
    return JSONResponse(body, error.status, error.headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Has the application answer every failure with a problem document."""
    app.add_exception_handler(ProblemError, _ours)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(StoreUnavailableError, _unavailable)
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(SealError, _sealed)
    app.add_exception_handler(TakenError, _taken)
    app.add_exception_handler(LostLeaseError, _busy)
    app.add_exception_handler(QuotaError, _over_quota)
    app.add_exception_handler(Exception, _unexpected)


def _ours(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)  # noqa: S101 - what it is installed for
    return answer(error)


def _validation(_request: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    faults = [_fault(one["loc"], one["type"], one["msg"], one.get("ctx", {})) for one in found]
    detail = "; ".join(f"{one.path}: {one.detail}" for one in faults[:3])
    return answer(ProblemError(422, "invalid", detail, errors=faults))


def _fault(place: Sequence[str | int], kind: str, text: str, context: dict[str, object]) -> Fault:
    where, *rest = place
    path = json_path(rest) if where == "body" else ".".join(str(part) for part in rest)
    if kind == "extra_forbidden":
        return Fault(path=path, detail="this field is not known", allowed="leave it out")
    if kind == "missing":
        return Fault(path=path, detail="this field is missing", allowed="write it")
    if kind == "json_invalid":
        return Fault(path="$", detail=f"this is not JSON: {context.get('error', text)}")
    expected = context.get("expected")
    allowed = f"write {expected}" if isinstance(expected, str) else ""
    return Fault(path=path, detail=text.removeprefix("Value error, "), allowed=allowed)


def json_path(parts: Sequence[str | int]) -> str:
    """Returns a JSON path (RFC 9535) from the body's root.

    >>> json_path(["hosts", 0, "name"])
    '$.hosts[0].name'
    >>> json_path(["hosts", "a\\0b"])
    '$.hosts["a\\\\u0000b"]'
    """
    return "$" + "".join(map(_step, parts))


def _step(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if part.isprintable() else f"[{json.dumps(part)}]"


def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is installed for
    texts = {
        404: "this path is not known; see /api/v1/openapi.json",
        405: "this path does not have that method; see /api/v1/openapi.json",
        400: "the request's body is not valid JSON; write a JSON object",
        413: "the body is too large; send at most 1 MiB",
    }
    kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    detail = texts.get(error.status_code, str(error.detail))
    headers = dict(error.headers or {})
    return answer(ProblemError(error.status_code, kind, detail, headers=headers))


def _unavailable(_request: Request, error: Exception) -> Response:
    structlog.get_logger().error("the database is not available", reason=str(error))
    return unavailable()


def _refused(_request: Request, error: Exception) -> Response:
    """Answers for a value that was not found to be wrong before: to ask again would not help."""
    structlog.get_logger().error("the database refuses a value", reason=str(error))
    detail = "the database cannot keep a value of this request, such as a number that is too large"
    return answer(ProblemError(422, "invalid", f"{detail}; nothing was changed"))


def _sealed(_request: Request, error: Exception) -> Response:
    structlog.get_logger().error("a secret cannot be opened", reason=str(error))
    detail = f"{error}; put the key that sealed it into its key file, or ask another master"
    return answer(ProblemError(503, "key-missing", detail))


def unavailable() -> Response:
    """Returns the document of a request that the database refused."""
    return answer(
        ProblemError(
            503,
            "store-unavailable",
            "the master cannot use its database now, and nothing was changed; try again",
            headers={"retry-after": "2"},
        )
    )


def _taken(_request: Request, _error: Exception) -> Response:
    return answer(ProblemError(409, "taken", "an object of that name exists; choose another name"))


def _busy(_request: Request, error: Exception) -> Response:
    detail = f'another request or master has the lease "{error}" now, and nothing was changed'
    return answer(ProblemError(409, "busy", f"{detail}; try again", headers={"retry-after": "2"}))


def _over_quota(_request: Request, error: Exception) -> Response:
    assert isinstance(error, QuotaError)  # noqa: S101 - what it is installed for
    detail = f"the workspace has as many {error.name} as it may have"
    ask = "remove some, or ask an administrator of the organisation for more"
    fault = Fault(path=error.name, detail=detail, allowed=f"at most {error.most}")
    return answer(ProblemError(403, "quota", f"{detail} ({error.most}); {ask}", errors=[fault]))


def _unexpected(_request: Request, error: Exception) -> Response:
    structlog.get_logger().error("a request failed", exc_info=error)
    return answer(
        ProblemError(500, "fault", "the master failed; its log says why. Nothing was changed")
    )


EVERY: Final = (400, 401, 403, 404, 409, 412, 413, 422, 429, 503)
"""Statuses of problems that any route may answer with, for the OpenAPI page."""


def documented() -> dict[int | str, dict[str, object]]:
    """Returns the problem answers of a route, for the OpenAPI page."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: schema}}
        for status in EVERY
    }


def shared(page: dict[str, Any]) -> dict[str, object]:
    """Names the problem answers once in an OpenAPI page, and refers to them from its routes."""
    named: dict[str, object] = {}
    for path in page["paths"].values():
        for operation in path.values():
            for status, found in operation["responses"].items():
                if MEDIA_TYPE in found.get("content", {}):
                    named[f"Problem{status}"] = found
                    operation["responses"][status] = {
                        "$ref": f"#/components/responses/Problem{status}"
                    }
    return named
