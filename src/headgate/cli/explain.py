"""`headgate explain`: which route takes a request and why, from config files or a running node."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path, PurePath
from typing import Final, Literal, TextIO

import msgspec

from headgate._core import PlanError
from headgate.cli.calls import call
from headgate.cli.reading import read as read_config
from headgate.compile import explanation
from headgate.compile.addressed import network_of
from headgate.compile.answers import answer
from headgate.compile.explanation import Explanation, NearMiss, Outcome, Won
from headgate.compile.located import refusals
from headgate.compile.routing import Question, Routing
from headgate.compile.veil import veiled
from headgate.features.middleware.client_certificate import patterns
from headgate.kernel.diagnostics import render_text
from headgate.kernel.errors import Invalid

Output = Literal["text", "json"]

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
BAD_CONFIG: Final = 78

_COLUMN: Final = 64


def question(
    words: Sequence[str],
    headers: Sequence[str] = (),
    client: str = "127.0.0.1",
    listener: str | None = None,
    sni: str | None = None,
    alpn: Sequence[str] = (),
) -> Question:
    """Returns the question of a command line: `[METHOD] URL`, headers as `name: value`.

    Raises `Invalid` when it is none.
    """
    try:
        ip_address(client)
    except ValueError:
        allowed = 'write an IP address such as "192.0.2.7"'
        raise Invalid(f'"{client}" is not an address', allowed, at=("client",)) from None
    match [*words]:
        case [url]:
            method = "GET"
        case [method, url]:
            pass
        case _:
            allowed = 'write a method and a URL: "GET https://a.example/path"'
            raise Invalid(f'"{" ".join(words)}" is not a request', allowed, at=("request",))
    lines: dict[str, str | list[str]] = {}
    for header in headers:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise Invalid(f'"{header}" is not a header', 'write "name: value"')
        before = lines.get(name.strip(), [])
        lines[name.strip()] = [*([before] if isinstance(before, str) else before), value.strip()]
    return Question(
        url=url,
        method=method,
        headers=lines,
        client=client,
        listener=listener,
        sni=sni,
        alpn=list(alpn),
    )


def certified(
    asked: Question, subject: str | None, names: Sequence[str], fingerprint: str | None
) -> Question:
    """Returns the request of a client with such a certificate; without any of these it has none.

    Raises `Invalid` for what no certificate has.
    """
    found: list[str] = []
    for name in names:
        if "*" in name:
            allowed = "write the name of a certificate, without `*`"
            raise Invalid(f'"{name}" is a pattern', allowed, at=("client_san",))
        found.append(patterns.san(name))
    return msgspec.structs.replace(
        asked,
        client_subject=subject,
        client_san=found,
        client_fingerprint=patterns.fingerprint(fingerprint) if fingerprint else None,
    )


def explain(
    asked: Question,
    paths: Sequence[PurePath],
    output: Output = "text",
    *,
    env: Mapping[str, str] = os.environ,
    stream: TextIO = sys.stdout,
    errors: TextIO = sys.stderr,
) -> int:
    """Explains a request against the config at `paths`, the environment if there are none.

    Returns the exit code: 0, also when no route takes the request; 2 when it is not a request; 78
    when the config would be refused, with every reason on `errors`.
    """
    loaded = read_config(paths, env)
    if loaded.plan is None:
        errors.write(render_text(loaded.errors))
        return BAD_CONFIG
    try:
        routing = Routing(loaded.plan, loaded.secrets, loaded.blobs)
        found = answer(routing, asked, explanation.places(loaded))
    except PlanError as error:
        errors.write(render_text(refusals(loaded, error)))
        return BAD_CONFIG
    except ValueError as error:
        errors.write(f"{error}\n")
        return USAGE
    _write(veiled(found, loaded.plan, loaded.secrets), output, stream)
    return OK


def explain_running(
    asked: Question,
    state_dir: Path,
    output: Output = "text",
    *,
    stream: TextIO = sys.stdout,
    errors: TextIO = sys.stderr,
) -> int:
    """Explains a request against the config that the node at `state_dir` serves.

    Endpoints come with their states. Returns the exit code; raises `NoNodeError`.
    """
    answer = call(state_dir, "POST", "/explain", msgspec.json.encode(asked))
    if answer.status != 200:  # noqa: PLR2004 - an HTTP status
        errors.write(f"the node answered {answer.status}: {_problem(answer.body)}\n")
        return USAGE if answer.status == 400 else FAILED  # noqa: PLR2004
    _write(msgspec.json.decode(answer.body, type=Explanation), output, stream)
    return OK


def _problem(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=dict[str, str]).get("error", "")
    except ValueError:
        return body.decode(errors="replace").strip()


def _write(found: Explanation, output: Output, stream: TextIO) -> None:
    if output == "json":
        stream.write(msgspec.json.encode(found).decode() + "\n")
    else:
        stream.writelines(f"{line}\n" for line in text(found))


def text(found: Explanation) -> Iterator[str]:
    """Yields the lines of an explanation."""
    yield f"{found.method} {found.url}  on listener {found.listener}".lstrip()
    if found.refused:
        yield refusal(found)
        return
    if found.dropped:
        yield f"header lines that are dropped: {', '.join(found.dropped)}"
    if found.path and not found.url.partition("?")[0].endswith(found.path):
        yield f"the path is made normal: {found.path}"
    if found.won is None:
        why = f"none of {found.host} matches" if found.host else "no host fits on this listener"
        yield f"no route takes it, 404: {why}"
    else:
        yield from _won(found.won, (network_of(found.url) or "").upper())
    if found.near:
        yield "close:"
        for miss in found.near:
            yield from _near(miss, found.won)


def refusal(found: Explanation) -> str:
    """Returns how a request that is not routed ends."""
    if found.refused_status == 0:
        return f"no answer: {found.refused}"
    return f"refused with {found.refused_status}: {found.refused}"


def _won(won: Won, network: str) -> Iterator[str]:
    what = f"route {won.route}, match {won.match}, host {won.host}"
    yield _row(f"{network} route {won.route}" if network else what, won.place)
    if won.quarantined:
        yield f"  quarantined, {won.quarantined}"
    for condition in won.held:
        yield _row(f"  {condition.text}", condition.place)
    if won.middlewares:
        yield "middlewares, in order:"
        for number, step in enumerate(won.middlewares, 1):
            name = f"{step.name} ({step.kind})" if step.name else step.kind
            does = f": {step.does}" if step.does else ""
            yield _row(f"  {number}. {name}{does}", step.place)
    yield from _outcome(won.outcome)
    if won.shedding:
        yield f"while there is too much to do: {won.shedding}"
    if won.outcome.kind != "forward":
        return
    for what, told, place in (
        ("sticky", won.sticky, won.sticky_place),
        ("retries", won.retry, won.retry_place),
        *(("mirror", told, won.mirror_place) for told in won.mirror),
    ):
        yield from [_row(f"{what}: {told}", place)] if told else []
    for share in (*won.upstreams, *won.mirrored):
        what = "mirror" if share in won.mirrored else "upstream"
        weight = f", weight {share.weight}" if len(won.upstreams) > 1 else ""
        host = f", Host {share.host}" if share.host else ""
        if share.host == "endpoint":
            host = ", Host of the endpoint"
        proxy = f"PROXY {share.proxy_protocol}" if share.proxy_protocol else ""
        told = ", ".join(filter(None, (share.balance, share.protocol, proxy)))
        yield _row(f"{what} {share.name} ({told}{weight}){host}", share.place)
        for endpoint in share.endpoints:
            state = f"  {endpoint.state}" if endpoint.state else ""
            backup = "  backup" if endpoint.backup else ""
            agreed = f"  agreed on {endpoint.negotiated}" if endpoint.negotiated else ""
            yield f"  {endpoint.address}  weight {endpoint.weight}{backup}{state}{agreed}"
            if endpoint.why:
                yield f"    {endpoint.why}"


def _outcome(outcome: Outcome) -> Iterator[str]:
    before = " or ".join(outcome.unless)
    unless = f", unless {before} answers first" if before else ""
    if outcome.kind == "forward":
        host = f", Host {outcome.host}" if outcome.host else ""
        passed = outcome.detail or "passed on as it is"
        what = f"forwarded as {outcome.target}" if outcome.target else passed
        yield f"{what}{host}{unless}"
    elif outcome.kind == "refuse":
        status = f" with {outcome.status}" if outcome.status else ""
        yield f"refused{status}: {outcome.detail}{unless}"
    else:
        yield f"answered with {outcome.status}{unless}"
    yield from (f"  {name}: {value}" for name, value in outcome.headers)
    yield from [f"  without {', '.join(outcome.removed)}"] if outcome.removed else []
    for word, variable in outcome.placeholders:
        yield f"  {word} stands for {variable}, which only a request has"


def _near(miss: NearMiss, won: Won | None) -> Iterator[str]:
    if miss.outranked is not None and won is not None:
        yield _row(f"  route {miss.route}, match {miss.match}: all holds", miss.place)
        yield f"    but {won.route} goes first: {miss.outranked.reason}"
        return
    yield _row(f"  route {miss.route}, match {miss.match}, host {miss.host}", miss.place)
    for condition in miss.failed:
        yield _row(f"    {condition.text}", condition.place)


def _row(left: str, place: str) -> str:
    return f"{left:<{_COLUMN}}  {place}" if place else left
