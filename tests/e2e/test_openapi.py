"""A real master against its own OpenAPI page: valid and invalid requests to every route."""

import json
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from master_process import call, master
from schemathesis.checks import CheckContext, not_a_server_error
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

PAGE: Final = Path(__file__).parents[2] / "schema" / "openapi.json"
EACH: Final = 10
"""Requests to each operation, so that the whole takes a bounded time."""
NAMED: Final = {"workspace": "default", "organisation": "main", "fleet": "edge", "draft": "more"}
"""What is there; generated names would be answered with 404 before anything else."""

page = schemathesis.openapi.from_path(PAGE)
page.config.phases.coverage.enabled = False


@dataclass(frozen=True)
class Running:
    """A master, the session of its administrator, and a token of the organisation's."""

    base: str
    session: str
    token: str


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A master with a fleet, a config and a draft."""
    with master(tmp_path_factory.mktemp("master"), "--listen", "127.0.0.1:0") as one:
        base, session = one.base, one.set_up()
        role = {"name": "all", "role": "admin"}
        token = call(f"{base}/api/v1/tokens", role, session)["secret"]
        workspace = f"{base}/api/v1/workspaces/default"
        call(f"{workspace}/fleets", {"name": "edge"}, token)
        upstream = {"kind": "upstreams", "name": "api", "spec": {"endpoints": ["127.0.0.1:9"]}}
        call(f"{workspace}/drafts", {"name": "more", "changes": [upstream]}, token)
        yield Running(base, session, token)


def test_the_page_that_is_written_is_the_page_that_is_served(running: Running) -> None:
    assert (
        call(f"{running.base}/api/v1/openapi.json")["paths"]
        == json.loads(PAGE.read_text())["paths"]
    )


def test_the_reference_for_people_needs_nothing_but_the_master(running: Running) -> None:
    with urllib.request.urlopen(f"{running.base}/docs", timeout=45) as answer:  # noqa: S310
        text = answer.read().decode()
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    for path in json.loads(PAGE.read_text())["paths"]:
        assert f" {path}</code>" in text
    assert not any(sign in text for sign in ("<script", "<link", "<img", "src=", "http://"))


def is_a_problem(_context: CheckContext, response: Response, _case: schemathesis.Case[Any]) -> None:
    """A failure is a problem document that says what is wrong."""
    if response.status_code < 400:
        return
    found = response.json()
    assert found["type"].startswith("urn:headgate:problem:"), found
    assert found["status"] == response.status_code
    assert found["detail"]


def refuses_bad_data(
    context: CheckContext, response: Response, case: schemathesis.Case[Any]
) -> bool | None:
    """schemathesis calls a list of one value bad data for a text, and sends that value alone."""
    if any(isinstance(value, list) and len(value) == 1 for value in case.query.values()):
        return None
    return negative_data_rejection(context, response, case)


def bodies() -> list[tuple[str, str]]:
    """Every operation that takes a body, as method and path."""
    paths = json.loads(PAGE.read_text())["paths"]
    return [
        (method.upper(), path)
        for path, methods in paths.items()
        for method, one in methods.items()
        if "requestBody" in one
    ]


def test_no_route_takes_a_field_that_it_does_not_know(running: Running) -> None:
    taken = []
    for method, path in bodies():
        url = running.base + path.format_map(defaultdict(lambda: "x", NAMED, kind="routes"))
        try:
            call(url, {"surprise": 1}, running.session, method=method)
            taken.append((method, path))
        except urllib.error.HTTPError as refusal:
            found = json.loads(refusal.read())
            at = [one["path"] for one in found.get("errors", ())]
            if refusal.code != 422 or "$.surprise" not in at:
                taken.append((method, path))
    assert len(bodies()) > 15
    assert taken == []


@page.parametrize()
@settings(
    max_examples=EACH, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
def test_every_answer_is_one_that_the_page_declares(
    case: schemathesis.Case[Any], running: Running
) -> None:
    for name, value in NAMED.items():
        if name in case.path_parameters:
            case.path_parameters[name] = value
    case.call_and_validate(
        base_url=running.base,
        headers={"authorization": f"Bearer {running.token}"},
        timeout=45,
        checks=[
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_schema_conformance,
            refuses_bad_data,
            is_a_problem,
        ],
    )
